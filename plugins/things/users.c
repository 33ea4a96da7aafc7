/* SPDX-License-Identifier: Apache-2.0 */
#include "users.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <sys/random.h>
#include "../broker/password.h"

enum { QUICK = 32, REMEMBERED = 8192 }; /* where few collide of a thousand; pages without any cost nothing */

struct attempt;

struct users {
	struct things *things;
	struct attempt *attempts; /* that are waiting or being judged */
	int64_t *waiting, *refused;
	const struct edged_auth_1 *auth;
	uint8_t key[32];
	uint8_t right[REMEMBERED][QUICK]; /* each where its first bytes say */
};

struct waiter {
	struct waiter *next;
	edged_handle login;
};

struct attempt {
	struct users *users;
	struct attempt *next;   /* of the users' */
	struct waiter *waiters; /* who asked; more than one when a device comes again before its turn */
	uint8_t quick[QUICK];
	bool fits;
	char name[129], hash[HASH_MAX]; /* hash: empty when there is no such user */
	size_t len;
	char password[PASSWORD_MAX];
};

int users_new(struct things *things, struct users **ret)
{
	struct users *users = calloc(1, sizeof(*users));
	if (!users)
		return -ENOMEM;
	users->things = things;
	users->auth = edged_cap(things->host, EDGED_AUTH_1);
	const struct edged_metrics_1 *metrics = edged_cap(things->host, EDGED_METRICS_1);
	users->waiting = metrics->figure(things->host, EDGED_GAUGE, "things_passwords_waiting", NULL,
	        "Passwords that wait to be judged, or are being judged");
	users->refused = metrics->figure(things->host, EDGED_COUNTER, "things_passwords_refused_total", NULL,
	        "Clients told to try later, because too many passwords were waiting (plugin.works)");
	if (getrandom(users->key, sizeof(users->key), 0) != (ssize_t)sizeof(users->key)) {
		free(users);
		return -EIO;
	}
	*ret = users;
	return 0;
}

void users_free(struct users *users)
{
	if (!users)
		return;
	explicit_bzero(users, sizeof(*users));
	free(users);
}

/* --- what was right just now ---------------------------------------------------------------------------------------------- */

/* A keyed hash that holds in this process alone, of a password and the slow hash that it is to fit. */
static void quick_hash(
        const uint8_t key[32], const char *hash, struct edged_slice password, uint8_t ret[QUICK])
{
	uint8_t inner[QUICK];
	unsigned n = QUICK;
	memset(ret, 0, QUICK);
	if (HMAC(EVP_sha256(), key, 32, (const uint8_t *)hash, strlen(hash), inner, &n) &&
	        HMAC(EVP_sha256(), inner, (int)n, (const uint8_t *)password.ptr, password.len, ret, &n))
		OPENSSL_cleanse(inner, sizeof(inner));
}

static bool quick_same(const uint8_t a[QUICK], const uint8_t b[QUICK])
{
	static const uint8_t none[QUICK];
	return CRYPTO_memcmp(a, none, QUICK) != 0 && CRYPTO_memcmp(a, b, QUICK) == 0;
}

static uint8_t *slot(struct users *users, const uint8_t quick[QUICK])
{
	return users->right[(quick[0] << 8 | quick[1]) % REMEMBERED];
}

static void answer(
        struct users *users, edged_handle login, enum edged_login_outcome outcome, const char *text)
{
	(void)users->auth->answer(
	        users->things->host, login, outcome, text); /* whoever asked may have gone */
}

static void welcome(struct users *users, edged_handle login, const char *name)
{
	char principal[160];
	snprintf(principal, sizeof(principal), "user:%s", name);
	answer(users, login, EDGED_LOGIN_KNOWN, principal);
}

/* The hash of the record, or "". */
static void read_hash(const struct users *users, const char *name, char ret[HASH_MAX])
{
	const struct record *record = registry_find(users->things->registry, KIND_USER, edged_str(name));
	json_t *doc = record ? record_json(record) : NULL;
	const char *hash = json_string_value(json_object_get(doc, "hash"));
	snprintf(ret, HASH_MAX, "%s", hash ? hash : "");
	json_decref(doc);
}

/* --- one password, judged once however many wait for it ------------------------------------------------------------------ */

static void attempt_free(void *arg)
{
	struct attempt *a = arg;
	for (struct waiter *w; (w = a->waiters) != NULL; free(w))
		a->waiters = w->next;
	explicit_bzero(a, sizeof(*a));
	free(a);
}

static int attempt_add(struct attempt *a, edged_handle login)
{
	struct waiter *w = malloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct waiter){ a->waiters, login };
	a->waiters = w;
	return 0;
}

/* The same name and the same password, or NULL. */
static struct attempt *attempt_find(const struct users *users, const char *name, const uint8_t quick[QUICK])
{
	struct attempt *a = users->attempts;
	while (a && (!quick_same(a->quick, quick) || strcmp(a->name, name) != 0))
		a = a->next;
	return a;
}

static void forget(struct users *users, struct attempt *a)
{
	struct attempt **at = &users->attempts;
	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	edged_metric_add(users->waiting, -1);
}

static void work(void *arg)
{
	struct attempt *a = arg;
	a->fits = password_fits(a->hash[0] ? a->hash : password_decoy(), edged_slice(a->password, a->len));
}

static void done(void *arg)
{
	struct attempt *a = arg;
	struct users *users = a->users;
	char now[HASH_MAX];
	read_hash(users, a->name, now);
	bool right = a->hash[0] && a->fits && strcmp(now, a->hash) == 0;
	if (right)
		memcpy(slot(users, a->quick), a->quick, sizeof(a->quick));
	for (const struct waiter *w = a->waiters; w; w = w->next) {
		if (right)
			welcome(users, w->login, a->name);
		else if (!a->hash[0])
			answer(users, w->login, EDGED_LOGIN_UNKNOWN, NULL);
		else
			answer(users, w->login, EDGED_LOGIN_WRONG_SECRET, "wrong password");
	}
	forget(users, a);
	attempt_free(a);
}

/* A name that is not known takes as long as one that is. The work runs to its end even when the client has left: it comes
 * again, and is remembered. */
static int judge(
        struct users *users, const struct attempt *from, struct edged_slice password, edged_handle login)
{
	struct things *t = users->things;
	struct edged_work *begun;
	struct attempt *a = malloc(sizeof(*a));
	if (!a)
		return -ENOMEM;
	*a = *from;
	a->len = password.len;
	if (a->len)
		memcpy(a->password, password.ptr, a->len);
	int r = attempt_add(a, login);
	if (!r)
		r = t->work->begin(t->host, work, done, attempt_free, a, &begun);
	if (r) {
		attempt_free(a);
		return r;
	}
	a->next = users->attempts;
	users->attempts = a;
	edged_metric_add(users->waiting, 1);
	return 0;
}

/* --- at the door ---------------------------------------------------------------------------------------------------------- */

/* The name in front of what AWS' device SDKs append to it: "ann?SDK=...". */
static bool read_name(struct edged_slice user, char ret[129])
{
	const char *mark = user.len ? memchr(user.ptr, '?', user.len) : NULL;
	struct edged_slice name = edged_slice(user.ptr, mark ? (size_t)(mark - user.ptr) : user.len);
	if (!name_valid(KIND_USER, name))
		return false;
	memcpy(ret, name.ptr, name.len);
	ret[name.len] = '\0';
	return true;
}

void users_login(struct users *users, const struct edged_door *door, edged_handle login)
{
	struct attempt a = { .users = users };
	if (!door->has_user || !door->has_password || !read_name(door->user, a.name) ||
	        door->password.len > PASSWORD_MAX ||
	        registry_table(users->things->registry, KIND_USER)->count == 0) {
		answer(users, login, EDGED_LOGIN_UNKNOWN, NULL);
		return;
	}
	read_hash(users, a.name, a.hash);
	quick_hash(users->key, a.hash, door->password, a.quick);
	if (a.hash[0] && quick_same(a.quick, slot(users, a.quick))) {
		welcome(users, login, a.name);
		return;
	}
	struct attempt *same = attempt_find(users, a.name, a.quick);
	int r = same ? attempt_add(same, login) : judge(users, &a, door->password, login);
	if (!r)
		return;
	edged_metric_add(users->refused, 1);
	answer(users, login, EDGED_LOGIN_UNDECIDED, "too many passwords are waiting");
}

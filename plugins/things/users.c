/* SPDX-License-Identifier: Apache-2.0 */
#include "users.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include "password.h"

enum { REMEMBERED = 1024 };

struct users {
	struct things *things;
	const struct edged_auth_1 *auth;
	uint8_t key[32];
	uint8_t right[REMEMBERED][PASSWORD_QUICK]; /* each where its first bytes say */
};

struct attempt {
	struct users *users;
	edged_handle login;
	bool fits;
	char name[129], hash[PASSWORD_TEXT]; /* hash: empty when there is no such user */
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

static uint8_t *slot(struct users *users, const uint8_t quick[PASSWORD_QUICK])
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
static void read_hash(const struct users *users, const char *name, char ret[PASSWORD_TEXT])
{
	const struct record *record = registry_find(users->things->registry, KIND_USER, edged_str(name));
	json_t *doc = record ? record_json(record) : NULL;
	const char *hash = json_string_value(json_object_get(doc, "hash"));
	snprintf(ret, PASSWORD_TEXT, "%s", hash ? hash : "");
	json_decref(doc);
}

static void attempt_free(void *arg)
{
	explicit_bzero(arg, sizeof(struct attempt));
	free(arg);
}

static void work(void *arg)
{
	struct attempt *a = arg;
	a->fits = password_fits(a->hash, edged_slice(a->password, a->len));
}

static void done(void *arg)
{
	struct attempt *a = arg;
	struct users *users = a->users;
	char now[PASSWORD_TEXT];
	uint8_t quick[PASSWORD_QUICK];
	read_hash(users, a->name, now);
	if (!a->hash[0]) {
		answer(users, a->login, EDGED_LOGIN_UNKNOWN, NULL);
	} else if (!a->fits || strcmp(now, a->hash) != 0) {
		answer(users, a->login, EDGED_LOGIN_WRONG_SECRET, "wrong password");
	} else {
		password_quick(users->key, a->hash, edged_slice(a->password, a->len), quick);
		memcpy(slot(users, quick), quick, sizeof(quick));
		welcome(users, a->login, a->name);
	}
	attempt_free(a);
}

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
	char name[129], hash[PASSWORD_TEXT];
	uint8_t quick[PASSWORD_QUICK];
	if (!door->has_user || !door->has_password || !read_name(door->user, name) ||
	        door->password.len > PASSWORD_MAX ||
	        registry_table(users->things->registry, KIND_USER)->count == 0) {
		answer(users, login, EDGED_LOGIN_UNKNOWN, NULL);
		return;
	}
	read_hash(users, name, hash);
	password_quick(users->key, hash, door->password, quick);
	if (hash[0] && password_same(quick, slot(users, quick))) {
		welcome(users, login, name);
		return;
	}
	struct attempt *a = calloc(1, sizeof(*a));
	if (a) {
		*a = (struct attempt){ .users = users, .login = login, .len = door->password.len };
		memcpy(a->name, name, sizeof(name));
		memcpy(a->hash, hash, sizeof(hash));
		if (a->len)
			memcpy(a->password, door->password.ptr, a->len);
	}
	/* a name that is not known takes as long as one that is */
	if (!a || worker_do(users->things->worker, work, done, attempt_free, a)) {
		answer(users, login, EDGED_LOGIN_UNDECIDED, "too many passwords are waiting");
		if (a)
			attempt_free(a);
	}
}

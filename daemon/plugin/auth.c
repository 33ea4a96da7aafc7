/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/auth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "conf/conf.h"
#include "plugin/auth_identity.h"
#include "plugin/auth_login.h"
#include "plugin/context.h"
#include "plugin/metrics.h"

/* Questions that wait at once, of all plugins; each plugin has its own limit, too. */
enum { LOGINS_MAX = 1 << 20 };

struct watcher {
	struct list link;
	const struct plugin_context *owner;
	void (*changed)(void *arg);
	void *arg;
};

/* --- making --- */

static int64_t count_identities(void *arg)
{
	struct auth *auth = arg;
	pthread_mutex_lock(&auth->lock);
	int64_t n = (int64_t)auth->identities.count;
	pthread_mutex_unlock(&auth->lock);
	return n;
}

static int64_t read_word(void *arg)
{
	return *(const int64_t *)arg;
}

static int64_t is_closed(void *arg)
{
	const struct auth *auth = arg;
	return __atomic_load_n(&auth->closed, __ATOMIC_RELAXED);
}

static int add_figures(struct auth *auth, struct metrics *metrics)
{
	static const char *const outcomes[] = {
		[EDGED_LOGIN_KNOWN] = "outcome=\"known\"",
		[EDGED_LOGIN_UNKNOWN] = "outcome=\"unknown\"",
		[EDGED_LOGIN_REFUSED] = "outcome=\"refused\"",
		[EDGED_LOGIN_WRONG_SECRET] = "outcome=\"wrong-secret\"",
		[EDGED_LOGIN_UNDECIDED] = "outcome=\"undecided\"",
	};
	int r = metrics_read(metrics, auth, EDGED_GAUGE, "auth_identities", NULL,
	        "Identities that somebody holds", count_identities, auth);
	if (!r)
		r = metrics_read(metrics, auth, EDGED_GAUGE, "auth_closed", NULL,
		        "1 while the plugin that should decide who may do what does not run, and nobody may",
		        is_closed, auth);
	if (!r)
		r = metrics_read(metrics, auth, EDGED_COUNTER, "auth_changes_total", NULL,
		        "Changes of rights", read_word, &auth->changes);
	for (int i = EDGED_LOGIN_KNOWN; i <= EDGED_LOGIN_UNDECIDED && !r; i++)
		r = metrics_read(metrics, auth, EDGED_COUNTER, "auth_logins_total", outcomes[i],
		        "What the deciding plugin said of clients at the door", read_word,
		        &auth->outcomes[i]);
	return r;
}

int auth_new(struct loops *loops, const struct conf *conf, struct metrics *metrics, struct auth **ret)
{
	struct auth *auth = calloc(1, sizeof(*auth));
	if (!auth)
		return -ENOMEM;
	auth->loops = loops;
	auth->wanted = conf ? conf_string(conf, "auth.decider") : "";
	auth->time_ms = conf ? (uint64_t)conf_int(conf, "auth.time") : 10000;
	auth->refs = 1;
	auth->generation = 1;
	auth->closed = *auth->wanted != 0;
	list_init(&auth->watchers);
	list_init(&auth->unused);
	map_init(&auth->identities);
	handles_init(&auth->logins, LOGINS_MAX);
	pthread_mutex_init(&auth->lock, NULL);
	int r = add_figures(auth, metrics);
	if (r) {
		metrics_remove(metrics, auth);
		auth_unref(auth);
	} else {
		auth->metrics = metrics;
		*ret = auth;
	}
	return r;
}

void auth_ref(struct auth *auth)
{
	__atomic_fetch_add(&auth->refs, 1, __ATOMIC_RELAXED);
}

void auth_unref(struct auth *auth)
{
	if (__atomic_sub_fetch(&auth->refs, 1, __ATOMIC_ACQ_REL))
		return;
	map_fini(&auth->identities);
	handles_fini(&auth->logins);
	pthread_mutex_destroy(&auth->lock);
	free(auth);
}

void auth_free(struct auth *auth)
{
	if (!auth)
		return;
	metrics_remove(auth->metrics, auth);
	auth_unref(auth);
}

/* --- rights --- */

static void nothing(struct loop *loop, void *arg)
{
	(void)loop;
	(void)arg;
}

/* When it returns, no loop is where it was before. */
static void quiet(struct auth *auth)
{
	if (loops_count(auth->loops) > 1)
		loops_each(auth->loops, nothing, NULL);
}

static bool principal_valid(const char *principal)
{
	size_t n = principal ? strnlen(principal, EDGED_PRINCIPAL_MAX + 1) : 0;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)principal[i] < 0x20 || principal[i] == 0x7f)
			return false;
	return n > 0 && n <= EDGED_PRINCIPAL_MAX;
}

/* NULL: it has none, or there is no memory. */
static struct rights *ask_rights(struct auth *auth, const struct edged_identity *identity)
{
	struct loop_charge charge;
	struct rights *rights = calloc(1, sizeof(*rights));
	if (!rights)
		return NULL;
	list_init(&rights->link);
	loop_enter(&charge, auth->owner->name);
	int r = auth->functions.bind(auth->self, &identity->door.door, identity->key, &rights->bound);
	loop_leave(&charge);
	if (r == 0)
		return rights;
	free(rights);
	return NULL;
}

/* The old ones go to `ret_old`. */
static void set_rights(struct edged_identity *identity, struct rights *rights, struct list *ret_old)
{
	struct rights *old = __atomic_exchange_n(&identity->rights, rights, __ATOMIC_ACQ_REL);
	if (old)
		list_append(ret_old, &old->link);
}

static void give_back(struct auth *auth, struct list *old)
{
	list_each_safe (node, old) {
		struct rights *rights = list_entry(node, struct rights, link);
		struct loop_charge charge;
		loop_enter(&charge, auth->owner->name);
		auth->functions.unbind(auth->self, rights->bound);
		loop_leave(&charge);
		free(rights);
	}
}

void auth_reap(struct auth *auth)
{
	struct list unused;
	list_init(&unused);
	identities_unused(auth, &unused);
	give_back(auth, &unused);
}

int auth_allow(const struct edged_identity *identity, enum edged_action action, struct edged_slice resource)
{
	const struct edged_decider *decider = __atomic_load_n(&identity->auth->decider, __ATOMIC_ACQUIRE);
	if (!decider)
		return -EAGAIN;
	const struct rights *rights = __atomic_load_n(&identity->rights, __ATOMIC_ACQUIRE);
	return rights && decider->allow(rights->bound, action, resource);
}

int auth_identity(
        struct auth *auth, const struct door *door, const char *principal, struct edged_identity **ret)
{
	if (!principal_valid(principal))
		return -EINVAL;
	int r = identity_get(auth, door, principal, ret);
	if (!r && auth->decider && !(*ret)->rights)
		__atomic_store_n(&(*ret)->rights, ask_rights(auth, *ret), __ATOMIC_RELEASE);
	return r;
}

enum edged_login_outcome auth_signer(
        struct auth *auth, const struct edged_http_message *message, char ret[EDGED_SIGNER_MAX])
{
	struct loop_charge charge;
	if (!auth->decider || !auth->functions.signer)
		return EDGED_LOGIN_UNKNOWN;
	loop_enter(&charge, auth->owner->name);
	enum edged_login_outcome outcome = auth->functions.signer(auth->self, message, ret);
	loop_leave(&charge);
	return outcome;
}

/* --- changes --- */

static void moved(struct auth *auth)
{
	if (__atomic_add_fetch(&auth->generation, 1, __ATOMIC_ACQ_REL) == 0)
		__atomic_store_n(&auth->generation, 1, __ATOMIC_RELEASE);
	auth->changes++;
}

static void notify(struct auth *auth)
{
	list_each_safe (node, &auth->watchers) {
		const struct watcher *watcher = list_entry(node, struct watcher, link);
		struct loop_charge charge;
		loop_enter(&charge, watcher->owner->name);
		watcher->changed(watcher->arg);
		loop_leave(&charge);
	}
}

/* Nobody has any rights any more. */
static void strip(struct auth *auth)
{
	struct list old;
	list_init(&old);
	identities_strip(auth, &old);
	moved(auth);
	quiet(auth);
	give_back(auth, &old);
	auth_reap(auth);
}

/* Gives each identity of the principal (NULL: of all) its rights of now; the former ones go back. */
static int rebind(struct auth *auth, const char *principal)
{
	struct edged_identity **all;
	struct list old;
	size_t n;
	list_init(&old);
	int r = identities_all(auth, &all, &n);
	if (r) {
		strip(auth); /* rather nobody than somebody who may not any more */
		return r;
	}
	for (size_t i = 0; i < n; i++)
		if (!principal || strcmp(all[i]->key, principal) == 0)
			set_rights(all[i], ask_rights(auth, all[i]), &old);
	moved(auth);
	if (!list_empty(&old))
		quiet(auth);
	give_back(auth, &old);
	for (size_t i = 0; i < n; i++)
		identity_drop(all[i]);
	free(all);
	return 0;
}

int auth_decide(struct auth *auth, const struct plugin_context *owner, const struct edged_decider *decider,
        void *self)
{
	if (*auth->wanted && strcmp(auth->wanted, owner->name) != 0)
		return -EACCES;
	if (auth->owner)
		return -EEXIST;
	struct edged_decider f = { 0 };
	memcpy(&f, decider, decider->struct_size < sizeof(f) ? decider->struct_size : sizeof(f));
	if (!f.login || !f.bind || !f.unbind || !f.allow)
		return -EINVAL;
	auth->functions = f;
	auth->self = self;
	auth->owner = owner;
	int r = rebind(auth, NULL);
	if (r) {
		auth->owner = NULL;
		return r;
	}
	__atomic_store_n(&auth->closed, false, __ATOMIC_RELAXED);
	__atomic_store_n(&auth->decider, &auth->functions, __ATOMIC_RELEASE);
	moved(auth);
	log_info("auth", "%s decides who may do what", owner->name);
	notify(auth);
	return 0;
}

int auth_changed(struct auth *auth, const char *principal)
{
	int r = rebind(auth, principal);
	notify(auth);
	return r;
}

/* Nothing of the decider is called when it returns. */
static void end_decider(struct auth *auth)
{
	__atomic_store_n(&auth->closed, true, __ATOMIC_RELAXED);
	__atomic_store_n(&auth->decider, NULL, __ATOMIC_RELEASE);
	strip(auth);
	auth_logins_end(auth);
	log_info("auth", "%s has stopped: what it would have to judge is refused until it is back",
	        auth->owner->name);
	auth->owner = NULL;
	auth->self = NULL;
	notify(auth);
}

/* --- watching --- */

int auth_watch(struct auth *auth, const struct plugin_context *owner, void (*changed)(void *arg), void *arg)
{
	list_each (node, &auth->watchers)
		if (list_entry(node, struct watcher, link)->owner == owner)
			return -EEXIST;
	struct watcher *watcher = malloc(sizeof(*watcher));
	if (!watcher)
		return -ENOMEM;
	*watcher = (struct watcher){ .owner = owner, .changed = changed, .arg = arg };
	list_append(&auth->watchers, &watcher->link);
	return 0;
}

void auth_forget(struct auth *auth, const struct plugin_context *owner)
{
	list_each_safe (node, &auth->watchers) {
		struct watcher *watcher = list_entry(node, struct watcher, link);
		if (watcher->owner == owner) {
			list_remove(&watcher->link);
			free(watcher);
		}
	}
	if (auth->owner == owner)
		end_decider(auth);
}

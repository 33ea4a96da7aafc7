/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Behind `edged.auth/1` (edged/cap_auth.h): the one decider, the identities that there are with the rights bound to
 * them, and the questions that are open.
 *
 * Rights change hands without locks: allow() runs on loops only, so once every loop has been somewhere else
 * (loops_each()), nobody uses what was replaced before.
 */
#ifndef PLUGIN_AUTH_H
#define PLUGIN_AUTH_H

#include <pthread.h>
#include "edged/cap_auth.h"
#include "base/handle.h"
#include "base/list.h"
#include "base/map.h"
#include "io/loop.h"
#include "plugin/auth_door.h"

struct conf;
struct metrics;
struct plugin_context;

struct auth {
	struct loops *loops;
	const char *wanted;  /* name of the plugin that must decide; "": the first that offers to */
	uint64_t time_ms;    /* for an answer */
	uint32_t refs;       /* atomic: the host, identities, questions, a reap on its way */
	uint32_t generation; /* atomic */
	const struct edged_decider *decider; /* atomic; NULL: none now */
	bool closed;                         /* atomic: nobody decides, but somebody should */
	/* Main loop: */
	void *self;
	const struct plugin_context *owner; /* of the decider */
	struct edged_decider functions;
	struct metrics *metrics;
	struct list watchers;
	struct handles logins; /* struct edged_login, with the decider */
	int64_t changes, outcomes[EDGED_LOGIN_UNDECIDED + 1];
	/* Under the lock: */
	pthread_mutex_t lock;
	struct map identities; /* by the text of their doors and the principal */
	struct list unused;    /* struct rights whose identity has gone, to go back on the main loop */
	bool reaping;          /* the post is on its way */
	struct post reap;
};

/* conf may be NULL; loops may be NULL when nothing is started. */
EDGED_MUST_CHECK int auth_new(
        struct loops *loops, const struct conf *conf, struct metrics *metrics, struct auth **ret);
void auth_free(struct auth *auth); /* the host's reference; no plugin runs any more */
void auth_ref(struct auth *auth);
void auth_unref(struct auth *auth);

/* Takes everything back from a plugin: what it decides and what it watches. Main loop, before its stop(). */
void auth_forget(struct auth *auth, const struct plugin_context *owner);

/* As in edged_auth_1; main loop but for allow(). */
int auth_decide(struct auth *auth, const struct plugin_context *owner, const struct edged_decider *decider,
        void *self);
int auth_changed(struct auth *auth, const char *principal);
/* Gives back rights of identities that have gone. */
void auth_reap(struct auth *auth);
/* As struct edged_decider says. */
enum edged_login_outcome auth_signer(
        struct auth *auth, const struct edged_http_message *message, char ret[EDGED_SIGNER_MAX]);
int auth_watch(struct auth *auth, const struct plugin_context *owner, void (*changed)(void *arg), void *arg);
int auth_allow(const struct edged_identity *identity, enum edged_action action, struct edged_slice resource);
/* -EINVAL: no principal. With a reference, and with rights if there is a decider that gives it some. Main loop. */
EDGED_MUST_CHECK int auth_identity(
        struct auth *auth, const struct door *door, const char *principal, struct edged_identity **ret);

#endif

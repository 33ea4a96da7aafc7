/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cap_auth.h"

#include <errno.h>
#include "plugin/auth_identity.h"
#include "plugin/auth_login.h"
#include "plugin/plugins.h"

static struct auth *auth_of(struct edged_host *host)
{
	return context_of(host)->plugin->plugins->auth;
}

static int decide(struct edged_host *host, const struct edged_decider *decider, void *self)
{
	return auth_decide(auth_of(host), context_of(host), decider, self);
}

static bool decides(struct edged_host *host)
{
	return auth_of(host)->owner == context_of(host);
}

static int answer(
        struct edged_host *host, edged_handle login, enum edged_login_outcome outcome, const char *text)
{
	return decides(host) ? auth_answer(auth_of(host), login, outcome, text) : -ENOENT;
}

static int changed(struct edged_host *host, const char *principal)
{
	return decides(host) ? auth_changed(auth_of(host), principal) : -EPERM;
}

static int login(struct edged_host *host, const struct edged_door *door,
        void (*done)(void *arg, enum edged_login_outcome outcome, struct edged_identity *identity,
                const char *reason),
        void *arg, struct edged_login **ret_login)
{
	return auth_login(auth_of(host), context_of(host)->ledger, door, done, arg, ret_login);
}

static int recall(struct edged_host *host, const char *principal, struct edged_slice client_id,
        struct edged_identity **ret)
{
	const struct edged_door stored = { .struct_size = sizeof(stored), .client_id = client_id };
	struct door door;
	int r = door_copy(&stored, false, &door);
	if (r)
		return r;
	r = auth_identity(auth_of(host), &door, principal, ret);
	door_fini(&door);
	return r;
}

static const char *principal(const struct edged_identity *identity)
{
	return identity->key;
}

static const uint32_t *generation(struct edged_host *host)
{
	return &auth_of(host)->generation;
}

static int watch(struct edged_host *host, void (*notice)(void *arg), void *arg)
{
	return auth_watch(auth_of(host), context_of(host), notice, arg);
}

static bool decided(struct edged_host *host)
{
	return __atomic_load_n(&auth_of(host)->decider, __ATOMIC_ACQUIRE) != NULL;
}

const struct edged_auth_1 cap_auth = {
	.struct_size = sizeof(cap_auth),
	.decide = decide,
	.answer = answer,
	.changed = changed,
	.login = login,
	.cancel = auth_cancel,
	.allow = auth_allow,
	.recall = recall,
	.principal = principal,
	.hold = identity_hold,
	.drop = identity_drop,
	.generation = generation,
	.watch = watch,
	.decided = decided,
};

void cap_auth_fini(struct plugin_context *context)
{
	auth_forget(context->plugin->plugins->auth, context);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_auth.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "edged/cap_loop.h"

struct edged_identity {
	unsigned refs;
	char principal[64];
};

struct edged_login {
	struct edged_login *next;
	struct edged_host *host;
	unsigned loop;
	bool cancelled;
	enum edged_login_outcome outcome;
	struct edged_identity *identity;
	void (*done)(void *arg, enum edged_login_outcome outcome, struct edged_identity *identity,
	        const char *reason);
	void *arg;
};

static struct {
	const struct fake_decider *decider;
	bool closed;
	uint32_t generation;
	unsigned identities;
	struct edged_login *waiting;
	struct edged_host *watcher;
	void (*changed)(void *arg);
	void *arg;
} state = { .generation = 1 };

static struct edged_identity *identity_new(const char *principal)
{
	struct edged_identity *identity = calloc(1, sizeof(*identity));
	assert(identity);
	identity->refs = 1;
	snprintf(identity->principal, sizeof(identity->principal), "%s", principal);
	state.identities++;
	return identity;
}

static struct edged_identity *hold(struct edged_identity *identity)
{
	identity->refs++;
	return identity;
}

static void drop(struct edged_identity *identity)
{
	if (!identity || --identity->refs)
		return;
	state.identities--;
	free(identity);
}

/* --- logging in --- */

static void tell(void *arg)
{
	struct edged_login *login = arg;
	if (login->cancelled)
		drop(login->identity);
	else
		login->done(login->arg, login->outcome, login->identity, "");
	free(login);
}

static void lost(void *arg)
{
	struct edged_login *login = arg;
	drop(login->identity);
	free(login);
}

static void answer(struct edged_login *login, enum edged_login_outcome outcome, const char *principal)
{
	const struct edged_loop_1 *loop = edged_cap(login->host, EDGED_LOOP_1);
	login->outcome = outcome;
	login->identity = outcome == EDGED_LOGIN_KNOWN ? identity_new(principal) : NULL;
	int r = loop->post(login->host, login->loop, tell, lost, login);
	assert(r == 0);
}

static int login(struct edged_host *host, const struct edged_door *door,
        void (*done)(void *arg, enum edged_login_outcome outcome, struct edged_identity *identity,
                const char *reason),
        void *arg, struct edged_login **ret)
{
	const struct edged_loop_1 *loop = edged_cap(host, EDGED_LOOP_1);
	if (!state.decider)
		return state.closed && (door->has_user || door->peer->fingerprint) ? EDGED_LOGIN_UNDECIDED
		                                                                   : EDGED_LOGIN_UNKNOWN;
	char principal[64] = "";
	struct edged_login *l = calloc(1, sizeof(*l));
	assert(l);
	*l = (struct edged_login){ .host = host, .loop = loop->loop_self(host), .done = done, .arg = arg };
	*ret = l;
	enum edged_login_outcome outcome = state.decider->login(door, principal);
	if (outcome) {
		answer(l, outcome, principal);
		return 0;
	}
	struct edged_login **at = &state.waiting;
	while (*at)
		at = &(*at)->next;
	*at = l;
	return 0;
}

static void cancel(struct edged_login *login)
{
	if (login)
		login->cancelled = true;
}

bool fake_answer(struct fake_host *host, enum edged_login_outcome outcome, const char *principal)
{
	struct edged_login *login = state.waiting;
	if (!login)
		return false;
	state.waiting = login->next;
	answer(login, outcome, principal);
	fake_run(host);
	return true;
}

/* --- judging --- */

static int allow(const struct edged_identity *identity, enum edged_action action, struct edged_slice resource)
{
	return state.decider ? state.decider->allow(identity->principal, action, resource) : -EAGAIN;
}

static int recall(struct edged_host *host, const char *principal, struct edged_slice client_id,
        struct edged_identity **ret)
{
	(void)host;
	(void)client_id;
	*ret = identity_new(principal);
	return 0;
}

static const char *principal(const struct edged_identity *identity)
{
	return identity->principal;
}

static const uint32_t *generation(struct edged_host *host)
{
	(void)host;
	return &state.generation;
}

static int watch(struct edged_host *host, void (*changed)(void *arg), void *arg)
{
	state.watcher = host;
	state.changed = changed;
	state.arg = arg;
	return 0;
}

static bool decided(struct edged_host *host)
{
	(void)host;
	return state.decider;
}

const struct edged_auth_1 fake_auth_cap = {
	.struct_size = sizeof(fake_auth_cap),
	.login = login,
	.cancel = cancel,
	.allow = allow,
	.recall = recall,
	.principal = principal,
	.hold = hold,
	.drop = drop,
	.generation = generation,
	.watch = watch,
	.decided = decided,
};

/* --- the test's side --- */

void fake_rights_changed(struct fake_host *host)
{
	state.generation++;
	if (state.watcher)
		state.changed(state.arg);
	fake_run(host);
}

void fake_decide(struct fake_host *host, const struct fake_decider *decider)
{
	state.closed |= state.decider != NULL;
	state.decider = decider;
	fake_rights_changed(host);
}

unsigned fake_identities(void)
{
	return state.identities;
}

void fake_auth_forget(struct fake_host *host)
{
	if (state.watcher == fake_host_of(host))
		state.watcher = NULL;
	while (state.waiting) {
		struct edged_login *login = state.waiting;
		state.waiting = login->next;
		free(login);
	}
}

void fake_auth_reset(void)
{
	assert(state.identities == 0 && !state.waiting);
	state.decider = NULL;
	state.closed = false;
}

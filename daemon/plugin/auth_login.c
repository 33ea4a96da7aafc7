/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/auth_login.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plugin/auth_identity.h"
#include "plugin/context.h"

struct edged_login {
	uint32_t refs; /* atomic: the asker's, until it was told or does not want to know; the question's */
	struct ledger_entry entry;
	struct auth *auth;
	struct loop *loop; /* the asker's */
	struct post post;
	struct door door;
	/* The asker's loop: */
	bool cancelled;
	void (*done)(void *arg, enum edged_login_outcome outcome, struct edged_identity *identity,
	        const char *reason);
	void *arg;
	/* The main loop: */
	uint64_t handle;
	struct timer *timer;
	/* On the way back: */
	enum edged_login_outcome outcome;
	struct edged_identity *identity;
	char reason[200];
};

static void login_unref(struct edged_login *login)
{
	if (__atomic_sub_fetch(&login->refs, 1, __ATOMIC_ACQ_REL))
		return;
	struct auth *auth = login->auth;
	identity_drop(login->identity);
	door_fini(&login->door);
	free(login);
	auth_unref(auth);
}

/* --- back on the asker's loop --- */

static void tell(struct post *post)
{
	struct edged_login *login = CONTAINER_OF(post, struct edged_login, post);
	if (!login->cancelled) {
		struct loop_charge charge;
		const char *owner = ledger_owner(login->entry.ledger);
		ledger_remove(&login->entry);
		loop_enter(&charge, owner);
		login->done(login->arg, login->outcome, TAKE(login->identity), login->reason);
		loop_leave(&charge);
		login_unref(login);
	}
	login_unref(login);
}

static void lost(struct post *post)
{
	login_unref(CONTAINER_OF(post, struct edged_login, post));
}

/* --- on the main loop --- */

static void finish(struct edged_login *login, enum edged_login_outcome outcome, const char *reason)
{
	struct auth *auth = login->auth;
	if (login->handle)
		(void)handles_remove(&auth->logins, login->handle);
	timer_free(TAKE(login->timer));
	auth->outcomes[outcome]++;
	login->outcome = outcome;
	snprintf(login->reason, sizeof(login->reason), "%s", reason ? reason : "");
	login->post = (struct post){ .fn = tell, .drop = lost };
	loop_post(login->loop, &login->post);
}

static void too_late(void *arg)
{
	finish(arg, EDGED_LOGIN_UNDECIDED, "no answer in time");
}

static void ask(struct post *post)
{
	struct edged_login *login = CONTAINER_OF(post, struct edged_login, post);
	struct auth *auth = login->auth;
	if (!auth->decider) {
		finish(login, EDGED_LOGIN_UNDECIDED, "nobody decides");
		return;
	}
	if (handles_add(&auth->logins, login, &login->handle) ||
	        timer_new(loops_at(auth->loops, 0), too_late, login, &login->timer)) {
		finish(login, EDGED_LOGIN_UNDECIDED, "no memory");
		return;
	}
	if (login->door.peer.bad_signature) {
		finish(login, EDGED_LOGIN_REFUSED, login->door.peer.signer);
		return;
	}
	timer_set(login->timer, auth->time_ms);
	struct loop_charge charge;
	__atomic_fetch_add(&login->refs, 1, __ATOMIC_RELAXED); /* it may answer, and look at the door again */
	loop_enter(&charge, auth->owner->name);
	auth->functions.login(auth->self, &login->door.door, login->handle);
	loop_leave(&charge);
	login_unref(login);
}

int auth_answer(struct auth *auth, edged_handle handle, enum edged_login_outcome outcome, const char *text)
{
	struct edged_login *login = handles_get(&auth->logins, handle);
	if (!login)
		return -ENOENT;
	int r = 0;
	if (outcome == EDGED_LOGIN_KNOWN)
		r = auth_identity(auth, &login->door, text, &login->identity);
	else if (outcome < EDGED_LOGIN_KNOWN || outcome > EDGED_LOGIN_UNDECIDED)
		r = -EINVAL;
	if (r)
		finish(login, EDGED_LOGIN_UNDECIDED, "the answer made no sense, or there was no memory");
	else
		finish(login, outcome, outcome == EDGED_LOGIN_KNOWN ? NULL : text);
	return r;
}

void auth_logins_end(struct auth *auth)
{
	for (uint32_t i = 0; i < auth->logins.size; i++) {
		struct edged_login *login = handles_at(&auth->logins, i);
		if (login)
			finish(login, EDGED_LOGIN_UNDECIDED, "the plugin that decides has stopped");
	}
}

/* --- on the asker's loop --- */

/* The plugin has stopped: it is not told. */
static bool silence(struct ledger_entry *entry)
{
	CONTAINER_OF(entry, struct edged_login, entry)->cancelled = true;
	return true;
}

static void release(struct ledger_entry *entry)
{
	ledger_remove(entry);
	login_unref(CONTAINER_OF(entry, struct edged_login, entry));
}

void auth_cancel(struct edged_login *login)
{
	if (!login)
		return;
	login->cancelled = true;
	release(&login->entry);
}

/* Does it bring anything that only the decider could judge? */
static bool brings_something(const struct edged_door *door)
{
	const struct edged_peer *peer = door->peer;
	return door->has_user || (peer && (peer->fingerprint || EDGED_HAS(peer, signer)));
}

int auth_login(struct auth *auth, struct ledger *ledger, const struct edged_door *door,
        void (*done)(void *arg, enum edged_login_outcome outcome, struct edged_identity *identity,
                const char *reason),
        void *arg, struct edged_login **ret)
{
	if (!__atomic_load_n(&auth->decider, __ATOMIC_ACQUIRE))
		return __atomic_load_n(&auth->closed, __ATOMIC_RELAXED) && brings_something(door)
		               ? EDGED_LOGIN_UNDECIDED
		               : EDGED_LOGIN_UNKNOWN;
	struct edged_login *login = calloc(1, sizeof(*login));
	if (!login)
		return -ENOMEM;
	int r = door_copy(door, true, &login->door);
	if (!r)
		r = ledger_add(ledger, LEDGER_LOGINS, &login->entry, silence, release);
	if (r) {
		door_fini(&login->door);
		free(login);
		return r;
	}
	login->refs = 2;
	login->auth = auth;
	auth_ref(auth);
	login->loop = loop_self();
	login->done = done;
	login->arg = arg;
	login->post = (struct post){ .fn = ask, .drop = lost };
	*ret = login;
	loop_post(loops_at(auth->loops, 0), &login->post);
	return 0;
}

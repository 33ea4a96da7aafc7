/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks over REST, and may they: every outcome of a login, now and later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "gate.h"

/* --- a daemon with a decider ------------------------------------------------------------------------------------------------ */

static int login_result; /* of login(); 0: later */
static void (*later)(
        void *arg, enum edged_login_outcome outcome, struct edged_identity *identity, const char *reason);
static void *later_arg;
static int held, cancelled, problems;
static char allowed[64]; /* "action resource" that is allowed */
static const char *thing_header;
static struct edged_peer who_comes;
static bool gone;

/* An identity is opaque: any address will do. */
static struct edged_identity *somebody(void)
{
	return (struct edged_identity *)(uintptr_t)&allowed;
}

static int login(struct edged_host *host, const struct edged_door *door,
        void (*done)(void *arg, enum edged_login_outcome outcome, struct edged_identity *identity,
                const char *reason),
        void *arg, struct edged_login **ret_login)
{
	(void)host;
	assert_string_equal(door->protocol, "http");
	assert_true(edged_slice_is(door->client_id, thing_header ? thing_header : ""));
	later = done;
	later_arg = arg;
	*ret_login = NULL;
	return login_result;
}

static void cancel(struct edged_login *l)
{
	(void)l;
	cancelled++;
}

static int allow(const struct edged_identity *identity, enum edged_action action, struct edged_slice resource)
{
	char text[64];
	assert_ptr_equal(identity, somebody());
	snprintf(text, sizeof(text), "%d %.*s", (int)action, EDGED_SLICE_FMT(resource));
	return strcmp(text, allowed) == 0 ? 1 : 0;
}

static struct edged_identity *hold(struct edged_identity *identity)
{
	held++;
	return identity;
}

static void drop(struct edged_identity *identity)
{
	if (identity)
		held--;
}

static const struct edged_auth_1 auth = { .struct_size = sizeof(auth),
	.login = login,
	.cancel = cancel,
	.allow = allow,
	.hold = hold,
	.drop = drop };

static const struct edged_peer *peer(struct edged_host *host, edged_handle request)
{
	(void)host;
	(void)request;
	return gone ? NULL : &who_comes;
}

static struct edged_slice header(struct edged_host *host, edged_handle request, const char *name)
{
	(void)host;
	(void)request;
	assert_string_equal(name, "x-amzn-iot-thingname");
	return edged_str(thing_header);
}

static int problem(struct edged_host *host, edged_handle request, int status, const char *type,
        const char *title, const char *detail)
{
	(void)host;
	(void)request;
	(void)type;
	(void)title;
	(void)detail;
	assert_int_equal(status, 503);
	problems++;
	return 0;
}

static const struct edged_http_1 http = {
	.struct_size = sizeof(http), .header = header, .peer = peer, .problem = problem
};

/* --- the tests ---------------------------------------------------------------------------------------------------------------- */

static struct gate gate;
static int asked, done_result;
static enum gate_outcome last;
static struct edged_identity *who;

static int note(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	(void)self;
	assert_int_equal(request, 7);
	asked++;
	last = outcome;
	who = identity;
	return done_result;
}

static int setup(void **state)
{
	(void)state;
	gate = (struct gate){ .http = &http, .auth = &auth };
	LIST_INIT(&gate.visits);
	asked = held = cancelled = problems = done_result = 0;
	thing_header = NULL;
	who_comes = (struct edged_peer){ .struct_size = sizeof(who_comes), .trusted = true };
	gone = false;
	return 0;
}

static void outcomes_at_once(void **state)
{
	(void)state;
	login_result = EDGED_LOGIN_UNKNOWN;
	assert_int_equal(gate_ask(&gate, 7, note, NULL), 0);
	assert_true(asked == 1 && last == GATE_OPEN && who == NULL); /* whom the daemon trusts */
	login_result = EDGED_LOGIN_UNDECIDED;
	assert_int_equal(gate_ask(&gate, 7, note, NULL), 0);
	assert_true(asked == 2 && last == GATE_UNDECIDED);
	login_result = -ENOSPC;
	assert_int_equal(gate_ask(&gate, 7, note, NULL), -ENOSPC);
	assert_int_equal(asked, 2);
	gate.auth = NULL; /* a daemon that has no such capability */
	assert_int_equal(gate_ask(&gate, 7, note, NULL), 0);
	assert_true(asked == 3 && last == GATE_OPEN);
}

/* The routes are open to whoever has a certificate, of whatever CA. */
static void strangers_stay_outside(void **state)
{
	(void)state;
	who_comes = (struct edged_peer){ .struct_size = sizeof(who_comes), .tls = true };
	login_result = EDGED_LOGIN_UNKNOWN;
	assert_int_equal(gate_ask(&gate, 7, note, NULL), 0);
	assert_true(asked == 1 && last == GATE_CLOSED && who == NULL);
	login_result = 0;
	assert_int_equal(gate_ask(&gate, 7, note, NULL), 0);
	later(later_arg, EDGED_LOGIN_UNKNOWN, NULL, "");
	assert_true(asked == 2 && last == GATE_CLOSED);
	who_comes.tls = false; /* however it came */
	assert_int_equal(gate_ask(&gate, 7, note, NULL), 0);
	later(later_arg, EDGED_LOGIN_UNKNOWN, NULL, "");
	assert_true(asked == 3 && last == GATE_CLOSED);
	who_comes.trusted = true;
	assert_int_equal(gate_ask(&gate, 7, note, NULL), 0);
	gone = true; /* nobody is there to be trusted */
	later(later_arg, EDGED_LOGIN_UNKNOWN, NULL, "");
	assert_true(asked == 4 && last == GATE_CLOSED);
	gone = false;
	gate.auth = NULL;
	who_comes.trusted = false;
	assert_int_equal(gate_ask(&gate, 7, note, NULL), 0);
	assert_true(asked == 5 && last == GATE_CLOSED);
}

static void outcomes_later(void **state)
{
	(void)state;
	static const struct {
		enum edged_login_outcome login;
		enum gate_outcome gate;
	} rows[] = { { EDGED_LOGIN_UNKNOWN, GATE_OPEN }, { EDGED_LOGIN_REFUSED, GATE_CLOSED },
		{ EDGED_LOGIN_WRONG_SECRET, GATE_CLOSED }, { EDGED_LOGIN_UNDECIDED, GATE_UNDECIDED } };
	login_result = 0;
	thing_header = "lamp";
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(gate_ask(&gate, 7, note, NULL), 0);
		assert_int_equal(asked, i);
		later(later_arg, rows[i].login, NULL, "why");
		assert_int_equal(last, rows[i].gate);
		assert_null(who);
	}
	assert_int_equal(gate_ask(&gate, 7, note, NULL), 0);
	held = 1; /* done() gets a reference */
	done_result = -ENOMEM;
	later(later_arg, EDGED_LOGIN_KNOWN, somebody(), NULL);
	assert_true(last == GATE_OPEN && who == somebody());
	assert_int_equal(held, 0);
	assert_int_equal(problems, 1); /* nobody else would answer the request */
}

static void rights_are_asked_for_by_resource(void **state)
{
	(void)state;
	snprintf(allowed, sizeof(allowed), "%d lamp", (int)EDGED_GET_SHADOW);
	assert_true(gate_allows(&gate, somebody(), EDGED_GET_SHADOW, "lamp", ""));
	assert_false(gate_allows(&gate, somebody(), EDGED_GET_SHADOW, "lamp", "n1"));
	assert_false(gate_allows(&gate, somebody(), EDGED_UPDATE_SHADOW, "lamp", ""));
	snprintf(allowed, sizeof(allowed), "%d lamp/n1", (int)EDGED_DELETE_SHADOW);
	assert_true(gate_allows(&gate, somebody(), EDGED_DELETE_SHADOW, "lamp", "n1"));
	assert_true(gate_allows(&gate, NULL, EDGED_UPDATE_SHADOW, "lamp", ""));
}

static void who_waits_at_the_end_is_let_go(void **state)
{
	(void)state;
	login_result = 0;
	assert_int_equal(gate_ask(&gate, 7, note, NULL), 0);
	assert_int_equal(gate_ask(&gate, 7, note, NULL), 0);
	gate_stop(&gate);
	assert_true(cancelled == 2 && asked == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(outcomes_at_once, setup),
		cmocka_unit_test_setup(strangers_stay_outside, setup),
		cmocka_unit_test_setup(outcomes_later, setup),
		cmocka_unit_test_setup(rights_are_asked_for_by_resource, setup),
		cmocka_unit_test_setup(who_waits_at_the_end_is_let_go, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

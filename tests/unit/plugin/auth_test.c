/* SPDX-License-Identifier: Apache-2.0 */
/* plugin/cap_auth: a decider that comes, changes its mind and goes, and askers on two loops. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include "conf/conf.h"
#include "conf/tables.h"
#include "heap.h"
#include "plugin/auth_identity.h"
#include "plugin/cap_auth.h"
#include "plugin/cap_work.h"
#include "plugin/metrics.h"
#include "plugin/plugins.h"
#include "plugin/work.h"

/* --- two loops on threads of their own, and what capabilities know of two plugins --- */

struct party {
	struct plugin plugin;
	struct plugin_context context;
	struct ledger *ledger;
};

static struct rig {
	struct loops *loops;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct conf *conf;
	struct metrics *metrics;
	struct plugins plugins;
	struct party decider, asker;
} rig;

struct call {
	struct post post;
	void (*fn)(void *arg);
	void *arg;
	bool done;
};

static void run_call(struct post *post)
{
	struct call *call = CONTAINER_OF(post, struct call, post);
	call->fn(call->arg);
	pthread_mutex_lock(&rig.lock);
	call->done = true;
	pthread_cond_broadcast(&rig.changed);
	pthread_mutex_unlock(&rig.lock);
}

/* Runs fn(arg) on the loop and waits for it. */
static void on(unsigned loop, void (*fn)(void *arg), void *arg)
{
	struct call call = { .post.fn = run_call, .fn = fn, .arg = arg };
	loop_post(loops_at(rig.loops, loop), &call.post);
	pthread_mutex_lock(&rig.lock);
	while (!call.done)
		pthread_cond_wait(&rig.changed, &rig.lock);
	pthread_mutex_unlock(&rig.lock);
}

static void *live(void *arg)
{
	(void)arg;
	if (loops_new(2, &rig.loops))
		abort();
	pthread_mutex_lock(&rig.lock);
	pthread_cond_broadcast(&rig.changed);
	pthread_mutex_unlock(&rig.lock);
	if (loops_run(rig.loops))
		abort();
	return NULL;
}

static const struct ledger_limits limits = { .most = { 10, 10, 10, 10, 3, 2 } };

static void party_init(struct party *party, const char *name)
{
	party->plugin.plugins = &rig.plugins;
	party->context.plugin = &party->plugin;
	party->context.name = name;
	assert_int_equal(ledger_new(rig.loops, name, &limits, &party->ledger), 0);
	party->context.ledger = party->ledger;
}

static void stop_party(void *arg)
{
	struct party *party = arg;
	unsigned left[LEDGER_KINDS];
	cap_auth_fini(&party->context);
	if (party->ledger) {
		ledger_close(party->ledger, left);
		ledger_free(party->ledger);
		party->ledger = NULL;
	}
}

static void begin(const char *setting)
{
	struct conf_findings findings = { 0 };
	assert_int_equal(conf_set(rig.conf, setting, "--set", &findings), 0);
	conf_findings_fini(&findings);
	assert_int_equal(auth_new(rig.loops, rig.conf, rig.metrics, &rig.plugins.auth), 0);
}

static int set_up(void **state)
{
	(void)state;
	struct conf_findings findings = { 0 };
	rig = (struct rig){ 0 };
	pthread_mutex_init(&rig.lock, NULL);
	pthread_cond_init(&rig.changed, NULL);
	pthread_mutex_lock(&rig.lock);
	assert_int_equal(pthread_create(&rig.thread, NULL, live, NULL), 0);
	pthread_cond_wait(&rig.changed, &rig.lock);
	pthread_mutex_unlock(&rig.lock);
	assert_int_equal(metrics_new(&rig.metrics), 0);
	assert_int_equal(conf_new(&rig.conf), 0);
	assert_int_equal(conf_declare_daemon(rig.conf, &findings), 0);
	conf_findings_fini(&findings);
	party_init(&rig.decider, "things");
	party_init(&rig.asker, "broker");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	on(0, stop_party, &rig.asker);
	on(0, stop_party, &rig.decider);
	loops_stop(rig.loops);
	pthread_join(rig.thread, NULL);
	auth_free(rig.plugins.auth);
	loops_free(rig.loops);
	metrics_free(rig.metrics);
	conf_free(rig.conf);
	pthread_mutex_destroy(&rig.lock);
	pthread_cond_destroy(&rig.changed);
	return 0;
}

/* --- a decider: "lamp" may do everything, "slow" is answered by hand, "bad" never comes in --- */

struct grant {
	bool allowed;
	char principal[64], client[64], address[64], domain[64], password[64];
};

static struct {
	bool lamp_allowed, lamp_known;
	edged_handle slow;
	unsigned binds, unbinds; /* main loop */
	bool no_peer;
} mind;

static void judge(void *self, const struct edged_door *door, edged_handle login)
{
	struct edged_host *host = self;
	assert_ptr_equal(host, &rig.decider.context.host);
	if (edged_slice_is(door->user, "slow"))
		mind.slow = login;
	else if (edged_slice_is(door->user, "bad"))
		assert_int_equal(cap_auth.answer(host, login, EDGED_LOGIN_REFUSED, "it is bad"), 0);
	else if (edged_slice_is(door->user, "lamp") && edged_slice_is(door->password, "secret"))
		assert_int_equal(cap_auth.answer(host, login, EDGED_LOGIN_KNOWN, "thing:lamp"), 0);
	else if (edged_slice_is(door->user, "lamp"))
		assert_int_equal(cap_auth.answer(host, login, EDGED_LOGIN_WRONG_SECRET, NULL), 0);
	else if (edged_slice_is(door->user, "odd"))
		assert_int_equal(cap_auth.answer(host, login, EDGED_LOGIN_KNOWN, "thing:\n"), -EINVAL);
	else
		assert_int_equal(cap_auth.answer(host, login, EDGED_LOGIN_UNKNOWN, NULL), 0);
	if (!edged_slice_is(door->user, "slow"))
		assert_int_equal(cap_auth.answer(host, login, EDGED_LOGIN_UNKNOWN, NULL), -ENOENT);
}

static int bind_grant(void *self, const struct edged_door *door, const char *principal, void **ret)
{
	(void)self;
	if (!mind.lamp_known)
		return -ENOENT;
	struct grant *grant = calloc(1, sizeof(*grant));
	if (!grant)
		return -ENOMEM;
	mind.no_peer = door->peer == NULL;
	grant->allowed = mind.lamp_allowed;
	snprintf(grant->principal, sizeof(grant->principal), "%s", principal);
	snprintf(grant->client, sizeof(grant->client), "%s", door->client_id.ptr);
	snprintf(grant->address, sizeof(grant->address), "%s", door->peer ? door->peer->address : "?");
	snprintf(grant->domain, sizeof(grant->domain), "%s",
	        door->peer && door->peer->server_name ? door->peer->server_name : "?");
	snprintf(grant->password, sizeof(grant->password), "%s", door->password.ptr);
	mind.binds++;
	*ret = grant;
	return 0;
}

static void unbind_grant(void *self, void *rights)
{
	(void)self;
	mind.unbinds++;
	memset(rights, 0xdd, sizeof(struct grant)); /* whoever still reads it gets no */
	free(rights);
}

static bool allow(const void *rights, enum edged_action action, struct edged_slice resource)
{
	const struct grant *grant = rights;
	return grant->allowed == true && action != EDGED_DELETE_CONNECTION &&
	       !edged_slice_is(resource, "secret");
}

static enum edged_login_outcome read_signature(
        void *self, const struct edged_http_message *message, char ret[EDGED_SIGNER_MAX])
{
	assert_ptr_equal(self, &rig.decider.context.host);
	snprintf(ret, EDGED_SIGNER_MAX, "key:%.*s", EDGED_SLICE_FMT(message->target));
	return EDGED_LOGIN_KNOWN;
}

static const struct edged_decider decider = {
	.struct_size = sizeof(decider),
	.login = judge,
	.bind = bind_grant,
	.unbind = unbind_grant,
	.allow = allow,
	.signer = read_signature,
};

static void decide(void *arg)
{
	*(int *)arg = cap_auth.decide(&rig.decider.context.host, &decider, &rig.decider.context.host);
}

static int start_decider(void)
{
	int r = 1;
	mind.lamp_allowed = mind.lamp_known = true;
	mind.slow = 0;
	on(0, decide, &r);
	return r;
}

static void decider_goes(void *arg)
{
	(void)arg;
	cap_auth_fini(&rig.decider.context);
}

/* --- an asker --- */

struct asked {
	struct edged_door door;
	struct edged_login *login;
	int now;
	enum edged_login_outcome outcome; /* 0: not yet */
	struct edged_identity *identity;
	char reason[64];
	unsigned loop;
	bool cancelled;
};

static void told(
        void *arg, enum edged_login_outcome outcome, struct edged_identity *identity, const char *reason)
{
	struct asked *asked = arg;
	pthread_mutex_lock(&rig.lock);
	asked->identity = identity;
	asked->loop = loop_index(loop_self());
	snprintf(asked->reason, sizeof(asked->reason), "%s", reason);
	asked->outcome = outcome;
	pthread_cond_broadcast(&rig.changed);
	pthread_mutex_unlock(&rig.lock);
}

static void ask(void *arg)
{
	struct asked *asked = arg;
	asked->now = cap_auth.login(&rig.asker.context.host, &asked->door, told, asked, &asked->login);
	if (asked->outcome)
		abort(); /* never from within the call */
}

static const struct edged_peer peer = { .struct_size = sizeof(peer),
	.address = "[2001:db8::7]:4242",
	.listener = "mqtt=*:1883",
	.uid = -1,
	.fingerprint = "abcd",
	.server_name = "edge.local" };

static void door(struct asked *asked, const char *user, const char *password)
{
	*asked = (struct asked){ 0 };
	asked->door = (struct edged_door){ .struct_size = sizeof(asked->door),
		.peer = &peer,
		.protocol = "mqtt",
		.client_id = edged_str("c1"),
		.has_user = user != NULL,
		.user = edged_str(user),
		.has_password = password != NULL,
		.password = edged_str(password) };
}

static void wait_for(struct asked *asked)
{
	pthread_mutex_lock(&rig.lock);
	while (!asked->outcome)
		pthread_cond_wait(&rig.changed, &rig.lock);
	pthread_mutex_unlock(&rig.lock);
}

static enum edged_login_outcome log_in(
        struct asked *asked, unsigned loop, const char *user, const char *password)
{
	door(asked, user, password);
	on(loop, ask, asked);
	if (asked->now)
		return (enum edged_login_outcome)asked->now;
	wait_for(asked);
	assert_int_equal(asked->loop, loop);
	return asked->outcome;
}

static int may(const struct asked *asked, const char *topic)
{
	return cap_auth.allow(asked->identity, EDGED_PUBLISH, edged_str(topic));
}

static uint32_t generation(void)
{
	return edged_auth_generation(cap_auth.generation(&rig.asker.context.host));
}

static void nothing(void *arg)
{
	(void)arg;
}

static void changed(void *arg)
{
	*(int *)arg = cap_auth.changed(&rig.decider.context.host, NULL);
}

/* --- tests --- */

static void without_a_decider_nobody_is_asked(void **state)
{
	(void)state;
	struct asked asked;
	begin("log.level=info");
	assert_int_equal(log_in(&asked, 0, "lamp", "secret"), EDGED_LOGIN_UNKNOWN);
	assert_int_equal(asked.now, EDGED_LOGIN_UNKNOWN);
}

/* Who brings nothing that could be judged is left to the asker. */
static void a_configured_decider_that_is_not_there_lets_nobody_in(void **state)
{
	(void)state;
	struct asked asked;
	begin("auth.decider=things");
	assert_int_equal(log_in(&asked, 1, "lamp", "secret"), EDGED_LOGIN_UNDECIDED);
	assert_int_equal(log_in(&asked, 0, NULL, NULL), EDGED_LOGIN_UNDECIDED); /* it has a certificate */
	door(&asked, NULL, NULL);
	struct edged_peer nobody = peer;
	nobody.fingerprint = NULL;
	asked.door.peer = &nobody;
	on(0, ask, &asked);
	assert_int_equal(asked.now, EDGED_LOGIN_UNKNOWN);
	assert_false(cap_auth.decided(&rig.asker.context.host));
	assert_int_equal(start_decider(), 0);
	assert_true(cap_auth.decided(&rig.asker.context.host));
	assert_int_equal(log_in(&asked, 1, "lamp", "secret"), EDGED_LOGIN_KNOWN);
	cap_auth.drop(asked.identity);
}

static void sign(void *arg)
{
	char text[EDGED_SIGNER_MAX] = "";
	const struct edged_http_message message = { .struct_size = sizeof(message),
		.target = edged_str("x") };
	int *outcome = arg;
	*outcome = (int)auth_signer(rig.plugins.auth, &message, text);
	if ((*outcome == EDGED_LOGIN_KNOWN) != (strcmp(text, "key:x") == 0))
		abort();
}

/* Who brings nothing but a signature has brought something; a bad one is refused whatever else it brings. */
static void a_signature_is_the_deciders_to_judge(void **state)
{
	(void)state;
	struct asked asked;
	struct edged_peer signed_by = {
		.struct_size = sizeof(signed_by), .address = "unix", .signer = "key:x"
	};
	struct edged_peer forged = {
		.struct_size = sizeof(forged), .address = "unix", .bad_signature = true, .signer = "forged"
	};
	int outcome;
	begin("auth.decider=things");
	on(0, sign, &outcome);
	assert_int_equal(outcome, EDGED_LOGIN_UNKNOWN); /* nobody is there who could read it */
	for (int i = 0; i < 2; i++) {
		door(&asked, NULL, NULL);
		asked.door.peer = i ? &forged : &signed_by;
		on(0, ask, &asked);
		assert_int_equal(asked.now, EDGED_LOGIN_UNDECIDED);
	}
	assert_int_equal(start_decider(), 0);
	on(0, sign, &outcome);
	assert_int_equal(outcome, EDGED_LOGIN_KNOWN);
	door(&asked, "lamp", "secret");
	asked.door.peer = &forged;
	on(1, ask, &asked);
	wait_for(&asked);
	assert_int_equal(asked.outcome, EDGED_LOGIN_REFUSED);
	assert_string_equal(asked.reason, "forged");
	on(0, decider_goes, NULL);
	on(0, sign, &outcome);
	assert_int_equal(outcome, EDGED_LOGIN_UNKNOWN);
}

static void only_the_named_plugin_decides_and_only_one(void **state)
{
	(void)state;
	begin("auth.decider=other");
	assert_int_equal(start_decider(), -EACCES);
	auth_free(rig.plugins.auth);
	begin("auth.decider=things");
	assert_int_equal(start_decider(), 0);
	assert_int_equal(start_decider(), -EEXIST);
}

static void each_outcome_comes_back_on_its_loop(void **state)
{
	(void)state;
	struct asked asked;
	begin("log.level=info");
	assert_int_equal(start_decider(), 0);
	for (unsigned loop = 0; loop < 2; loop++) {
		assert_int_equal(log_in(&asked, loop, "lamp", "secret"), EDGED_LOGIN_KNOWN);
		assert_string_equal(cap_auth.principal(asked.identity), "thing:lamp");
		assert_int_equal(may(&asked, "a"), 1);
		assert_int_equal(may(&asked, "secret"), 0);
		const struct grant *grant = asked.identity->rights->bound;
		assert_string_equal(grant->principal, "thing:lamp");
		assert_string_equal(grant->client, "c1");
		assert_string_equal(grant->address, "2001:db8::7");
		assert_string_equal(grant->domain, "edge.local");
		assert_string_equal(grant->password, "");
		cap_auth.drop(asked.identity);
		assert_int_equal(log_in(&asked, loop, "lamp", "guess"), EDGED_LOGIN_WRONG_SECRET);
		assert_null(asked.identity);
		assert_int_equal(log_in(&asked, loop, "bad", NULL), EDGED_LOGIN_REFUSED);
		assert_string_equal(asked.reason, "it is bad");
		assert_int_equal(log_in(&asked, loop, "who", NULL), EDGED_LOGIN_UNKNOWN);
		assert_int_equal(log_in(&asked, loop, "odd", NULL), EDGED_LOGIN_UNDECIDED);
	}
}

static void answer_slow(void *arg)
{
	*(int *)arg = cap_auth.answer(&rig.decider.context.host, mind.slow, EDGED_LOGIN_KNOWN, "thing:lamp");
}

static void cancel(void *arg)
{
	cap_auth.cancel(((struct asked *)arg)->login);
}

static void who_does_not_want_to_know_is_not_told(void **state)
{
	(void)state;
	struct asked asked, other;
	int r = 1;
	begin("log.level=info");
	assert_int_equal(start_decider(), 0);
	door(&asked, "slow", NULL);
	on(1, ask, &asked);
	assert_int_equal(asked.now, 0);
	on(0, nothing, NULL);
	on(1, cancel, &asked);
	on(0, answer_slow, &r);
	assert_int_equal(r, 0);
	/* what is asked afterwards is told after it */
	assert_int_equal(log_in(&other, 1, "lamp", "secret"), EDGED_LOGIN_KNOWN);
	assert_int_equal(asked.outcome, 0);
	cap_auth.drop(other.identity);
	assert_int_equal(ledger_count(rig.asker.ledger, LEDGER_LOGINS), 0);
}

static void an_asker_may_stop_with_open_questions(void **state)
{
	(void)state;
	struct asked asked;
	int r = 1;
	begin("log.level=info");
	assert_int_equal(start_decider(), 0);
	door(&asked, "slow", NULL);
	on(1, ask, &asked);
	on(0, stop_party, &rig.asker);
	on(0, answer_slow, &r);
	assert_int_equal(r, 0);
	on(1, nothing, NULL);
	assert_int_equal(asked.outcome, 0);
}

static void open_questions_have_a_limit(void **state)
{
	(void)state;
	struct asked asked[4];
	begin("log.level=info");
	assert_int_equal(start_decider(), 0);
	for (int i = 0; i < 4; i++) {
		door(&asked[i], "slow", NULL);
		on(0, ask, &asked[i]);
		assert_int_equal(asked[i].now, i < 3 ? 0 : -ENOSPC);
	}
	on(0, decider_goes, NULL);
	for (int i = 0; i < 3; i++) {
		wait_for(&asked[i]);
		assert_int_equal(asked[i].outcome, EDGED_LOGIN_UNDECIDED);
	}
}

static void a_decider_that_does_not_answer_refuses(void **state)
{
	(void)state;
	struct asked asked;
	int r = 0;
	begin("auth.time=100");
	assert_int_equal(start_decider(), 0);
	assert_int_equal(log_in(&asked, 1, "slow", NULL), EDGED_LOGIN_UNDECIDED);
	on(0, answer_slow, &r);
	assert_int_equal(r, -ENOENT);
}

/* Its rights are taken back before it stops, and identities are good again when it is back. */
static void a_decider_that_goes_takes_all_rights_with_it(void **state)
{
	(void)state;
	struct asked asked, late;
	mind.binds = mind.unbinds = 0;
	begin("log.level=info");
	assert_int_equal(start_decider(), 0);
	assert_int_equal(log_in(&asked, 1, "lamp", "secret"), EDGED_LOGIN_KNOWN);
	door(&late, "slow", NULL);
	on(1, ask, &late);
	on(0, nothing, NULL);
	uint32_t before = generation();
	on(0, decider_goes, NULL);
	assert_int_equal(mind.binds, 1);
	assert_int_equal(mind.unbinds, 1);
	assert_int_not_equal(generation(), before);
	wait_for(&late);
	assert_int_equal(late.outcome, EDGED_LOGIN_UNDECIDED);
	assert_int_equal(may(&asked, "a"), -EAGAIN);
	/* nothing is configured, but somebody has decided: the door stays shut */
	assert_int_equal(log_in(&late, 0, "lamp", "secret"), EDGED_LOGIN_UNDECIDED);
	before = generation();
	assert_int_equal(start_decider(), 0);
	assert_int_not_equal(generation(), before);
	assert_int_equal(may(&asked, "a"), 1);
	cap_auth.drop(asked.identity);
}

static void count_notice(void *arg)
{
	++*(int *)arg;
}

static void watch(void *arg)
{
	if (cap_auth.watch(&rig.asker.context.host, count_notice, arg) ||
	        cap_auth.watch(&rig.asker.context.host, count_notice, arg) != -EEXIST)
		abort();
}

static void a_change_is_in_force_when_it_is_told(void **state)
{
	(void)state;
	struct asked asked;
	int notices = 0, r = 1;
	begin("log.level=info");
	on(0, watch, &notices);
	assert_int_equal(start_decider(), 0);
	assert_int_equal(notices, 1);
	assert_int_equal(log_in(&asked, 1, "lamp", "secret"), EDGED_LOGIN_KNOWN);
	uint32_t before = generation();
	mind.lamp_allowed = false;
	assert_int_equal(may(&asked, "a"), 1); /* rights do not change by themselves */
	on(0, changed, &r);
	assert_int_equal(r, 0);
	assert_int_equal(notices, 2);
	assert_int_equal(may(&asked, "a"), 0);
	assert_int_not_equal(generation(), before);
	mind.lamp_known = false; /* deleted: no rights at all */
	on(0, changed, &r);
	assert_int_equal(may(&asked, "a"), 0);
	assert_null(asked.identity->rights);
	mind.lamp_known = mind.lamp_allowed = true;
	on(0, changed, &r);
	assert_int_equal(may(&asked, "a"), 1);
	assert_int_equal(cap_auth.allow(asked.identity, EDGED_DELETE_CONNECTION, edged_str("a")), 0);
	on(0, decider_goes, NULL);
	assert_int_equal(notices, 5);
	cap_auth.drop(asked.identity);
	assert_int_equal(cap_auth.changed(&rig.asker.context.host, NULL), -EPERM);
}

static void change_other(void *arg)
{
	*(int *)arg = cap_auth.changed(&rig.decider.context.host, "thing:other");
}

static void others_keep_their_rights_when_one_changes(void **state)
{
	(void)state;
	struct asked asked;
	int r = 1;
	begin("log.level=info");
	assert_int_equal(start_decider(), 0);
	assert_int_equal(log_in(&asked, 0, "lamp", "secret"), EDGED_LOGIN_KNOWN);
	unsigned binds = mind.binds;
	on(0, change_other, &r);
	assert_int_equal(r, 0);
	assert_int_equal(mind.binds, binds);
	cap_auth.drop(asked.identity);
}

static void no_memory_for_a_change_means_no_rights(void **state)
{
	(void)state;
	struct asked asked;
	int r = 0;
	begin("log.level=info");
	if (!heap_can_fail())
		skip();
	assert_int_equal(start_decider(), 0);
	assert_int_equal(log_in(&asked, 0, "lamp", "secret"), EDGED_LOGIN_KNOWN);
	mind.lamp_allowed = false;
	heap_fail_at(0);
	on(0, changed, &r);
	heap_fail_at(-1);
	assert_int_equal(r, -ENOMEM);
	assert_int_equal(may(&asked, "a"), 0);
	cap_auth.drop(asked.identity);
}

struct recalled {
	struct edged_identity *identity;
	int result;
	const char *principal;
};

static void recall(void *arg)
{
	struct recalled *recalled = arg;
	recalled->result = cap_auth.recall(
	        &rig.asker.context.host, recalled->principal, edged_str("c1"), &recalled->identity);
}

static void drop(void *arg)
{
	cap_auth.drop(arg);
}

/* Also before the decider is there, and one identity for all who mean the same. */
static void a_stored_principal_gets_the_rights_of_now(void **state)
{
	(void)state;
	struct recalled a = { .principal = "thing:lamp" }, b = a, c = { .principal = "" };
	mind.unbinds = 0;
	begin("auth.decider=things");
	on(0, recall, &a);
	on(0, recall, &b);
	on(0, recall, &c);
	assert_int_equal(a.result, 0);
	assert_int_equal(c.result, -EINVAL);
	assert_ptr_equal(a.identity, b.identity);
	assert_int_equal(cap_auth.allow(a.identity, EDGED_PUBLISH, edged_str("a")), -EAGAIN);
	assert_int_equal(start_decider(), 0);
	assert_true(mind.no_peer);
	assert_int_equal(cap_auth.allow(a.identity, EDGED_PUBLISH, edged_str("a")), 1);
	on(1, drop, cap_auth.hold(a.identity));
	on(1, drop, a.identity);
	on(0, nothing, NULL);
	assert_int_equal(mind.unbinds, 0);
	on(1, drop, b.identity); /* the last: the rights go back on the main loop */
	on(0, nothing, NULL);
	assert_int_equal(mind.unbinds, 1);
}

/* --- a storm: one loop judges while the other changes rights, and the decider comes and goes --- */

struct storm {
	const struct asked *asked;
	bool stop; /* atomic */
	unsigned yes, no, nobody;
};

static void judge_a_lot(void *arg)
{
	struct storm *storm = arg;
	for (int i = 0; i < 1000; i++) {
		int r = may(storm->asked, "a");
		storm->yes += r == 1;
		storm->no += r == 0;
		storm->nobody += r == -EAGAIN;
	}
}

struct again {
	struct post post;
	struct storm *storm;
};

static void go_on(struct post *post)
{
	struct again *again = CONTAINER_OF(post, struct again, post);
	judge_a_lot(again->storm);
	if (__atomic_load_n(&again->storm->stop, __ATOMIC_ACQUIRE)) {
		pthread_mutex_lock(&rig.lock);
		again->storm = NULL;
		pthread_cond_broadcast(&rig.changed);
		pthread_mutex_unlock(&rig.lock);
	} else {
		loop_post(loops_at(rig.loops, 1), &again->post);
	}
}

static void rights_change_under_those_who_judge(void **state)
{
	(void)state;
	struct asked asked;
	int r;
	begin("log.level=info");
	assert_int_equal(start_decider(), 0);
	assert_int_equal(log_in(&asked, 1, "lamp", "secret"), EDGED_LOGIN_KNOWN);
	struct storm storm = { .asked = &asked };
	struct again again = { .post.fn = go_on, .storm = &storm };
	loop_post(loops_at(rig.loops, 1), &again.post);
	for (int i = 0; i < 200; i++) {
		mind.lamp_allowed = i % 2;
		on(0, changed, &r);
		if (i % 20 == 19) {
			on(0, decider_goes, NULL);
			assert_int_equal(start_decider(), 0);
		}
	}
	__atomic_store_n(&storm.stop, true, __ATOMIC_RELEASE);
	pthread_mutex_lock(&rig.lock);
	while (again.storm)
		pthread_cond_wait(&rig.changed, &rig.lock);
	pthread_mutex_unlock(&rig.lock);
	assert_int_equal(may(&asked, "a"), 1);
	cap_auth.drop(asked.identity);
}

/* --- slow work ------------------------------------------------------------------------------------------------------------ */

struct job {
	struct edged_work *work;
	int begun;
	pthread_t worker;
	unsigned loop;
	bool done, dropped;
	bool *gate; /* waits until it is open */
};

static void do_job(void *arg)
{
	struct job *job = arg;
	pthread_mutex_lock(&rig.lock);
	while (job->gate && !*job->gate)
		pthread_cond_wait(&rig.changed, &rig.lock);
	job->worker = pthread_self();
	pthread_mutex_unlock(&rig.lock);
}

static void job_over(struct job *job, bool *flag)
{
	pthread_mutex_lock(&rig.lock);
	*flag = true;
	job->loop = loop_self() ? loop_index(loop_self()) : 99;
	pthread_cond_broadcast(&rig.changed);
	pthread_mutex_unlock(&rig.lock);
}

static void job_done(void *arg)
{
	job_over(arg, &((struct job *)arg)->done);
}

static void job_dropped(void *arg)
{
	job_over(arg, &((struct job *)arg)->dropped);
}

static void begin_job(void *arg)
{
	struct job *job = arg;
	job->begun = cap_work.begin(&rig.asker.context.host, do_job, job_done, job_dropped, job, &job->work);
}

static void cancel_job(void *arg)
{
	cap_work.cancel(((struct job *)arg)->work);
}

static void wait_until(const bool *flag)
{
	pthread_mutex_lock(&rig.lock);
	while (!*flag)
		pthread_cond_wait(&rig.changed, &rig.lock);
	pthread_mutex_unlock(&rig.lock);
}

static void open_gate(bool *gate)
{
	pthread_mutex_lock(&rig.lock);
	*gate = true;
	pthread_cond_broadcast(&rig.changed);
	pthread_mutex_unlock(&rig.lock);
}

static void slow_work_is_done_elsewhere_and_told_here(void **state)
{
	(void)state;
	bool gate = false;
	struct job jobs[3] = { { .gate = &gate }, { 0 }, { 0 } };
	begin("log.level=info");
	assert_int_equal(work_pool_new(1, &rig.plugins.workers), 0);
	for (int i = 0; i < 3; i++)
		on(1, begin_job, &jobs[i]);
	assert_int_equal(jobs[1].begun, 0);
	assert_int_equal(jobs[2].begun, -ENOSPC); /* the limit is two */
	on(1, cancel_job, &jobs[1]);
	open_gate(&gate);
	wait_until(&jobs[0].done);
	assert_int_equal(jobs[0].loop, 1);
	assert_false(
	        pthread_equal(jobs[0].worker, pthread_self()) || pthread_equal(jobs[0].worker, rig.thread));
	wait_until(&jobs[1].dropped);
	assert_false(jobs[1].done || jobs[0].dropped);
	/* a plugin that stops is not told, and what it gave is dropped */
	gate = false;
	struct job last = { .gate = &gate };
	on(1, begin_job, &last);
	on(0, stop_party, &rig.asker);
	open_gate(&gate);
	wait_until(&last.dropped);
	assert_false(last.done);
	work_pool_free(rig.plugins.workers);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(without_a_decider_nobody_is_asked),
		TEST(a_configured_decider_that_is_not_there_lets_nobody_in),
		TEST(a_signature_is_the_deciders_to_judge),
		TEST(only_the_named_plugin_decides_and_only_one),
		TEST(each_outcome_comes_back_on_its_loop),
		TEST(who_does_not_want_to_know_is_not_told),
		TEST(an_asker_may_stop_with_open_questions),
		TEST(open_questions_have_a_limit),
		TEST(a_decider_that_does_not_answer_refuses),
		TEST(a_decider_that_goes_takes_all_rights_with_it),
		TEST(a_change_is_in_force_when_it_is_told),
		TEST(others_keep_their_rights_when_one_changes),
		TEST(no_memory_for_a_change_means_no_rights),
		TEST(a_stored_principal_gets_the_rights_of_now),
		TEST(rights_change_under_those_who_judge),
		TEST(slow_work_is_done_elsewhere_and_told_here),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

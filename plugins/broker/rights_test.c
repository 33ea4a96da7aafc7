/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients may do when a plugin decides it, and what becomes of what is under way when it changes its mind: nothing
 * goes to whom it may not go to, or from whom it may not come, at the moment it goes out.
 */
#include "rig_test.h"
#include "record.h"

#include "fake_auth.h"
#include "fake_disk.h"

/* --- the decider: rules that a test takes away ------------------------------------------------------------------------- */

static struct {
	bool connect, publish, retain, receive, subscribe; /* of everybody */
	const char *not_from;                              /* who may not publish */
	const char *not_to;                                /* who may not receive */
	bool silent;                                       /* it does not answer */
	unsigned asked;
} may;

static enum edged_login_outcome who(const struct edged_door *door, char *principal)
{
	assert_string_equal(door->protocol, "mqtt");
	if (may.silent)
		return 0;
	if (!door->has_user)
		return EDGED_LOGIN_UNKNOWN;
	if (edged_slice_is(door->user, "thief"))
		return EDGED_LOGIN_REFUSED;
	if (!edged_slice_is(door->password, "pw"))
		return EDGED_LOGIN_WRONG_SECRET;
	snprintf(principal, 64, "user:%.*s", EDGED_SLICE_FMT(door->user));
	return EDGED_LOGIN_KNOWN;
}

static bool allow(const char *principal, enum edged_action action, struct edged_slice resource)
{
	may.asked++;
	if (edged_slice_starts(resource, "never"))
		return false;
	switch (action) {
	case EDGED_CONNECT:
		return may.connect;
	case EDGED_PUBLISH:
		return may.publish && (!may.not_from || strcmp(principal + 5, may.not_from) != 0);
	case EDGED_RETAIN_PUBLISH:
		return may.retain;
	case EDGED_RECEIVE:
		return may.receive && (!may.not_to || strcmp(principal + 5, may.not_to) != 0);
	case EDGED_SUBSCRIBE:
		return may.subscribe;
	default:
		return false;
	}
}

static const struct fake_decider decider = { who, allow };

static int begin(void **state)
{
	may = (typeof(may)){ true, true, true, true, true, NULL, NULL, false, 0 };
	return setup(state);
}

static int end(void **state)
{
	int r = teardown(state);
	fake_auth_reset();
	return r;
}

static void boot_decided(unsigned loops)
{
	boot(loops, NULL);
	fake_decide(host, &decider);
	fake_auto_commit(host, true);
}

static void change(void)
{
	fake_rights_changed(host);
}

/* --- clients -------------------------------------------------------------------------------------------------------------- */

/* CONNECT with user and password; `will`: on topic "w". */
static struct fake_peer *dial(uint8_t version, const char *id, const char *user, const char *password,
        bool clean, const char *will, bool will_retain)
{
	struct fake_peer *peer = fake_connect(host, 0, false);
	uint8_t bytes[300], body[280];
	struct writer b = writer(body, sizeof(body));
	write_binary(&b, edged_str("MQTT"));
	write_u8(&b, version);
	write_u8(&b, (uint8_t)((user ? 0xc0 : 0) | (clean ? 2 : 0) | (will ? 4 : 0) |
	                       (will && will_retain ? 0x20 : 0)));
	write_u16(&b, 60);
	if (version == 5)
		write_bytes(&b, clean ? "\0" : "\5\x11\0\0\xff\xff", clean ? 1 : 6);
	write_binary(&b, edged_str(id));
	if (will && version == 5)
		write_u8(&b, 0);
	if (will) {
		write_binary(&b, edged_str(will));
		write_binary(&b, edged_str("bye"));
	}
	if (user) {
		write_binary(&b, edged_str(user));
		write_binary(&b, edged_str(password));
	}
	struct writer w = writer(bytes, sizeof(bytes));
	write_u8(&w, 0x10);
	write_varint(&w, (uint32_t)(b.at - body));
	write_bytes(&w, body, (size_t)(b.at - body));
	assert_false(w.failed);
	fake_send(peer, bytes, (size_t)(w.at - bytes), 0);
	return peer;
}

/* One that must be let in. */
static struct fake_peer *come(uint8_t version, const char *id, const char *user, bool clean)
{
	struct fake_peer *peer = dial(version, id, user, "pw", clean, NULL, false);
	struct edged_slice got = fake_take(peer);
	assert_true(got.len >= 4);
	assert_int_equal(got.ptr[0], 0x20);
	assert_int_equal(got.ptr[3], 0);
	return peer;
}

static struct fake_peer *listener(
        const char *id, const char *user, const char *filter, uint8_t qos, bool clean)
{
	struct fake_peer *peer = come(4, id, user, clean);
	subscribe(peer, filter, qos);
	struct edged_slice got = fake_take(peer);
	assert_int_equal(got.len, 5);
	assert_int_equal(got.ptr[4], qos);
	return peer;
}

static bool heard(struct fake_peer *peer)
{
	struct edged_slice got = fake_take(peer);
	for (size_t at = 0; at < got.len;) {
		struct frame f;
		assert_int_equal(frame_read((const uint8_t *)got.ptr + at, got.len - at, VARINT_MAX, &f), 0);
		if (f.type == PUBLISH)
			return true;
		at += f.size;
	}
	return false;
}

#define PUB0 "\x30\x04\0\1ax"
#define PUB1 "\x32\x06\0\1a\0\1x"
#define PUB2 "\x34\x06\0\1a\0\1x"
#define KEPT "\x31\x04\0\1ax"

/* --- coming in ------------------------------------------------------------------------------------------------------------ */

static void the_decider_says_who_may_come_in(void **state)
{
	(void)state;
	boot_decided(1);
	come(4, "a", "ann", true);
	come(5, "b", "bob", true);
	REFUSED(dial(5, "c", "ann", "guess", true, NULL, false), 0x86);
	REFUSED(dial(5, "c", "thief", "pw", true, NULL, false), 0x87);
	REFUSED(dial(5, "never", "ann", "pw", true, NULL, false), 0x87);
	may.connect = false;
	REFUSED(dial(5, "c", "ann", "pw", true, NULL, false), 0x87);
	/* whom it does not know, and whom the daemon does not trust either */
	REFUSED(dial(5, "c", NULL, NULL, true, NULL, false), 0x87);
	join(4, "operator", CLEAN);
	assert_int_equal(fake_figure(host, "broker_denied_total", "action=\"connect\""), 2);
}

static void wrong_passwords_for_the_decider_cost_time_too(void **state)
{
	(void)state;
	boot_decided(1);
	for (int i = 0; i < 5; i++)
		REFUSED(dial(5, "c", "ann", "guess", true, NULL, false), 0x86);
	unsigned asked = may.asked;
	REFUSED(dial(5, "c", "ann", "pw", true, NULL, false), 0x9f);
	assert_int_equal(may.asked, asked);
}

/* Nothing is sent to it or taken from it before the answer is there. */
static void who_waits_for_the_answer_is_not_heard(void **state)
{
	(void)state;
	boot_decided(1);
	struct fake_peer *sub = listener("s", "bob", "#", 0, true);
	may.silent = true;
	struct fake_peer *p = dial(4, "a", "ann", "pw", true, NULL, false);
	SEND(p, PUB0);
	assert_int_equal(fake_take(p).len, 0);
	assert_false(heard(sub));
	assert_true(fake_answer(host, EDGED_LOGIN_KNOWN, "user:ann"));
	EXPECT(p, "\x20\2\0\0");
	assert_true(heard(sub));
	/* one that leaves meanwhile, and one whose time runs out */
	p = dial(4, "b", "ann", "pw", true, NULL, false);
	fake_hang_up(p);
	assert_true(fake_answer(host, EDGED_LOGIN_KNOWN, "user:ann"));
	p = dial(4, "b", "ann", "pw", true, NULL, false);
	fake_sleep(host, 6000);
	assert_true(fake_closed(p));
	assert_true(fake_answer(host, EDGED_LOGIN_KNOWN, "user:ann"));
	p = dial(5, "b", "ann", "pw", true, NULL, false);
	assert_true(fake_answer(host, EDGED_LOGIN_UNDECIDED, ""));
	REFUSED(p, 0x88);
}

static void a_decider_that_is_gone_lets_nobody_in(void **state)
{
	(void)state;
	boot_decided(1);
	struct fake_peer *p = come(5, "a", "ann", true), *sub = listener("s", "bob", "#", 0, true);
	fake_decide(host, NULL);
	REFUSED(dial(5, "b", "ann", "pw", true, NULL, false), 0x88);
	REFUSED(dial(5, "b", NULL, NULL, true, NULL, false), 0x87);
	join(4, "operator", CLEAN);
	assert_false(fake_closed(p)); /* but may do nothing */
	SEND(p, "\x32\x07\0\1a\0\1\0x");
	EXPECT(p, "\x40\3\0\1\x97");
	SEND(p, "\x82\7\0\1\0\0\1a\0");
	EXPECT(p, "\x90\4\0\1\0\x97");
	SEND(p, "\x30\x05\0\1a\0x");
	assert_false(heard(sub));
	fake_decide(host, &decider);
	SEND(p, "\x32\x07\0\1a\0\1\0x");
	EXPECT(p, "\x40\2\0\1");
	assert_true(heard(sub));
}

/* Who came in before there was a decider, with a name or a certificate, has to come again. */
static void who_came_before_the_decider_comes_again(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *named = join_with(5, "a", 0x82, NULL, 0, "\0\3ann", 5),
	                 *operator= join(4, "o", CLEAN);
	quiet(named);
	assert_false(fake_closed(named));
	fake_decide(host, &decider);
	BYE(named, 0x98);
	assert_false(fake_closed(operator));
}

/* --- publishing and subscribing ------------------------------------------------------------------------------------------- */

static void publishing_is_judged(void **state)
{
	(void)state;
	boot_decided(1);
	struct fake_peer *new = come(5, "a", "ann", true), *old = come(4, "b", "bob", true),
	                 *sub = listener("s", "bob", "#", 0, true);
	may.publish = false;
	change();
	SEND(new, "\x32\x07\0\1a\0\1\0x");
	EXPECT(new, "\x40\3\0\1\x87");
	SEND(new, "\x34\x07\0\1a\0\2\0x");
	EXPECT(new, "\x50\3\0\2\x87");
	SEND(new, "\x30\x05\0\1a\0x");
	assert_false(fake_closed(new));
	SEND(old, PUB0); /* MQTT 3 cannot be told */
	assert_true(fake_closed(old));
	old = come(4, "b", "bob", true);
	SEND(old, PUB1);
	assert_int_equal(fake_take(old).len, 0);
	assert_true(fake_closed(old));
	assert_false(heard(sub));
	assert_int_equal(fake_figure(host, "broker_denied_total", "action=\"publish\""), 5);
	may.publish = true;
	may.retain = false;
	change();
	SEND(new, "\x33\x07\0\1a\0\1\0x");
	EXPECT(new, "\x40\3\0\1\x87");
	SEND(new, "\x32\x07\0\1a\0\1\0x");
	EXPECT(new, "\x40\2\0\1");
}

static void each_filter_is_judged_by_its_text(void **state)
{
	(void)state;
	boot_decided(1);
	struct fake_peer *p = come(5, "a", "ann", true);
	SEND(p, "\x82\x15\0\1\0\0\1a\0\0\7never/#\0\0\1b\1");
	EXPECT(p, "\x90\6\0\1\0\0\x87\1");
	SEND(p, "\x82\x10\0\1\0\0\x0a$share/g/a\0");
	EXPECT(p, "\x90\4\0\1\0\0");
	may.subscribe = false;
	SEND(p, "\x82\x10\0\1\0\0\x0a$share/g/b\0");
	EXPECT(p, "\x90\4\0\1\0\x87");
	struct fake_peer *old = come(4, "b", "bob", true);
	subscribe(old, "a", 1);
	EXPECT(old, "\x90\3\0\1\x80");
}

static void a_will_is_judged_at_connect(void **state)
{
	(void)state;
	boot_decided(1);
	REFUSED(dial(5, "a", "ann", "pw", true, "never", false), 0x87);
	may.retain = false;
	REFUSED(dial(5, "a", "ann", "pw", true, "w", true), 0x87);
	struct fake_peer *p = dial(5, "a", "ann", "pw", true, "w", false);
	assert_false(fake_closed(p));
}

/* The decider is not asked twice for the same thing while nothing changes. */
static void decisions_are_kept_until_something_changes(void **state)
{
	(void)state;
	boot_decided(1);
	struct fake_peer *p = come(4, "a", "ann", true), *sub = listener("s", "bob", "#", 0, true);
	SEND(p, PUB0);
	unsigned asked = may.asked;
	for (int i = 0; i < 100; i++)
		SEND(p, PUB0);
	assert_int_equal(may.asked, asked);
	assert_true(heard(sub));
	may.receive = false;
	SEND(p, PUB0);
	assert_true(heard(sub)); /* it has not said so yet */
	change();
	SEND(p, PUB0);
	assert_false(heard(sub));
	assert_true(may.asked > asked);
	may.receive = true;
	change();
	SEND(p, PUB0);
	assert_true(heard(sub));
}

/* --- stale rights: one test for each place where a message or a right waits (see the README) --------------------------- */

static void revoked_connections_end(void **state)
{
	(void)state;
	boot_decided(1);
	struct fake_peer *a = come(5, "a", "ann", true), *b = come(4, "b", "bob", false);
	may.connect = false;
	change();
	BYE(a, 0x87);
	assert_true(fake_closed(b));
}

static void revoked_subscriptions_go(void **state)
{
	(void)state;
	boot_decided(1);
	struct fake_peer *op = join(4, "o", CLEAN), *sub = listener("s", "bob", "a", 0, true);
	may.subscribe = false;
	change();
	SEND(op, PUB0);
	assert_false(heard(sub));
	may.subscribe = true;
	change();
	SEND(op, PUB0);
	assert_false(heard(sub)); /* it is gone, not hidden */
	assert_int_equal(fake_figure(host, "broker_denied_total", "action=\"subscribe\""), 1);
}

static void revoked_shared_subscriptions_go(void **state)
{
	(void)state;
	for (unsigned loops = 1; loops <= 2; loops++) {
		boot_decided(loops);
		struct fake_peer *op = join(4, "o", CLEAN),
		                 *sub = listener("s", "bob", "$share/g/a", 0, true);
		SEND(op, PUB0);
		assert_true(heard(sub));
		may.subscribe = false;
		change();
		SEND(op, PUB0);
		assert_false(heard(sub));
		may.subscribe = true;
		fake_decide(host, NULL);
		fake_host_free(host, true);
		host = NULL;
	}
}

static unsigned hears(struct fake_peer *p)
{
	return (unsigned)(fake_take(p).len / (sizeof(PUB0) - 1));
}

/* The others take turns as if it were not there; it takes part again when it may. */
static void a_shared_message_goes_to_one_that_may_have_it(void **state)
{
	(void)state;
	for (unsigned loops = 1; loops <= 3; loops++) {
		boot_decided(loops);
		may.not_to = NULL;
		struct fake_peer *op = join(4, "o", CLEAN),
		                 *ann = listener("a", "ann", "$share/g/a", 0, true),
		                 *bob = listener("b", "bob", "$share/g/a", 0, true),
		                 *cid = listener("c", "cid", "$share/g/a", 0, true);
		may.not_to = "bob";
		change();
		for (int i = 0; i < 12; i++)
			SEND(op, PUB0);
		unsigned first = hears(ann), second = hears(cid);
		assert_int_equal(first + second, 12);
		assert_in_range(first, 4, 8); /* his turn falls to the one behind him */
		assert_int_equal(hears(bob), 0);
		assert_int_equal(fake_figure(host, "broker_denied_total", "action=\"receive\""), 0);
		may.not_to = "nobody";
		change();
		for (int i = 0; i < 12; i++)
			SEND(op, PUB0);
		assert_int_equal(hears(bob), 4);
		may.receive = false; /* nobody may */
		change();
		SEND(op, PUB0);
		assert_int_equal(fake_figure(host, "broker_denied_total", "action=\"receive\""), 1);
		may.receive = true;
		change();
		quiet(ann);
		quiet(cid);
		SEND(op, PUB0);
		assert_int_equal(hears(ann) + hears(bob) + hears(cid), 1);
		fake_decide(host, NULL);
		fake_host_free(host, true);
		host = NULL;
	}
}

/* One that is away, and may have it, comes before one that is here and may not; a session keeps no rights of who had it. */
static void a_shared_message_waits_for_one_that_may_have_it(void **state)
{
	(void)state;
	for (unsigned loops = 1; loops <= 3; loops++) {
		boot_decided(loops);
		may.not_to = "bob";
		struct fake_peer *op = join(4, "o", CLEAN),
		                 *bob = listener("b", "bob", "$share/g/a", 1, true);
		fake_hang_up(listener("a", "ann", "$share/g/a", 1, false));
		SEND(op, PUB1);
		assert_false(heard(bob));
		struct fake_peer *ann = dial(4, "a", "ann", "pw", false, NULL, false);
		assert_true(fake_take(ann).len > 4);
		(void)dial(4, "a", "bob", "pw", true, NULL,
		        false); /* takes the client id, and the session ends */
		SEND(op, PUB1);
		assert_false(heard(bob));
		fake_decide(host, NULL);
		fake_host_free(host, true);
		fake_disk_free(disk);
		disk = fake_disk_new();
		host = NULL;
	}
}

/* CVE-2021-34434: what was subscribed to outlived the right in a durable session. */
static void a_durable_session_keeps_no_revoked_subscription(void **state)
{
	(void)state;
	boot_decided(1);
	fake_hang_up(listener("s", "bob", "a", 1, false));
	may.subscribe = false;
	fake_host_free(host, true); /* not in memory either */
	boot_decided(1);
	struct fake_peer *sub = come(4, "s", "bob", false), *op = join(4, "o", CLEAN);
	SEND(op, PUB1);
	assert_false(heard(sub));
	may.subscribe = true;
	fake_hang_up(sub);
	fake_host_free(host, true);
	boot_decided(1);
	sub = come(4, "s", "bob", false);
	op = join(4, "o", CLEAN);
	SEND(op, PUB1);
	assert_false(heard(sub));
}

static void queued_messages_are_judged_when_they_go_out(void **state)
{
	(void)state;
	boot_decided(1);
	struct fake_peer *op = join(4, "o", CLEAN);
	fake_hang_up(listener("s", "bob", "a", 1, false));
	SEND(op, PUB1);
	may.receive = false;
	change();
	struct fake_peer *sub = come(4, "s", "bob", false);
	assert_false(heard(sub));
	assert_int_equal(fake_disk_rows_of(disk, "messages", RECORD_ENTRY_GONE), 1);
	may.receive = true;
	fake_host_free(host, true);
	boot_decided(1);
	sub = come(4, "s", "bob", false);
	assert_false(heard(sub));
}

static void messages_in_flight_are_judged_when_they_go_out_again(void **state)
{
	(void)state;
	boot_decided(1);
	struct fake_peer *op = join(4, "o", CLEAN), *sub = listener("s", "bob", "a", 1, false);
	SEND(op, PUB1);
	assert_true(heard(sub));
	fake_hang_up(sub);
	may.receive = false;
	change();
	sub = come(4, "s", "bob", false);
	assert_false(heard(sub));
}

/* CVE-2021-34434's sister in 2.0.12. The exchange is completed, so that its packet id means nothing else. */
static void messages_of_qos_2_in_flight_are_completed_without_the_message(void **state)
{
	(void)state;
	boot_decided(1);
	struct fake_peer *op = join(4, "o", CLEAN), *sub = listener("s", "bob", "a", 2, false);
	SEND(op, PUB2);
	fake_run(host);
	assert_true(heard(sub));
	fake_hang_up(sub);
	may.receive = false;
	change();
	sub = dial(4, "s", "bob", "pw", false, NULL, false);
	EXPECT(sub, "\x20\2\1\0\x62\2\0\1");
	SEND(sub, "\x70\2\0\1");
	assert_int_equal(fake_disk_rows_of(disk, "messages", RECORD_ENTRY_GONE), 1);
}

/* The id is on its way to the disk while the right goes. */
static void messages_of_qos_2_are_judged_after_the_disk_too(void **state)
{
	(void)state;
	boot_decided(1);
	struct fake_peer *op = join(4, "o", CLEAN), *sub = listener("s", "bob", "a", 2, false);
	fake_auto_commit(host, false);
	SEND(op, PUB2);
	assert_false(heard(sub));
	may.receive = false;
	change();
	fake_auto_commit(host, true);
	assert_false(heard(sub));
}

static void retained_messages_are_judged_when_they_go_out(void **state)
{
	(void)state;
	boot_decided(1);
	struct fake_peer *op = join(4, "o", CLEAN);
	SEND(op, KEPT);
	may.receive = false;
	struct fake_peer *sub = come(4, "s", "bob", true);
	subscribe(sub, "#", 0);
	assert_false(heard(sub));
	may.receive = true;
	change();
	subscribe(sub, "#", 0);
	assert_true(heard(sub));
}

/* CVE-2018-12546: the retained message of a publisher whose right was taken away. Also after a start. */
static void retained_messages_of_a_revoked_publisher_stay_where_they_are(void **state)
{
	(void)state;
	boot_decided(1);
	struct fake_peer *p = come(4, "a", "ann", true), *op = join(4, "o", CLEAN);
	SEND(p, KEPT);
	may.not_from = "ann";
	change();
	subscribe(op, "#", 0);
	assert_false(heard(op));
	fake_host_free(host, true);
	boot_decided(1);
	op = join(4, "o", CLEAN);
	subscribe(op, "#", 0);
	assert_false(heard(op));
	may.not_from = NULL;
	change();
	subscribe(op, "#", 0);
	assert_true(heard(op));
}

/* Also after a start. */
static void queued_messages_of_a_revoked_publisher_are_dropped(void **state)
{
	(void)state;
	for (int restart = 0; restart < 2; restart++) {
		may.not_from = NULL;
		boot_decided(1);
		struct fake_peer *p = come(4, "a", "ann", true), *op = join(4, "o", KEEP);
		subscribe(op, "a", 1);
		fake_hang_up(op);
		SEND(p, PUB1);
		may.not_from = "ann";
		if (restart) {
			fake_host_free(host, true);
			boot_decided(1);
		} else {
			change();
		}
		op = join(4, "o", KEEP);
		assert_false(heard(op));
		assert_int_equal(fake_figure(host, "broker_denied_total", "action=\"author\""), 1);
		fake_host_free(host, true);
		host = NULL;
	}
}

/* Nothing acknowledged is lost while there is nobody who could judge it. */
static void queued_messages_wait_for_the_decider(void **state)
{
	(void)state;
	boot_decided(1);
	struct fake_peer *p = come(4, "a", "ann", true), *op = join(4, "o", KEEP);
	subscribe(op, "a", 1);
	fake_hang_up(op);
	SEND(p, PUB1);
	fake_decide(host, NULL);
	op = join(4, "o", KEEP);
	assert_false(heard(op));
	fake_decide(host, &decider);
	assert_true(heard(op));
}

static void the_will_of_a_revoked_client_is_not_published(void **state)
{
	(void)state;
	boot_decided(1);
	struct fake_peer *sub = listener("s", "bob", "#", 0, true);
	struct fake_peer *p = dial(4, "a", "ann", "pw", true, "w", false);
	may.not_from = "ann";
	change();
	fake_hang_up(p);
	assert_false(heard(sub));
	may.not_from = NULL;
	change();
	fake_hang_up(dial(4, "a", "ann", "pw", true, "w", false));
	assert_true(heard(sub));
}

/* What one has queued is not given to another who takes the client id. */
static void a_session_is_not_taken_over_by_somebody_else(void **state)
{
	(void)state;
	for (int restart = 0; restart < 2; restart++) {
		boot_decided(1);
		struct fake_peer *op = join(4, "o", CLEAN);
		fake_hang_up(listener("s", "bob", "a", 1, false));
		SEND(op, PUB1);
		if (restart) {
			fake_host_free(host, true);
			boot_decided(1);
		}
		struct fake_peer *thief = dial(4, "s", "ann", "pw", false, NULL, false);
		EXPECT(thief, "\x20\2\0\0");
		assert_int_equal(fake_figure(host, "broker_sessions_discarded_total", NULL), 1);
		fake_hang_up(thief);
		thief = dial(4, "s", "ann", "pw", false, NULL, false);
		EXPECT(thief, "\x20\2\1\0"); /* its own */
		fake_host_free(host, true);
		host = NULL;
		fake_disk_free(disk);
		disk = fake_disk_new();
	}
}

static void a_session_comes_back_to_its_owner(void **state)
{
	(void)state;
	boot_decided(1);
	fake_hang_up(listener("s", "bob", "a", 1, false));
	struct fake_peer *op = join(4, "o", CLEAN);
	SEND(op, PUB1);
	fake_host_free(host, true);
	boot_decided(1);
	struct fake_peer *sub = dial(4, "s", "bob", "pw", false, NULL, false);
	EXPECT(sub, "\x20\2\1\0\x32\6\0\1a\0\1x");
}

/* 2017-7650: wildcards in names that go into decisions are just characters. */
static void odd_names_are_judged_as_they_are(void **state)
{
	(void)state;
	boot_decided(1);
	REFUSED(dial(5, "never#", "ann", "pw", true, NULL, false), 0x87);
	come(5, "+", "ann", true);
	come(5, "#", "+", true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_decider_says_who_may_come_in),
		TEST(wrong_passwords_for_the_decider_cost_time_too),
		TEST(who_waits_for_the_answer_is_not_heard),
		TEST(a_decider_that_is_gone_lets_nobody_in),
		TEST(who_came_before_the_decider_comes_again),
		TEST(publishing_is_judged),
		TEST(each_filter_is_judged_by_its_text),
		TEST(a_will_is_judged_at_connect),
		TEST(decisions_are_kept_until_something_changes),
		TEST(revoked_connections_end),
		TEST(revoked_subscriptions_go),
		TEST(revoked_shared_subscriptions_go),
		TEST(a_shared_message_goes_to_one_that_may_have_it),
		TEST(a_shared_message_waits_for_one_that_may_have_it),
		TEST(a_durable_session_keeps_no_revoked_subscription),
		TEST(queued_messages_are_judged_when_they_go_out),
		TEST(messages_in_flight_are_judged_when_they_go_out_again),
		TEST(messages_of_qos_2_in_flight_are_completed_without_the_message),
		TEST(messages_of_qos_2_are_judged_after_the_disk_too),
		TEST(retained_messages_are_judged_when_they_go_out),
		TEST(retained_messages_of_a_revoked_publisher_stay_where_they_are),
		TEST(queued_messages_of_a_revoked_publisher_are_dropped),
		TEST(queued_messages_wait_for_the_decider),
		TEST(the_will_of_a_revoked_client_is_not_published),
		TEST(a_session_is_not_taken_over_by_somebody_else),
		TEST(a_session_comes_back_to_its_owner),
		TEST(odd_names_are_judged_as_they_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

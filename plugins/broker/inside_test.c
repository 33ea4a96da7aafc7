/* SPDX-License-Identifier: Apache-2.0 */
/* Durable sessions whose client is a plugin ("edged.session/1"). */
#include "broker.h"
#include "edged/cap_session.h"
#include "rig_test.h"

/* What the plugin was told: "t:1 u:2 " for deliveries (s: for a shared subscription), "=3 " for a release, "!-5 " for the end. */
static struct {
	char text[2000];
	size_t n;
	uint16_t last_id;
	uint32_t last_share;
	bool dealt_with; /* deliver() says so */
} log_;

static const struct edged_session_1 *sessions;
static edged_handle session;

static void say(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	log_.n += (size_t)vsnprintf(log_.text + log_.n, sizeof(log_.text) - log_.n, format, args);
	va_end(args);
	assert_true(log_.n < sizeof(log_.text));
}

static bool deliver(void *arg, const struct edged_session_message *m, uint16_t id, bool again)
{
	(void)arg;
	say("%.*s:%.*s/%d%s%s%s ", EDGED_SLICE_FMT(m->topic), EDGED_SLICE_FMT(m->payload), m->qos,
	        m->retain ? "r" : "", again ? "a" : "", m->share ? "s" : "");
	log_.last_id = id;
	log_.last_share = m->share;
	return !log_.dealt_with;
}

static void release(void *arg, uint16_t id)
{
	(void)arg;
	say("=%d ", id == log_.last_id);
}

static void detached(void *arg, int reason)
{
	(void)arg;
	say("!%d ", reason);
}

static const struct edged_session_handler handler = {
	.struct_size = sizeof(handler), .deliver = deliver, .release = release, .detached = detached
};

static void heard(const char *text, int line)
{
	if (strcmp(log_.text, text) != 0)
		fail_msg("line %d: \"%s\" instead of \"%s\"", line, log_.text, text);
	log_.text[log_.n = 0] = '\0';
}
#define HEARD(text) heard(text, __LINE__)

static struct edged_session_options options = {
	.struct_size = sizeof(options), .name = "test/a", .queue_messages = 100, .queue_bytes = 10000
};

static void open_it(void)
{
	log_.text[log_.n = 0] = '\0';
	log_.dealt_with = false;
	sessions = edged_plugin_v1.offer(fake_self(host), EDGED_SESSION_1);
	assert_int_equal(sessions->open(sessions->ctx, &options, &handler, NULL, &session), 0);
}

static void subscribe_to(const char *filter, uint8_t opts)
{
	assert_int_equal(sessions->subscribe(sessions->ctx, session, &filter, &opts, 1), 0);
	fake_run(host);
}

static void attach(uint16_t window, bool anew)
{
	assert_int_equal(sessions->attach(sessions->ctx, session, window, anew), 0);
	fake_run(host);
}

static void start(void)
{
	boot(1, NULL);
	fake_auto_commit(host, true);
	options.queue_messages = 100;
	options.drop_oldest = false;
	open_it();
	subscribe_to("#", 2 | OPT_NO_LOCAL | OPT_RETAIN_AS_PUBLISHED | 0x10);
}

static void publish_one(struct fake_peer *p, uint8_t qos, const char *payload)
{
	uint8_t bytes[64];
	struct writer w = writer(bytes, sizeof(bytes));
	write_u8(&w, (uint8_t)(0x30 | qos << 1));
	write_u8(&w, (uint8_t)(3 + (qos ? 2 : 0) + strlen(payload)));
	write_binary(&w, edged_str("t"));
	if (qos)
		write_u16(&w, 7);
	write_bytes(&w, payload, strlen(payload));
	fake_send(p, bytes, (size_t)(w.at - bytes), 0);
}

static struct edged_session_figures figures(void)
{
	struct edged_session_figures f = { .struct_size = sizeof(f) };
	assert_int_equal(sessions->figures(sessions->ctx, session, &f), 0);
	return f;
}

static void kill_and_open(void)
{
	crash();
	fake_auto_commit(host, true);
	open_it();
}

static void note(void *arg, int result)
{
	*(int *)arg = result;
}

static int put_in(const char *topic, uint8_t qos, uint16_t id, int *result)
{
	struct edged_session_message m = {
		.struct_size = sizeof(m), .topic = edged_str(topic), .payload = edged_str("x"), .qos = qos
	};
	*result = 99;
	return sessions->publish(sessions->ctx, session, &m, id, note, result);
}

/* --- out ------------------------------------------------------------------------------------------------------------------ */

static void what_was_acknowledged_is_delivered_after_kill_9(void **state)
{
	(void)state;
	start();
	fake_auto_commit(host, false);
	struct fake_peer *p = join(4, "p", CLEAN);
	publish_one(p, 1, "1");
	EXPECT(p, ""); /* nothing is promised yet */
	fake_commit(host, 0);
	EXPECT(p, "\x40\2\0\7");
	fake_auto_commit(host, true);
	publish_one(p, 1, "2");
	publish_one(p, 0, "0"); /* nobody is attached */
	crash();
	fake_auto_commit(host, true);
	p = join(4, "p", CLEAN);
	publish_one(p, 1, "3"); /* before the plugin comes */
	open_it();
	assert_int_equal(figures().waiting, 3);
	attach(2, false);
	HEARD("t:1/1 t:2/1 ");
	assert_int_equal(figures().in_flight, 2);
	sessions->puback(sessions->ctx, session, 2);
	HEARD("t:3/1 ");
	publish_one(p, 0, "now");
	HEARD("t:now/0 ");
	kill_and_open(); /* only 2 was acknowledged */
	attach(10, false);
	HEARD("t:1/1 t:3/1 ");
	sessions->puback(sessions->ctx, session, log_.last_id);
	sessions->puback(sessions->ctx, session, (uint16_t)(log_.last_id - 1));
	sessions->puback(sessions->ctx, session, 999);
	assert_int_equal(figures().acknowledged, 2);
	fake_run(host);
	kill_and_open();
	attach(10, false);
	HEARD("");
}

static void what_was_not_acknowledged_comes_again_in_order(void **state)
{
	(void)state;
	start();
	struct fake_peer *p = join(4, "p", CLEAN);
	attach(2, false);
	for (char c = '1'; c < '5'; c++)
		publish_one(p, 1, (char[]){ c, 0 });
	HEARD("t:1/1 t:2/1 ");
	sessions->detach(sessions->ctx, session);
	sessions->puback(sessions->ctx, session, 1); /* too late */
	attach(3, false);
	HEARD("t:1/1a t:2/1a t:3/1 ");
	sessions->flow(sessions->ctx, session, false);
	sessions->puback(sessions->ctx, session, 1);
	HEARD("");
	sessions->flow(sessions->ctx, session, true);
	fake_run(host);
	HEARD("t:4/1 ");
	log_.dealt_with = true;
	publish_one(p, 1, "5");
	sessions->puback(sessions->ctx, session, 2);
	HEARD("t:5/1 ");
	assert_int_equal(figures().in_flight, 2);
	assert_int_equal(figures().waiting, 0);
}

static void qos2_goes_out_once(void **state)
{
	(void)state;
	start();
	fake_auto_commit(host, false);
	struct fake_peer *p = join(4, "p", CLEAN);
	attach(10, false);
	publish_one(p, 2, "1");
	HEARD(""); /* its packet id is not on the disk */
	fake_commit(host, 0);
	HEARD("t:1/2 ");
	sessions->pubrec(sessions->ctx, session, log_.last_id, 0);
	HEARD("");
	fake_commit(host, 0);
	HEARD("=1 ");
	crash();
	open_it();
	fake_auto_commit(host, true);
	attach(10, false);
	assert_memory_equal(log_.text, "=", 1); /* not the message again */
	HEARD(log_.text);
	sessions->pubcomp(sessions->ctx, session, 1);
	assert_int_equal(figures().acknowledged, 1);
	fake_run(host);
	kill_and_open();
	attach(10, false);
	HEARD("");
}

static void retained_messages_wait_for_it(void **state)
{
	(void)state;
	boot(1, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *p = join(4, "p", CLEAN);
	SEND(p, "\x31\4\0\1r1"); /* retained at QoS 0 */
	options.queue_messages = 100;
	open_it();
	subscribe_to("r", 1 | 0x10);
	kill_and_open();
	subscribe_to("r", 1 | 0x10);
	attach(10, false);
	HEARD("r:1/1r ");
	p = join(4, "p", CLEAN);
	const char *none[] = { "other" };
	uint8_t opts[] = { 1 };
	assert_int_equal(sessions->subscribe(sessions->ctx, session, none, opts, 1), 0);
	SEND(p, "\x31\4\0\1r2");
	HEARD("");
	none[0] = "a/#/b";
	assert_int_equal(sessions->subscribe(sessions->ctx, session, none, opts, 1), -EINVAL);
}

/* --- the queue's bounds ------------------------------------------------------------------------------------------------------ */

static void a_full_queue_drops_new_or_old(void **state)
{
	(void)state;
	start();
	struct fake_peer *p = join(4, "p", CLEAN);
	options.queue_messages = 2;
	assert_int_equal(sessions->limit(sessions->ctx, session, &options), 0);
	for (char c = '1'; c < '5'; c++)
		publish_one(p, 1, (char[]){ c, 0 });
	assert_int_equal(figures().dropped, 2);
	options.drop_oldest = true;
	assert_int_equal(sessions->limit(sessions->ctx, session, &options), 0);
	publish_one(p, 1, "5");
	assert_int_equal(figures().dropped, 3);
	attach(10, false);
	HEARD("t:2/1 t:5/1 ");
	sessions->detach(sessions->ctx, session);
	for (char c = '6'; c < '9'; c++)
		publish_one(p, 1, (char[]){ c, 0 });
	/* What was on the way stays, and counts. */
	attach(10, false);
	HEARD("t:2/1a t:5/1a ");
	assert_int_equal(figures().dropped, 6);
	options.drop_oldest = false;
}

/* --- in ------------------------------------------------------------------------------------------------------------------- */

static void what_comes_in_is_acknowledged_when_it_is_durable(void **state)
{
	(void)state;
	start();
	struct fake_peer *s = join(4, "s", KEEP);
	subscribe(s, "in", 1);
	quiet(s);
	attach(10, false);
	fake_auto_commit(host, false);
	int first, second, third;
	assert_int_equal(put_in("in", 1, 0, &first), 0);
	assert_int_equal(put_in("nobody", 1, 0, &second), 0);
	fake_run(host);
	EXPECT(s, "\x32\7\0\2in\0\1x");
	assert_int_equal(first, 99);
	assert_int_equal(second, 99); /* in order */
	fake_commit(host, 0);
	assert_int_equal(first, 0);
	assert_int_equal(second, 0);
	HEARD(""); /* nothing of it goes back */
	assert_int_equal(put_in("in", 1, 0, &third), 0);
	fake_commit(host, -ENOSPC);
	assert_int_equal(third, -ENOSPC);
	assert_int_equal(put_in("+", 1, 0, &third), -EINVAL);
	assert_int_equal(put_in("in", 1, 0, &third), 0);
	fake_run(host);
	sessions->close(sessions->ctx, session);
	assert_int_equal(third, -ECANCELED);
	fake_commit(host, 0); /* nobody is told twice */
	assert_int_equal(sessions->attach(sessions->ctx, session, 1, false), -ENOENT);
}

static void qos2_comes_in_once(void **state)
{
	(void)state;
	start();
	int result;
	struct fake_peer *s = join(4, "s", KEEP);
	subscribe(s, "in", 2);
	quiet(s);
	assert_int_equal(put_in("in", 2, 5, &result), 0);
	fake_run(host);
	assert_int_equal(result, 0);
	kill_and_open();
	assert_int_equal(put_in("in", 2, 5, &result), 0);
	fake_run(host);
	assert_int_equal(result, 0);
	s = join_with(4, "s", KEEP, NULL, 0, NULL, 0);
	EXPECT(s, "\x20\2\1\0\x3c\7\0\2in\0\1x");
	assert_int_equal(sessions->release(sessions->ctx, session, 5, note, &result), 0);
	fake_run(host);
	assert_int_equal(put_in("in", 2, 5, &result), 0);
	fake_run(host);
	EXPECT(s, "\x34\7\0\2in\0\2x");
	/* The other side has lost its session: the same id means another message. */
	attach(10, true);
	assert_int_equal(put_in("in", 2, 5, &result), 0);
	fake_run(host);
	EXPECT(s, "\x34\7\0\2in\0\3x");
	/* A commit that fails forgets the id, so that the message may come again. */
	fake_auto_commit(host, false);
	assert_int_equal(put_in("in", 2, 6, &result), 0);
	fake_commit(host, -EIO);
	assert_int_equal(result, -EIO);
	fake_auto_commit(host, true);
	assert_int_equal(put_in("in", 2, 6, &result), 0);
	fake_run(host);
	assert_int_equal(result, 0);
}

/* --- life ------------------------------------------------------------------------------------------------------------------ */

static void found(void *arg, const char *name)
{
	(void)arg;
	say("%s ", name);
}

static void sessions_have_names(void **state)
{
	(void)state;
	start();
	edged_handle other;
	assert_int_equal(sessions->open(sessions->ctx, &options, &handler, NULL, &other), -EEXIST);
	options.name = "a name";
	assert_int_equal(sessions->open(sessions->ctx, &options, &handler, NULL, &other), -EINVAL);
	options.name = "test/a";
	kill_and_open();
	sessions->names(sessions->ctx, "test/", found, NULL);
	HEARD("test/a ");
	assert_int_equal(sessions->forget(sessions->ctx, "test/a"), -EBUSY);
	sessions->close(sessions->ctx, session);
	sessions->close(sessions->ctx, session);
	assert_int_equal(sessions->forget(sessions->ctx, "test/a"), 0);
	assert_int_equal(sessions->forget(sessions->ctx, "test/a"), -ENOENT);
	fake_run(host);
	kill_and_open();
	assert_int_equal(figures().waiting, 0);
	/* Nobody from outside can take it. */
	struct fake_peer *p = join_with(5, "$plugin/test/a", CLEAN, NULL, 0, NULL, 0);
	REFUSED(p, REASON_CLIENT_ID);
}

/* Through it; it has no "no local". */
static void put(const char *topic, const char *payload, bool retain)
{
	const struct edged_session_message m = { .struct_size = sizeof(m),
		.topic = edged_str(topic),
		.payload = edged_str(payload),
		.qos = 1,
		.retain = retain };
	assert_int_equal(sessions->publish(sessions->ctx, session, &m, 0, NULL, NULL), 0);
	fake_run(host);
}

static void there_may_be_as_many_as_the_limit_says(void **state)
{
	(void)state;
	static const struct fake_setting settings[] = { { "limits.plugin_sessions", 300 }, { NULL, 0 } };
	edged_handle handles[300], other;
	char name[24];
	boot(1, settings);
	fake_auto_commit(host, true);
	sessions = edged_plugin_v1.offer(fake_self(host), EDGED_SESSION_1);
	struct edged_session_options o = options;
	o.name = name;
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "test/%d", i);
		assert_int_equal(sessions->open(sessions->ctx, &o, &handler, NULL, &handles[i]), 0);
	}
	assert_int_equal(fake_figure(host, "broker_plugin_sessions", NULL), 300);
	o.name = "test/x";
	assert_int_equal(sessions->open(sessions->ctx, &o, &handler, NULL, &other), -ENOSPC);
	sessions->close(sessions->ctx, handles[7]);
	assert_int_equal(sessions->open(sessions->ctx, &o, &handler, NULL, &other), 0);
	struct edged_session_figures f = { .struct_size = sizeof(f) };
	assert_int_equal(sessions->figures(sessions->ctx, handles[7], &f), -ENOENT);
	assert_int_equal(sessions->figures(sessions->ctx, handles[299], &f), 0);
	/* each hears its own */
	session = handles[299];
	subscribe_to("x", 1);
	attach(10, false);
	put("x", "1", false);
	HEARD("x:1/1 ");
	fake_run(host);
}

static void one_subscription_comes_and_goes(void **state)
{
	(void)state;
	static const struct fake_setting settings[] = { { "limits.subscriptions", 2 }, { NULL, 0 } };
	boot(1, settings);
	fake_auto_commit(host, true);
	open_it();
	attach(10, false);
	uint64_t version = sessions->retained_version(sessions->ctx);
	assert_int_equal(sessions->subscribe_one(sessions->ctx, session, "a/+", 0), 0);
	assert_int_equal(sessions->subscribe_one(sessions->ctx, session, "b", 1), 0);
	assert_int_equal(sessions->subscribe_one(sessions->ctx, session, "c", 1), -ENOSPC);
	assert_int_equal(sessions->subscribe_one(sessions->ctx, session, "a/+", 1), 0);
	assert_int_equal(sessions->subscribe_one(sessions->ctx, session, "a/#/b", 1), -EINVAL);
	put("a/x", "1", false);
	put("b", "2", false);
	put("c", "3", false);
	HEARD("a/x:1/1 b:2/1 ");
	assert_int_equal(sessions->unsubscribe_one(sessions->ctx, session, "a/+"), 0);
	assert_int_equal(sessions->unsubscribe_one(sessions->ctx, session, "a/+"), -ENOENT);
	assert_int_equal(sessions->unsubscribe_one(sessions->ctx, session, "a/#/b"), -ENOENT);
	assert_int_equal(sessions->subscribe_one(sessions->ctx, session, "c", 1), 0);
	put("a/x", "4", false);
	put("c", "5", false);
	HEARD("c:5/1 ");
	assert_true(sessions->retained_version(sessions->ctx) == version);
	put("x", "kept", true);
	assert_true(sessions->retained_version(sessions->ctx) != version);
	/* it is in the store, too */
	kill_and_open();
	attach(10, false);
	log_.text[log_.n = 0] = '\0';
	put("a/x", "6", false);
	put("c", "7", false);
	HEARD("c:7/1 ");
}

static void a_disk_that_is_full_detaches_it(void **state)
{
	(void)state;
	start();
	fake_auto_commit(host, false);
	struct fake_peer *p = join(4, "p", CLEAN);
	attach(10, false);
	publish_one(p, 2, "1");
	fake_commit(host, -ENOSPC);
	HEARD("!-5 ");
	attach(10, false);
	fake_commit(host, 0);
	HEARD("t:1/2 ");
}

static void what_comes_from_another_node_stays_here(void **state)
{
	(void)state;
	edged_handle other;
	options.apart = true;
	start();
	options.name = "test/b";
	assert_int_equal(sessions->open(sessions->ctx, &options, &handler, NULL, &other), 0);
	options.name = "test/a";
	options.apart = false;
	struct fake_peer *s = join(4, "s", CLEAN), *member = join(4, "m", CLEAN);
	subscribe(s, "t", 1);
	subscribe(member, "$share/g/t", 1);
	quiet(s);
	quiet(member);
	attach(10, false);
	int result;
	const struct edged_session_message m = {
		.struct_size = sizeof(m), .topic = edged_str("t"), .payload = edged_str("x"), .qos = 1
	};
	assert_int_equal(sessions->publish(sessions->ctx, other, &m, 0, note, &result), 0);
	fake_run(host);
	assert_int_equal(result, 0);
	EXPECT(s, "\x32\6\0\1t\0\1x");
	quiet(member);
	HEARD("");
	/* What is published here goes to all of them. */
	struct fake_peer *p = join(4, "p", CLEAN);
	publish_one(p, 1, "1");
	HEARD("t:1/1 ");
}

static void put_shared(edged_handle from, uint32_t share, int line)
{
	int result = 99;
	const struct edged_session_message m = { .struct_size = sizeof(m),
		.topic = edged_str("t"),
		.payload = edged_str("x"),
		.qos = 1,
		.share = share };
	assert_int_equal(sessions->publish(sessions->ctx, from, &m, 0, note, &result), 0);
	fake_run(host);
	if (result)
		fail_msg("line %d: %d", line, result);
}
#define PUT_SHARED(from, share) put_shared(from, share, __LINE__)

/* Our own members come first, then those on other nodes, those who are away last. */
static void members_on_other_nodes_take_turns(unsigned loops)
{
	edged_handle other;
	struct fake_peer *p, *s, *member;
	options.apart = true;
	boot(loops, NULL);
	fake_auto_commit(host, true);
	open_it();
	subscribe_to("$share/g/t", 1);
	options.name = "test/b";
	assert_int_equal(sessions->open(sessions->ctx, &options, &handler, NULL, &other), 0);
	options.name = "test/a";
	attach(10, false);
	p = join(4, "p", CLEAN);
	publish_one(p, 1, "1");
	HEARD("t:1/1s ");
	uint32_t share = log_.last_share;
	sessions->puback(sessions->ctx, session, log_.last_id);
	member = join(4, "member", KEEP);
	subscribe(member, "$share/g/t", 1);
	quiet(member);
	publish_one(p, 1, "2");
	HEARD("");
	assert_true(fake_take(member).len > 0);
	fake_hang_up(member);
	publish_one(p, 1, "3");
	HEARD("t:3/1s ");
	sessions->puback(sessions->ctx, session, log_.last_id);
	sessions->detach(sessions->ctx, session);
	publish_one(p, 1, "4");
	assert_int_equal(figures().waiting, 0);
	member = join_with(4, "member", KEEP, NULL, 0, NULL, 0);
	assert_true(fake_take(member).len > 4); /* more than CONNACK */
	/* What names it comes from there, to members here, and to nobody else. */
	s = join(4, "s", CLEAN);
	subscribe(s, "t", 1);
	quiet(s);
	attach(10, false);
	PUT_SHARED(other, share);
	assert_true(fake_take(member).len > 0);
	PUT_SHARED(other, share + 1);
	quiet(member);
	fake_hang_up(join(4, "member", CLEAN));
	PUT_SHARED(other, share);
	quiet(s);
	HEARD("");
	/* It is a member after a restart, under the same number. */
	kill_and_open();
	attach(10, false);
	publish_one(join(4, "p", CLEAN), 1, "5");
	HEARD("t:5/1s ");
	assert_int_equal(log_.last_share, share);
	sessions->puback(sessions->ctx, session, log_.last_id);
	subscribe_to("t", 1);
	publish_one(join(4, "q", CLEAN), 1, "6");
	HEARD("t:6/1 ");
	options.apart = false;
}

static void shared_messages_go_to_other_nodes(void **state)
{
	(void)state;
	members_on_other_nodes_take_turns(1);
}

static void shared_messages_go_to_other_nodes_from_any_loop(void **state)
{
	(void)state;
	members_on_other_nodes_take_turns(3);
}

/* --- retained messages that several nodes have ------------------------------------------------------------------------------- */

static void put_retained(const char *payload, uint64_t stamp, bool newer)
{
	const struct edged_session_message m = { .struct_size = sizeof(m),
		.topic = edged_str("r"),
		.payload = edged_str(payload),
		.retain = true,
		.stamp = stamp,
		.newer = newer };
	assert_int_equal(sessions->publish(sessions->ctx, session, &m, 0, NULL, NULL), 0);
	fake_run(host);
}

static uint64_t last_stamp;

static void look(void *arg, const struct edged_session_message *m)
{
	(void)arg;
	say("%.*s=%.*s ", EDGED_SLICE_FMT(m->topic), EDGED_SLICE_FMT(m->payload));
	last_stamp = m->stamp;
}

static void retained_are(const char *text, int line)
{
	sessions->retained(sessions->ctx, edged_slice(NULL, 0), look, NULL);
	heard(text, line);
}
#define RETAINED(text) retained_are(text, __LINE__)

static void the_newer_retained_message_stays(void **state)
{
	(void)state;
	options.apart = true;
	start();
	uint64_t ahead = wall_ms() + 3600 * 1000;
	put_retained("1", ahead << 16, false);
	RETAINED("r=1 ");
	struct fake_peer *s = join(4, "s", CLEAN), *p = join(4, "p", CLEAN);
	subscribe(s, "r", 0);
	EXPECT(s, "\x90\3\0\1\0\x31\4\0\1r1");
	/* An older one is a message like any other, but not kept; missed, it is nothing at all. */
	put_retained("2", (ahead << 16) - 1, false);
	EXPECT(s, "\x30\4\0\1r2");
	put_retained("3", (ahead << 16) - 1, true);
	quiet(s);
	put_retained("1", ahead << 16, true);
	quiet(s);
	RETAINED("r=1 ");
	/* At the same moment the one with the greater content stays. */
	put_retained("0", ahead << 16, false);
	EXPECT(s, "\x30\4\0\1r0");
	put_retained("4", ahead << 16, true);
	EXPECT(s, "\x30\4\0\1r4");
	RETAINED("r=4 ");
	/* What is published here is newer than what was seen, though that node's clock is an hour ahead. */
	SEND(p, "\x31\4\0\1r5");
	EXPECT(s, "\x30\4\0\1r5");
	RETAINED("r=5 ");
	assert_true(last_stamp > ahead << 16);
	/* But nobody's mistake becomes the clock of all. */
	put_retained("6", UINT64_MAX, false);
	RETAINED("r=6 ");
	assert_true(last_stamp < (ahead + 1000) << 16);
	options.apart = false;
}

/* Others have it, and clients have seen it; what is published afterwards is newer all the same. */
static void what_a_power_cut_took_was_older(void **state)
{
	(void)state;
	options.apart = true;
	start();
	uint64_t ahead = wall_ms() + 3600 * 1000, lost = (ahead + 25000) << 16;
	put_retained("1", ahead << 16, false);
	fake_auto_commit(host, false);
	put_retained("2", lost, false);
	kill_and_open();
	RETAINED("r=1 ");
	SEND(join(4, "p", CLEAN), "\x31\4\0\1r3");
	RETAINED("r=3 ");
	assert_true(last_stamp > lost);
	/* It does not run away when the daemon dies again and again and nothing is published. */
	uint64_t then = last_stamp;
	for (int i = 0; i < 10; i++)
		kill_and_open();
	SEND(join(4, "p", CLEAN), "\x31\4\0\1r4");
	RETAINED("r=4 ");
	assert_true(last_stamp > then && last_stamp < then + (UINT64_C(120000) << 16));
	/* The wall clock begins in the past, and others' does not. */
	wall_ahead = -INT64_C(50) * 365 * 24 * 3600 * 1000;
	then = last_stamp;
	kill_and_open();
	SEND(join(4, "p", CLEAN), "\x31\4\0\1r5");
	RETAINED("r=5 ");
	assert_true(last_stamp > then);
	put_retained("6", last_stamp + (UINT64_C(1000) << 16), false);
	then = last_stamp;
	RETAINED("r=6 ");
	assert_true(last_stamp == then + (UINT64_C(1000) << 16));
	wall_ahead = 0;
	options.apart = false;
}

static void what_was_deleted_stays_so(void **state)
{
	(void)state;
	options.apart = true;
	start();
	attach(10, false);
	struct fake_peer *p = join(4, "p", CLEAN);
	SEND(p, "\x31\4\0\1r1");
	HEARD("r:1/1r "); /* to the other node at QoS 1: it has to have it */
	sessions->puback(sessions->ctx, session, log_.last_id);
	sessions->retained(sessions->ctx, edged_str("r"), look, NULL);
	HEARD("r=1 ");
	uint64_t then = last_stamp;
	SEND(p, "\x31\3\0\1r");
	HEARD("r:/1r ");
	sessions->puback(sessions->ctx, session, log_.last_id);
	RETAINED("r= ");
	kill_and_open();
	put_retained("1", then, true);
	RETAINED("r= ");
	p = join(4, "p", CLEAN);
	subscribe(p, "#", 1);
	quiet(p);
	assert_int_equal(fake_figure(host, "broker_retained_messages", NULL), 0);
	/* A newer one may come. */
	SEND(p, "\x31\4\0\1r2");
	RETAINED("r=2 ");
	/* Where there are no other nodes nothing is remembered. */
	options.apart = false;
	assert_int_equal(sessions->limit(sessions->ctx, session, &options), 0);
	SEND(p, "\x31\3\0\1r");
	RETAINED("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_was_acknowledged_is_delivered_after_kill_9),
		T(what_was_not_acknowledged_comes_again_in_order),
		T(qos2_goes_out_once),
		T(retained_messages_wait_for_it),
		T(a_full_queue_drops_new_or_old),
		T(what_comes_in_is_acknowledged_when_it_is_durable),
		T(qos2_comes_in_once),
		T(what_comes_from_another_node_stays_here),
		T(shared_messages_go_to_other_nodes),
		T(shared_messages_go_to_other_nodes_from_any_loop),
		T(the_newer_retained_message_stays),
		T(what_a_power_cut_took_was_older),
		T(what_was_deleted_stays_so),
		T(sessions_have_names),
		T(there_may_be_as_many_as_the_limit_says),
		T(one_subscription_comes_and_goes),
		T(a_disk_that_is_full_detaches_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Interest, the window for duplicates, what travels, and frames. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "frames.h"
#include "heap.h"
#include "interest.h"
#include "travel.h"
#include "window.h"

/* --- interest -------------------------------------------------------------------------------------------------------------- */

static struct interest *ours;
static struct told theirs;
static unsigned changes;

static void pass_on(void *arg, struct edged_slice filter, uint8_t level)
{
	assert_int_equal(told_set(arg, filter, level), 0);
	changes++;
}

/* Tells the changes; then both sides have the same. Returns how many there were. */
static unsigned flush(void)
{
	changes = 0;
	if (interest_flush(ours, pass_on, &theirs) && !changes)
		changes = UINT32_MAX;
	assert_int_equal(interest_count(ours), theirs.count);
	assert_true(interest_digest(ours) == theirs.digest);
	return changes;
}

static void change(const char *filter, uint8_t qos, int by)
{
	assert_int_equal(interest_change(ours, edged_str(filter), qos, by), 0);
}

static uint8_t level(const char *filter)
{
	for (uint32_t i = 0; i < theirs.count; i++)
		if (strcmp(theirs.filters[i], filter) == 0)
			return theirs.levels[i];
	return LEVEL_NONE;
}

static int begin(void **state)
{
	(void)state;
	theirs = (struct told){ 0 };
	return interest_new(8, &ours);
}

static int end(void **state)
{
	(void)state;
	interest_free(ours);
	told_fini(&theirs);
	return 0;
}

static void the_highest_qos_is_told(void **state)
{
	(void)state;
	change("a", 0, 1);
	change("a", 2, 1);
	change("b/+", 1, 1);
	assert_int_equal(flush(), 2);
	assert_int_equal(level("a"), LEVEL_QOS2);
	assert_int_equal(level("b/+"), LEVEL_QOS1);
	change("a", 0, 1);
	assert_int_equal(flush(), 0);
	change("a", 2, -1);
	assert_int_equal(flush(), 1);
	assert_int_equal(level("a"), LEVEL_QOS0);
	change("a", 0, -1);
	assert_int_equal(flush(), 0);
	change("a", 0, -1);
	change("b/+", 1, -1);
	assert_int_equal(flush(), 2);
	assert_int_equal(theirs.count, 0);
	/* What comes and goes in one turn is not told. */
	change("c", 1, 1);
	change("c", 1, -1);
	assert_int_equal(flush(), 0);
}

static void who_comes_later_is_told_all(void **state)
{
	(void)state;
	struct told late = { 0 };
	change("a", 1, 1);
	change("b", 2, 1);
	flush();
	change("c", 1, 1); /* not told yet */
	interest_each(ours, pass_on, &late);
	assert_int_equal(late.count, 2);
	assert_true(late.digest == theirs.digest);
	told_fini(&late);
}

/* What has been told, and covers it. */
static bool wide(void)
{
	return level("#") == LEVEL_QOS2 && level("$aws/#") == LEVEL_QOS2;
}

static void too_many_filters_become_two(void **state)
{
	(void)state;
	char name[16];
	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "f/%d", i);
		change(name, 1, 1);
	}
	flush();
	assert_true(wide());
	assert_int_equal(theirs.count, 2);
	change("f/0", 1, -1); /* not narrow at once */
	flush();
	assert_true(wide());
	change("f/1", 1, -1);
	change("f/2", 1, -1);
	flush();
	assert_false(wide());
	assert_int_equal(theirs.count, 6);
	assert_int_equal(level("f/8"), LEVEL_QOS1);
	/* Somebody's own filter may be one of the two. */
	change("#", 0, 1);
	flush();
	assert_int_equal(level("#"), LEVEL_QOS0);
	change("g", 1, 1);
	change("h", 1, 1);
	flush();
	assert_true(wide());
	change("g", 1, -1);
	change("h", 1, -1);
	change("f/3", 1, -1);
	flush();
	assert_int_equal(level("#"), LEVEL_QOS0);
	assert_int_equal(level("$aws/#"), LEVEL_NONE);
}

static void many_filters_keep_their_counts(void **state)
{
	(void)state;
	char name[16];
	interest_free(ours);
	assert_int_equal(interest_new(1000, &ours), 0);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 1000; i++) {
			snprintf(name, sizeof(name), "f/%d", i);
			change(name, (uint8_t)(i % 3), 1);
		}
	assert_int_equal(flush(), 1000);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "f/%d", i);
		change(name, (uint8_t)(i % 3), -1);
	}
	assert_int_equal(flush(), 0);
	for (int i = 0; i < TOLD_MOST - 1000; i++) {
		snprintf(name, sizeof(name), "g/%d", i);
		assert_int_equal(told_set(&theirs, edged_str(name), 1), 0);
	}
	assert_int_equal(told_set(&theirs, edged_str("one more"), 1), -ENOSPC);
	assert_int_equal(told_set(&theirs, edged_str("f/1"), 3), 0);
}

/* Nothing covers them, and they do not count towards the others. */
static void what_changes_is_noted(void **state)
{
	(void)state;
	char name[16];
	assert_int_equal(told_set(&theirs, edged_str("a"), 1), 0);
	assert_false(theirs.noted); /* all of it is new */
	told_settled(&theirs);
	assert_int_equal(told_set(&theirs, edged_str("b"), 2), 0);
	assert_int_equal(told_set(&theirs, edged_str("a"), LEVEL_NONE), 0);
	assert_true(theirs.noted);
	assert_int_equal(theirs.changed_count, 2);
	assert_string_equal(theirs.changed[1], "a");
	assert_int_equal(told_level(&theirs, edged_str("a")), LEVEL_NONE);
	assert_int_equal(told_level(&theirs, edged_str("b")), 2);
	told_settled(&theirs);
	assert_int_equal(theirs.changed_count, 0);
	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "f/%d", i);
		assert_int_equal(told_set(&theirs, edged_str(name), 1), 0);
		assert_true(theirs.noted);
	}
	assert_int_equal(told_set(&theirs, edged_str("one more"), 1), 0);
	assert_false(theirs.noted);
}

static void shared_filters_are_told_by_themselves(void **state)
{
	(void)state;
	char name[24];
	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "f/%d", i);
		change(name, 1, 1);
	}
	for (int i = 0; i < 10; i++) { /* two too many */
		snprintf(name, sizeof(name), "$share/g/%d", i);
		change(name, 1, 1);
	}
	assert_int_equal(flush(), 2 + 8);
	assert_true(wide());
	assert_int_equal(interest_untold(ours), 2);
	assert_int_equal(flush(), 0);
	unsigned told = 0;
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "$share/g/%d", i);
		if (level(name) && told++ < 2)
			change(name, 1, -1);
	}
	assert_int_equal(flush(), 4); /* two leave, and make room */
	assert_int_equal(interest_untold(ours), 0);
	change("f/1", 1, -1);
	for (int i = 3; i < 9; i++) {
		snprintf(name, sizeof(name), "f/%d", i);
		change(name, 1, -1);
	}
	flush();
	assert_false(wide());
	assert_int_equal(theirs.count, 2 + 8);
}

/* --- duplicates -------------------------------------------------------------------------------------------------------------- */

static bool meet(struct window *w, uint64_t number, const char *payload)
{
	return window_meet(w, number, 0, edged_str("t"), edged_str(payload));
}

static void what_comes_again_is_known(void **state)
{
	(void)state;
	struct window w;
	window_init(&w, 4);
	assert_false(meet(&w, 1, "a"));
	assert_false(meet(&w, 2, "b"));
	window_begin(&w);
	assert_true(meet(&w, 1, "a"));
	assert_false(window_meet(&w, 1, 7, edged_str("t"), edged_str("a"))); /* for a shared subscription */
	assert_false(meet(&w, 2, "other"));                                  /* a store that has begun anew */
	assert_false(meet(&w, 0, "c"));
	assert_false(meet(&w, 0, "c")); /* QoS 0 has no number */
	/* Behind what was on the way nothing comes again. */
	assert_false(meet(&w, 3, "d"));
	assert_false(meet(&w, 4, "e"));
	assert_false(meet(&w, 4, "e"));
	window_begin(&w);
	window_forget(&w);
	assert_false(meet(&w, 4, "e"));
	window_fini(&w);
}

/* --- what travels ------------------------------------------------------------------------------------------------------------ */

static void requests_and_a_nodes_own_stay(void **state)
{
	(void)state;
	const struct travel all = { { edged_str("#"), edged_str("$aws/#") }, 2 },
	                    some = { { edged_str("a/+") }, 1 };
	assert_true(topic_travels(&all, edged_str("a")));
	assert_true(topic_travels(&all, edged_str("$aws/things/x/shadow/update/accepted")));
	assert_true(topic_travels(&all, edged_str("$aws/things/x/shadow/name/get/update/delta")));
	assert_false(topic_travels(&all, edged_str("$aws/events/presence/connected/x")));
	assert_false(topic_travels(&all, edged_str("$aws/things/x/shadow/update")));
	assert_false(topic_travels(&all, edged_str("$aws/things/x/shadow/name/y/get")));
	assert_false(topic_travels(&all, edged_str("$aws/things/x/jobs/start-next")));
	assert_false(topic_travels(&all, edged_str("$aws/things/x/jobs/$next/get")));
	assert_true(topic_travels(&all, edged_str("$aws/things/x/jobs/notify-next")));
	assert_true(topic_travels(&all, edged_str("$aws/things/x/jobs/1/update/accepted")));
	assert_false(filter_travels(edged_str("$aws/things/+/jobs/+/update")));
	assert_false(topic_travels(&all, edged_str("$SYS/broker/uptime")));
	assert_true(topic_travels(&some, edged_str("a/b")));
	assert_false(topic_travels(&some, edged_str("a/b/c")));
	assert_true(filter_travels(edged_str("+/#")));
	assert_true(filter_travels(edged_str("$aws/things/+/shadow/#")));
	assert_false(filter_travels(edged_str("$aws/things/+/shadow/name/+/get")));
	assert_false(filter_travels(edged_str("$SYS/#")));
	assert_false(filter_travels(edged_str("$aws/events/#")));
	assert_true(filter_travels(edged_str("$share/g/a")));
	assert_false(filter_travels(edged_str("$share/g/$SYS/#")));
}

/* --- frames ------------------------------------------------------------------------------------------------------------------ */

static struct mesh_frame frame_of(const uint8_t *bytes, size_t n, enum frame_type type)
{
	struct mesh_frame f;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(mesh_frame_read(bytes, i, 1000, &f), FRAME_PARTIAL);
	assert_int_equal(mesh_frame_read(bytes, n, 1000, &f), 0);
	assert_int_equal(f.type, type);
	assert_int_equal(f.size, n);
	return f;
}

static void frames_are_read_as_they_were_written(void **state)
{
	(void)state;
	uint8_t bytes[200];
	struct writer w = writer(bytes, sizeof(bytes));
	const struct mesh_hello hello = { 7, 8, 9 };
	struct mesh_hello hello_back;
	write_mesh_hello(&w, &hello);
	struct mesh_frame f = frame_of(bytes, (size_t)(w.at - bytes), FRAME_HELLO);
	assert_true(read_mesh_hello(f.body, &hello_back));
	assert_int_equal(hello_back.window, 7);
	assert_int_equal(hello_back.most, 8);
	assert_int_equal(hello_back.epoch, 9);

	const struct mesh_message m = { .number = 5,
		.expiry = 6,
		.id = 7,
		.qos = 1,
		.retain = true,
		.topic = edged_str("topic"),
		.props = edged_str("\1\1"),
		.payload = edged_str("hello") };
	struct mesh_message back;
	w = writer(bytes, sizeof(bytes));
	write_mesh_message_head(&w, &m);
	write_bytes(&w, "topic\1\1hello", 12);
	f = frame_of(bytes, (size_t)(w.at - bytes), FRAME_MESSAGE);
	assert_true(read_mesh_message(f.body, &back));
	assert_true(edged_slice_eq(m.topic, back.topic) && edged_slice_eq(m.props, back.props) &&
	            edged_slice_eq(m.payload, back.payload));
	assert_true(back.number == 5 && back.expiry == 6 && back.id == 7 && back.qos == 1 && back.retain);
	struct mesh_message shared = m;
	shared.share = 9;
	uint8_t more[200];
	w = writer(more, sizeof(more));
	write_mesh_message_head(&w, &shared);
	write_bytes(&w, "topic\1\1hello", 12);
	assert_true(read_mesh_message(frame_of(more, (size_t)(w.at - more), FRAME_MESSAGE).body, &shared));
	assert_true(shared.share == 9 && edged_slice_eq(m.payload, shared.payload));
	for (size_t n = 0; n < MESSAGE_FIXED - 4 + 7; n++)
		assert_false(read_mesh_message(edged_slice(f.body.ptr, n), &back));
	bytes[FRAME_HEAD] = 3; /* QoS 3 */
	assert_false(read_mesh_message(f.body, &back));
	bytes[FRAME_HEAD] = 0; /* QoS 0 with an id */
	assert_false(read_mesh_message(f.body, &back));
	assert_int_equal(mesh_frame_read(bytes, FRAME_HEAD, f.body.len - 1, &f), -EMSGSIZE);

	const struct mesh_ack ack = { ACK_PUBREC, 0x83, 300 };
	struct mesh_ack ack_back;
	w = writer(bytes, sizeof(bytes));
	write_mesh_ack(&w, &ack);
	f = frame_of(bytes, (size_t)(w.at - bytes), FRAME_ACK);
	assert_true(read_mesh_ack(f.body, &ack_back));
	assert_true(ack_back.kind == ACK_PUBREC && ack_back.reason == 0x83 && ack_back.id == 300);
	assert_false(read_mesh_ack(edged_slice(f.body.ptr, 3), &ack_back));

	uint64_t sum;
	w = writer(bytes, sizeof(bytes));
	write_mesh_ping(&w, UINT64_C(1) << 63);
	f = frame_of(bytes, (size_t)(w.at - bytes), FRAME_PING);
	assert_true(read_mesh_ping(f.body, &sum) && sum == UINT64_C(1) << 63);
	assert_false(read_mesh_ping(edged_slice(NULL, 0), &sum)); /* of former versions */

	struct edged_slice name, said;
	w = writer(bytes, sizeof(bytes));
	write_mesh_channel_head(&w, edged_str("shadow"), 3);
	write_bytes(&w, "abc", 3);
	f = frame_of(bytes, (size_t)(w.at - bytes), FRAME_CHANNEL);
	assert_true(read_mesh_channel(f.body, &name, &said));
	assert_true(edged_slice_is(name, "shadow") && edged_slice_is(said, "abc"));
	assert_false(
	        read_mesh_channel(edged_slice(f.body.ptr, 6), &name, &said)); /* in the midst of the name */
	bytes[FRAME_HEAD] = 0;
	assert_false(read_mesh_channel(f.body, &name, &said));
	bytes[FRAME_HEAD] = CHANNEL_NAME_MAX + 1;
	assert_false(read_mesh_channel(f.body, &name, &said));

	struct reader r;
	struct edged_slice filter;
	uint8_t its_level;
	w = writer(bytes, sizeof(bytes));
	write_filter(&w, edged_str("a/#"), LEVEL_QOS2);
	write_filter(&w, edged_str("b"), LEVEL_NONE);
	r = reader(bytes, (size_t)(w.at - bytes));
	assert_true(read_filter(&r, &filter, &its_level) && edged_slice_is(filter, "a/#"));
	assert_int_equal(its_level, LEVEL_QOS2);
	assert_true(read_filter(&r, &filter, &its_level) && edged_slice_is(filter, "b"));
	assert_false(read_filter(&r, &filter, &its_level) || r.failed);
	bytes[0] = 4;
	r = reader(bytes, (size_t)(w.at - bytes));
	assert_false(read_filter(&r, &filter, &its_level));
	assert_true(r.failed);
}

#define I(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		I(the_highest_qos_is_told),
		I(who_comes_later_is_told_all),
		I(too_many_filters_become_two),
		I(many_filters_keep_their_counts),
		I(what_changes_is_noted),
		I(shared_filters_are_told_by_themselves),
		cmocka_unit_test(what_comes_again_is_known),
		cmocka_unit_test(requests_and_a_nodes_own_stay),
		cmocka_unit_test(frames_are_read_as_they_were_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

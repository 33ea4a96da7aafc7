/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing and subscribing inside the process. */
#include "rig_test.h"

struct heard {
	unsigned count;
	char topic[32], payload[32], publisher[8];
	bool retain;
	const struct edged_pubsub_1 *pubsub; /* answers each message with one on "echo" */
};

static void hear(void *arg, const struct edged_message *m)
{
	struct heard *heard = arg;
	heard->count++;
	heard->retain = m->retain;
	snprintf(heard->topic, sizeof(heard->topic), "%.*s", EDGED_SLICE_FMT(m->topic));
	snprintf(heard->payload, sizeof(heard->payload), "%.*s", EDGED_SLICE_FMT(m->payload));
	snprintf(heard->publisher, sizeof(heard->publisher), "%.*s", EDGED_SLICE_FMT(m->publisher));
	if (heard->pubsub) {
		struct edged_message echo = {
			.struct_size = sizeof(echo), .topic = edged_str("echo"), .payload = m->payload
		};
		unsigned before = heard->count;
		assert_int_equal(
		        heard->pubsub->publish(heard->pubsub->ctx, fake_host_of(host), &echo, NULL, NULL), 0);
		assert_int_equal(heard->count, before); /* never from within publish() */
	}
}

static void note(void *arg, int result)
{
	*(int *)arg = result;
}

static void plugins_publish_and_subscribe(void **state)
{
	(void)state;
	boot(1, NULL);
	const struct edged_pubsub_1 *ps = edged_plugin_v1.offer(fake_self(host), EDGED_PUBSUB_1);
	struct edged_host *me = fake_host_of(host);
	struct heard heard = { .pubsub = NULL };
	struct fake_peer *p = join(4, "p", CLEAN);
	edged_handle sub, other;
	SEND(p, "\x31\4\0\1r1");
	assert_int_equal(ps->subscribe(ps->ctx, me, "a/#/b", 0, hear, &heard, &sub), -EINVAL);
	assert_false(ps->wanted(ps->ctx, me, edged_str("r")));
	assert_int_equal(ps->subscribe(ps->ctx, me, "#", 1, hear, &heard, &sub), 0);
	assert_int_equal(heard.count, 0);
	fake_run(host);
	assert_int_equal(heard.count, 1);
	assert_true(heard.retain);
	assert_true(ps->wanted(ps->ctx, me, edged_str("r")));
	SEND(p, "\x30\4\0\1tx");
	assert_int_equal(heard.count, 2);
	assert_string_equal(heard.topic, "t");
	assert_string_equal(heard.payload, "x");
	assert_string_equal(heard.publisher, "p");
	struct heard echo = { .pubsub = ps };
	assert_int_equal(ps->subscribe(ps->ctx, me, "t", 1, hear, &echo, &other), 0);
	subscribe(p, "echo", 0);
	quiet(p);
	struct edged_message m = {
		.struct_size = sizeof(m), .topic = edged_str("t"), .payload = edged_str("y"), .qos = 1
	};
	int result = 1;
	assert_int_equal(ps->publish(ps->ctx, me, &m, note, &result), 0);
	assert_int_equal(result, 1);
	fake_commit(host, 0); /* the retained message of before */
	assert_int_equal(result, 0);
	assert_int_equal(echo.count, 1);
	assert_int_equal(heard.count, 4); /* t and echo */
	EXPECT(p, "\x30\7\0\4echoy");
	assert_int_equal(ps->unsubscribe(ps->ctx, me, sub), 0);
	assert_int_equal(ps->unsubscribe(ps->ctx, me, sub), -ENOENT);
	SEND(p, "\x30\4\0\1ux");
	assert_int_equal(heard.count, 4);
	m.topic = edged_str("a/+");
	assert_int_equal(ps->publish(ps->ctx, me, &m, note, &result), -EINVAL);
}

static void a_plugin_hears_when_its_message_is_durable(void **state)
{
	(void)state;
	boot(1, NULL);
	const struct edged_pubsub_1 *ps = edged_plugin_v1.offer(fake_self(host), EDGED_PUBSUB_1);
	struct edged_message m = { .struct_size = sizeof(m),
		.topic = edged_str("$aws/t"),
		.payload = edged_str("y"),
		.retain = true,
		.content_type = edged_str("text/plain"),
		.user_properties = edged_slice("\0\1a\0\1b", 6),
		.utf8 = true };
	int result = 1;
	assert_int_equal(ps->publish(ps->ctx, fake_host_of(host), &m, note, &result), 0);
	fake_run(host);
	assert_int_equal(result, 1);
	fake_commit(host, 0);
	assert_int_equal(result, 0);
	struct fake_peer *p = join(5, "p", CLEAN);
	SEND(p, "\x82\x0c\0\1\0\0\6$aws/t\0");
	EXPECT(p, "\x90\4\0\1\0\0\x31\x20\0\6$aws/t\x16\1\1\3\0\x0atext/plain\x26\0\1a\0\1by");
}

/* A subscriber that takes `room` messages and then pauses; it keeps what it got. */
struct slow {
	const struct edged_pubsub_1 *pubsub;
	edged_handle handle;
	unsigned room, count;
	uint32_t lost;
	struct edged_slice payloads[8];
	struct edged_blob *blobs[8];
};

static void hear_slowly(void *arg, const struct edged_message *m)
{
	struct slow *slow = arg;
	assert_true(slow->count < 8);
	slow->lost += m->lost;
	slow->payloads[slow->count] = m->payload;
	slow->blobs[slow->count++] = edged_blob_ref(m->blob);
	if (--slow->room == 0)
		assert_int_equal(slow->pubsub->pause(slow->pubsub->ctx, fake_host_of(host), slow->handle), 0);
}

static void expect_payloads(struct slow *slow, const char *payloads)
{
	assert_int_equal(slow->count, strlen(payloads));
	for (unsigned i = 0; i < slow->count; i++) {
		assert_int_equal(slow->payloads[i].len, 1);
		assert_int_equal(slow->payloads[i].ptr[0], payloads[i]);
		edged_blob_unref(slow->blobs[i]);
	}
	slow->count = 0;
}

static int say(const struct slow *slow, const char *payload, uint8_t qos)
{
	struct edged_message m = {
		.struct_size = sizeof(m), .topic = edged_str("t"), .payload = edged_str(payload), .qos = qos
	};
	return slow->pubsub->publish(slow->pubsub->ctx, fake_host_of(host), &m, NULL, NULL);
}

static void a_subscriber_that_pauses_is_waited_for(void **state)
{
	(void)state;
	static const struct fake_setting settings[] = { { "limits.queue_messages", 3 }, { NULL, 0 } };
	boot(1, settings);
	struct slow slow = { .pubsub = edged_plugin_v1.offer(fake_self(host), EDGED_PUBSUB_1), .room = 2 };
	const struct edged_pubsub_1 *ps = slow.pubsub;
	struct edged_host *me = fake_host_of(host);
	assert_int_equal(ps->subscribe(ps->ctx, me, "t", 1, hear_slowly, &slow, &slow.handle), 0);
	static const char *const first[] = { "a", "b", "c", "d" };
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(say(&slow, first[i], 1), 0);
	fake_run(host); /* one turn: the last two came after it had paused */
	assert_int_equal(slow.count, 2);
	assert_int_equal(fake_figure(host, "broker_queued_bytes", NULL), 2 * 2);
	assert_int_equal(say(&slow, "e", 1), 0);
	assert_int_equal(say(&slow, "f", 1), -ENOBUFS); /* full, and the publisher hears it */
	assert_int_equal(say(&slow, "g", 0), -ENOBUFS);
	assert_int_equal(fake_figure(host, "broker_messages_dropped_total", "reason=\"slow\""), 2);
	expect_payloads(&slow, "ab");
	slow.room = 1;
	assert_int_equal(ps->resume(ps->ctx, me, slow.handle), 0);
	assert_int_equal(slow.count, 0); /* never from within resume() */
	fake_run(host);
	expect_payloads(&slow, "c");
	slow.room = 9;
	assert_int_equal(ps->resume(ps->ctx, me, slow.handle), 0);
	fake_run(host);
	expect_payloads(&slow, "de");
	assert_int_equal(slow.lost, 0);
	assert_int_equal(ps->pause(ps->ctx, me, slow.handle), 0);
	assert_int_equal(say(&slow, "h", 1), 0);
	assert_int_equal(ps->resume(ps->ctx, me, slow.handle), 0);
	assert_int_equal(say(&slow, "i", 1), 0); /* behind the one that waits */
	fake_run(host);
	expect_payloads(&slow, "hi");
	assert_int_equal(slow.lost, 2);
	assert_int_equal(fake_figure(host, "broker_queued_bytes", NULL), 0);
	assert_int_equal(ps->pause(ps->ctx, me, slow.handle), 0);
	assert_int_equal(say(&slow, "i", 1), 0);
	fake_run(host);
	assert_int_equal(ps->unsubscribe(ps->ctx, me, slow.handle), 0); /* what waits goes with it */
	assert_int_equal(fake_figure(host, "broker_queued_bytes", NULL), 0);
	assert_int_equal(ps->pause(ps->ctx, me, slow.handle), -ENOENT);
	assert_int_equal(ps->resume(ps->ctx, me, slow.handle), -ENOENT);
}

/* The last reference to a stored message may be given back after the broker has ended; its row stays for who waits for it. */
static void a_message_may_outlive_the_broker(void **state)
{
	(void)state;
	boot(1, NULL);
	struct slow slow = { .pubsub = edged_plugin_v1.offer(fake_self(host), EDGED_PUBSUB_1), .room = 9 };
	struct fake_peer *p = join(4, "away", KEEP);
	subscribe(p, "t", 1);
	fake_commit(host, 0);
	fake_hang_up(p);
	assert_int_equal(slow.pubsub->subscribe(slow.pubsub->ctx, fake_host_of(host), "t", 1, hear_slowly,
	                         &slow, &slow.handle),
	        0);
	assert_int_equal(say(&slow, "x", 1), 0);
	fake_commit(host, 0);
	assert_int_equal(fake_disk_rows_of(disk, "messages", 1), 1);
	fake_host_free(host, true);
	host = NULL;
	expect_payloads(&slow, "x");
	assert_int_equal(fake_disk_rows_of(disk, "messages", 1), 1);
}

/* "+a1 -b0 ": who is told what */
static void note_interest(void *arg, struct edged_slice filter, uint8_t qos, int by)
{
	char *text = arg;
	size_t n = strlen(text);
	snprintf(text + n, 200 - n, "%c%.*s%d ", by > 0 ? '+' : '-', EDGED_SLICE_FMT(filter), qos);
}

static void all_subscriptions_are_told_from_every_loop(void **state)
{
	(void)state;
	char text[200] = "";
	boot(2, NULL);
	const struct edged_pubsub_1 *ps = edged_plugin_v1.offer(fake_self(host), EDGED_PUBSUB_1);
	struct edged_host *me = fake_host_of(host);
	struct fake_peer *one = join(4, "one", CLEAN);
	subscribe(one, "a/+", 1);
	assert_int_equal(ps->interest(ps->ctx, me, note_interest, text), 0);
	assert_string_equal(text, "");
	assert_int_equal(ps->interest(ps->ctx, me, note_interest, text), -EEXIST);
	fake_run(host);
	assert_string_equal(text, "+a/+1 ");
	subscribe(one, "a/+", 0); /* another QoS */
	assert_string_equal(text, "+a/+1 -a/+1 +a/+0 ");
	text[0] = '\0';
	for (char c = '2'; c < '6'; c++) { /* on either loop */
		char name[] = { c, 0 };
		struct fake_peer *p = join(4, name, CLEAN);
		subscribe(p, "b", 2);
		assert_string_equal(text, "+b2 ");
		fake_hang_up(p);
		fake_run(host);
		assert_string_equal(text, "+b2 -b2 ");
		text[0] = '\0';
	}
	assert_int_equal(ps->interest(ps->ctx, me, NULL, NULL), 0);
	subscribe(one, "c", 0);
	assert_string_equal(text, "");
	assert_int_equal(ps->interest(ps->ctx, me, note_interest, text), 0);
	fake_run(host);
	assert_true(strstr(text, "+a/+0 ") && strstr(text, "+c0 "));
	assert_int_equal(ps->interest(ps->ctx, me, NULL, NULL), 0);
	fake_run(host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(plugins_publish_and_subscribe, setup, teardown),
		cmocka_unit_test_setup_teardown(a_plugin_hears_when_its_message_is_durable, setup, teardown),
		cmocka_unit_test_setup_teardown(a_subscriber_that_pauses_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(a_message_may_outlive_the_broker, setup, teardown),
		cmocka_unit_test_setup_teardown(all_subscriptions_are_told_from_every_loop, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

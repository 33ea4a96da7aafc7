/* SPDX-License-Identifier: Apache-2.0 */
/* Events about clients that come, subscribe and go. */
#include "rig_test.h"

static struct edged_slice heard(struct fake_peer *watcher)
{
	fake_run(host);
	return fake_take(watcher);
}

static bool has(struct edged_slice bytes, const char *text)
{
	return bytes.len && memmem(bytes.ptr, bytes.len, text, strlen(text));
}

#define HAS(bytes, text)                                                                                     \
	do {                                                                                                 \
		if (!has(bytes, text))                                                                       \
			fail_msg("no %s in %.*s", text, EDGED_SLICE_FMT(bytes));                             \
	} while (0)

static struct fake_peer *watch(unsigned loops)
{
	boot(loops, NULL);
	struct fake_peer *watcher = join(4, "watcher", CLEAN);
	subscribe(watcher, "$aws/events/#", 0);
	quiet(watcher);
	return watcher;
}

static void coming_and_going_is_told(void **state)
{
	(void)state;
	struct fake_peer *watcher = watch(1);
	struct fake_peer *p = join(5, "lamp", CLEAN);
	struct edged_slice got = heard(watcher);
	HAS(got, "$aws/events/presence/connected/lamp");
	HAS(got, "{\"clientId\":\"lamp\",\"timestamp\":");
	HAS(got, "\"eventType\":\"connected\"");
	HAS(got, "\"ipAddress\":\"192.0.2.1\"");
	subscribe(watcher, "x", 0); /* of its own it hears, too */
	got = heard(watcher);
	HAS(got, "$aws/events/subscriptions/subscribed/watcher");
	HAS(got, "\"topics\":[\"x\"]");
	SEND(p, "\xa2\6\0\1\0\0\1y");
	assert_false(has(heard(watcher),
	        "unsubscribed")); /* there was no such subscription: code 0x11, and no error */
	SEND(p, "\xe0\0");
	got = heard(watcher);
	HAS(got, "$aws/events/presence/disconnected/lamp");
	HAS(got, "\"clientInitiatedDisconnect\":true,\"disconnectReason\":\"CLIENT_INITIATED_DISCONNECT\"");
}

static void each_end_has_its_reason(void **state)
{
	(void)state;
	struct fake_peer *watcher = watch(1);
	struct fake_peer *p = join(5, "lamp", CLEAN), *q = join(5, "lamp", CLEAN);
	struct edged_slice got = heard(watcher);
	HAS(got, "\"clientInitiatedDisconnect\":false,\"disconnectReason\":\"DUPLICATE_CLIENTID\"");
	assert_true(fake_closed(p));
	fake_hang_up(q);
	HAS(heard(watcher), "\"disconnectReason\":\"CONNECTION_LOST\"");
	p = join(4, "lamp", CLEAN);
	quiet(watcher);
	SEND(p, "\xf0\0");
	HAS(heard(watcher), "\"disconnectReason\":\"CLIENT_ERROR\"");
	p = join(4, "lamp", CLEAN);
	quiet(watcher);
	for (int i = 0; i < 3; i++) {
		SEND(watcher, "\xc0\0");
		fake_sleep(host, 40000);
	}
	HAS(heard(watcher), "\"disconnectReason\":\"MQTT_KEEP_ALIVE_TIMEOUT\"");
}

static void who_may_not_come_in_is_told_of(void **state)
{
	(void)state;
	struct fake_peer *watcher = watch(2);
	for (unsigned loop = 0; loop < 2; loop++) {
		struct fake_peer *stranger = fake_connect(host, loop, false);
		SEND(stranger, "\x10\x10\0\4MQTT\4\2\0\0\0\4lamp");
		struct edged_slice got = heard(watcher);
		HAS(got, "$aws/events/presence/connect_failed/lamp");
		HAS(got, "\"eventType\":\"connect_failed\"");
		HAS(got, "\"connectFailureReason\":\"AUTHORIZATION_FAILED\"");
		assert_true(fake_closed(stranger));
	}
	/* one without a name, and one whose packet makes no sense */
	struct fake_peer *nobody = fake_connect(host, 0, false);
	SEND(nobody, "\x10\x0c\0\4MQTT\4\2\0\0\0\0");
	struct fake_peer *odd = fake_connect(host, 0, false);
	SEND(odd, "\x10\x10\0\4MQTT\7\2\0\0\0\4lamp");
	assert_int_equal(heard(watcher).len, 0);
}

static void nothing_is_made_that_nobody_gets(void **state)
{
	(void)state;
	struct fake_peer *watcher = watch(1);
	struct fake_peer *p = join(5, "a+b", CLEAN); /* would be a wildcard */
	SEND(p, "\xe0\0");
	assert_int_equal(heard(watcher).len, 0);
	SEND(watcher, "\xe0\0");
	p = join(5, "lamp", CLEAN);
	SEND(p, "\xe0\0");
	assert_int_equal(fake_figure(host, "broker_messages_dropped_total", "reason=\"no-memory\""), 0);
}

static void with_several_loops(void **state)
{
	(void)state;
	struct fake_peer *watcher = watch(3);
	static const char *const ids[] = { "a", "b", "c", "d", "e", "f" };
	for (size_t i = 0; i < 6; i++) {
		char topic[64];
		struct fake_peer *p = join(4, ids[i], CLEAN);
		snprintf(topic, sizeof(topic), "$aws/events/presence/connected/%s", ids[i]);
		HAS(heard(watcher), topic);
		fake_hang_up(p);
		snprintf(topic, sizeof(topic), "$aws/events/presence/disconnected/%s", ids[i]);
		HAS(heard(watcher), topic);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { T(coming_and_going_is_told), T(each_end_has_its_reason),
		T(who_may_not_come_in_is_told_of), T(nothing_is_made_that_nobody_gets),
		T(with_several_loops) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator ends over REST, and what is answered: clients, sessions, queues, retained messages; and traces. */
#include <errno.h>

#include "fake_http.h"
#include "rig_test.h"

static struct fake_answer *ask(const char *request)
{
	return fake_ask(host, &edged_plugin_v1, request);
}

/* `body`: the answer's, or what a problem says; NULL: none. */
static void check(const struct fake_answer *a, const char *request, int status, const char *body)
{
	const char *said = a->status >= 400 && *a->text ? a->text : a->body ? a->body : "";
	if (a->answers != 1 || a->status != status || (body ? !strstr(said, body) : a->len))
		fail_msg("%s: %u answers, %d %s \"%s\"", request, a->answers, a->status, a->type, said);
}

static void expect_answer(const char *request, int status, const char *body)
{
	check(ask(request), request, status, body);
}

static int end(void **state)
{
	int r = teardown(state);
	fake_http_reset();
	return r;
}

static void start(unsigned loops)
{
	boot(loops, NULL);
	fake_auto_commit(host, true);
}

/* The same broker at its next start. */
static void again(unsigned loops)
{
	fake_host_free(host, true);
	fake_http_reset();
	start(loops);
}

/* --- without anything to do ---------------------------------------------------------------------------------------------- */

static const struct {
	const char *request;
	int status;
	const char *says;
} refused[] = {
	{ "DELETE /pubsub/v1/clients/nobody", 404, "GET /pubsub/v1/clients lists" },
	{ "DELETE /pubsub/v1/clients/away", 404, "no such client" }, /* it has a session only */
	{ "DELETE /pubsub/v1/clients/here?session=maybe", 400, "session is true or false" },
	{ "DELETE /pubsub/v1/clients/here?session=", 400, "session is true or false" },
	{ "DELETE /pubsub/v1/clients/HERE", 404, "no such client" },
	{ "DELETE /pubsub/v1/clients/her", 404, "no such client" },
	{ "DELETE /connections/nobody", 404, "No client with this id is connected." },
	{ "DELETE /connections/away", 404, "No client with this id is connected." },
	{ "DELETE /connections/here?cleanSession=1", 400, "are true or false" },
	{ "DELETE /connections/here?preventWillMessage=no", 400, "are true or false" },
	{ "DELETE /pubsub/v1/sessions/nobody", 404, "no such client" },
	{ "DELETE /pubsub/v1/sessions/nobody/queue", 404, "no such client" },
	{ "DELETE /pubsub/v1/retained", 400, "MQTT topic filter" },
	{ "DELETE /pubsub/v1/retained?filter=", 400, "MQTT topic filter" },
	{ "DELETE /pubsub/v1/retained?filter=a%23", 400, "MQTT topic filter" },
	{ "DELETE /pubsub/v1/retained?filter=%24share/g/kept", 400, "MQTT topic filter" },
	{ "DELETE /pubsub/v1/retained?filter=other/%23", 200, "{\"removed\":0,\"more\":false}" },
	{ "DELETE /pubsub/v1/retained/other", 404, "GET /pubsub/v1/retained lists" },
	{ "DELETE /pubsub/v1/retained/%23", 404, "GET /pubsub/v1/retained lists" },
	{ "DELETE /pubsub/v1/retained/", 404, "GET /pubsub/v1/retained lists" },
};

static void what_cannot_be_done_is_refused_and_changes_nothing(void **state)
{
	(void)state;
	for (unsigned loops = 1; loops <= 3; loops += 2) {
		start(loops);
		struct fake_peer *here = join(4, "here", KEEP), *away = join(4, "away", KEEP);
		subscribe(here, "t", 1);
		subscribe(away, "t", 1);
		fake_hang_up(away);
		SEND(here, "\x33\x09\0\4kept\0\1x");
		quiet(here);
		for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
			expect_answer(refused[i].request, refused[i].status, refused[i].says);
		SEND(join(4, "p", CLEAN), "\x32\6\0\1t\0\1x");
		EXPECT(here, "\x32\6\0\1t\0\1x");
		assert_int_equal(fake_figure(host, "broker_sessions", NULL), 3);
		assert_int_equal(fake_figure(host, "broker_retained_messages", NULL), 1);
		end(state);
		setup(state);
	}
	start(1);
}

/* --- clients and sessions ------------------------------------------------------------------------------------------------- */

static const struct {
	const char *request;
	int status;
	bool session_stays, will;
} kicks[] = {
	{ "DELETE /pubsub/v1/clients/a%2Fb", 204, true, true },
	{ "DELETE /pubsub/v1/clients/a%2Fb?session=false", 204, true, true },
	{ "DELETE /pubsub/v1/clients/a%2Fb?session=true", 204, false, true },
	{ "DELETE /connections/a%2Fb", 200, true, true },
	{ "DELETE /connections/a%2Fb?cleanSession=true", 200, false, true },
	{ "DELETE /connections/a%2Fb?preventWillMessage=true", 200, true, false },
	{ "DELETE /connections/a%2Fb?cleanSession=true&preventWillMessage=true", 200, false, false },
	{ "DELETE /pubsub/v1/sessions/a%2Fb", 204, false, true },
};

static void who_is_sent_away_is_told(void **state)
{
	(void)state;
	const char *const will = "\0\1w\0\3bye", *const expiry = "\x11\0\0\1\0";
	for (size_t i = 0; i < sizeof(kicks) / sizeof(kicks[0]) * 2; i++) {
		const char *request = kicks[i / 2].request;
		bool durable = i & 1;
		for (unsigned loops = 1; loops <= 3; loops += 2) {
			start(loops);
			struct fake_peer *s = join(4, "s", CLEAN);
			subscribe(s, "w", 0);
			quiet(s);
			char tail[16] = { 0 }; /* of MQTT 5: the will's properties come first */
			memcpy(tail + 1, will, 8);
			struct fake_peer *p = join_with(5, "a/b", (uint8_t)(4 | (durable ? KEEP : CLEAN)),
			        durable ? expiry : NULL, durable ? 5 : 0, tail, 9);
			quiet(p);
			expect_answer(request, kicks[i / 2].status, NULL);
			BYE(p, 0x98);
			if (kicks[i / 2].will)
				EXPECT(s, "\x30\6\0\1wbye");
			else
				EXPECT(s, "");
			bool stays = durable && kicks[i / 2].session_stays;
			assert_int_equal(fake_figure(host, "broker_sessions", NULL), 1 + stays);
			again(loops);
			p = join_with(5, "a/b", KEEP, expiry, 5, NULL, 0);
			assert_int_equal(fake_take(p).ptr[2], stays);
			end(state);
			setup(state);
		}
	}
	start(1);
}

/* MQTT 3 has no word for it. */
static void older_clients_are_closed(void **state)
{
	(void)state;
	start(3);
	struct fake_peer *p = join(4, "old", KEEP);
	expect_answer("DELETE /pubsub/v1/clients/old", 204, NULL);
	EXPECT(p, "");
	assert_true(fake_closed(p));
	expect_answer("DELETE /pubsub/v1/clients/old", 404, "no such client");
	expect_answer("DELETE /pubsub/v1/sessions/old", 204, NULL);
	expect_answer("DELETE /pubsub/v1/sessions/old", 404, "no such client");
}

static unsigned waiting_for(const char *id)
{
	struct fake_peer *p = join_with(4, id, KEEP, NULL, 0, NULL, 0);
	struct edged_slice got = fake_take(p);
	fake_hang_up(p);
	return (unsigned)(got.len - 4) / 8; /* CONNACK, and messages of eight bytes */
}

/* What was sent stays, for the client may have it. */
static void a_queue_is_emptied_of_what_was_not_sent(void **state)
{
	(void)state;
	static const struct fake_setting narrow[] = { { "limits.inflight", 2 }, { NULL, 0 } };
	for (unsigned loops = 1; loops <= 3; loops += 2) {
		boot(loops, narrow);
		fake_auto_commit(host, true);
		struct fake_peer *slow = join(4, "slow", KEEP), *p = join(4, "p", CLEAN),
		                 *away = join(4, "away", KEEP);
		subscribe(slow, "t", 1);
		subscribe(away, "t", 1);
		fake_hang_up(away);
		for (int i = 0; i < 5; i++)
			SEND(p, "\x32\6\0\1t\0\1x");
		expect_answer("DELETE /pubsub/v1/sessions/slow/queue", 200, "{\"removed\":3,\"more\":false}");
		expect_answer("DELETE /pubsub/v1/sessions/away/queue", 200, "{\"removed\":5,\"more\":false}");
		expect_answer("DELETE /pubsub/v1/sessions/away/queue", 200, "{\"removed\":0,\"more\":false}");
		fake_hang_up(slow);
		again(loops);
		assert_int_equal(waiting_for("slow"), 2);
		assert_int_equal(waiting_for("away"), 0);
		end(state);
		setup(state);
	}
	start(1);
}

/* --- the disk ------------------------------------------------------------------------------------------------------------- */

static const char *const durable[] = { "DELETE /pubsub/v1/sessions/a", "DELETE /pubsub/v1/sessions/a/queue",
	"DELETE /pubsub/v1/clients/a?session=true", "DELETE /connections/a?cleanSession=true",
	"DELETE /pubsub/v1/retained/kept", "DELETE /pubsub/v1/retained?filter=%23" };

static void prepare(unsigned loops)
{
	start(loops);
	struct fake_peer *a = join(4, "a", KEEP);
	subscribe(a, "t", 1);
	SEND(join(4, "p", CLEAN), "\x33\x09\0\4kept\0\1x\x32\6\0\1t\0\1x");
	fake_auto_commit(host, false);
}

static void what_is_answered_is_on_the_disk(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(durable) / sizeof(durable[0]); i++)
		for (unsigned loops = 1; loops <= 3; loops += 2) {
			prepare(loops);
			struct fake_answer *a = ask(durable[i]);
			if (a->answers)
				fail_msg("%s: answered before the commit", durable[i]);
			fake_commit(host, 0);
			assert_int_equal(a->answers, 1);
			assert_in_range(a->status, 200, 204);
			end(state);
			setup(state);
			prepare(loops);
			a = ask(durable[i]);
			fake_commit(host, -ENOSPC);
			assert_int_equal(a->answers, 1);
			if (a->status != 507 && a->status != 503)
				fail_msg("%s: %d when the disk is full", durable[i], a->status);
			end(state);
			setup(state);
		}
	start(1);
}

/* --- retained messages ---------------------------------------------------------------------------------------------------- */

static void retained_messages_go_by_topic_and_by_filter(void **state)
{
	(void)state;
	static const struct {
		const char *request, *body;
		int left;
	} steps[] = {
		{ "DELETE /pubsub/v1/retained/a/1", "{\"removed\":1,\"more\":false}", 5 },
		{ "DELETE /pubsub/v1/retained?filter=a/2", "{\"removed\":1,\"more\":false}", 4 },
		{ "DELETE /pubsub/v1/retained?filter=%2B/3", "{\"removed\":1,\"more\":false}", 3 },
		{ "DELETE /pubsub/v1/retained?filter=%23", "{\"removed\":2,\"more\":false}",
		        1 }, /* not $aws */
		{ "DELETE /pubsub/v1/retained/%24aws/1", "{\"removed\":1,\"more\":false}", 0 },
	};
	start(3);
	struct fake_peer *p = join(4, "p", CLEAN);
	SEND(p, "\x31\6\0\3a/1x\x31\6\0\3a/2x\x31\6\0\3a/3x\x31\6\0\3b/1x\x31\4\0\1cx\x31\x09\0\6$aws/1x");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		expect_answer(steps[i].request, 200, steps[i].body);
		assert_int_equal(fake_figure(host, "broker_retained_messages", NULL), steps[i].left);
		assert_int_equal(fake_disk_rows(disk, "retained"), steps[i].left);
	}
	again(3);
	struct fake_peer *s = join(4, "s", CLEAN);
	subscribe(s, "#", 0);
	EXPECT(s, "\x90\3\0\1\0");
}

static void so_many_are_removed_at_a_time(void **state)
{
	(void)state;
	start(1);
	struct fake_peer *p = join(4, "p", CLEAN);
	uint8_t packet[] = "\x31\x08\0\5.....x";
	for (int i = 0; i < 10001; i++) {
		char topic[16];
		snprintf(topic, sizeof(topic), "%05d", i);
		memcpy(packet + 4, topic, 5);
		fake_send(p, packet, 10, 0);
	}
	expect_answer("DELETE /pubsub/v1/retained?filter=%23", 200, "{\"removed\":10000,\"more\":true}");
	expect_answer("DELETE /pubsub/v1/retained?filter=%23", 200, "{\"removed\":1,\"more\":false}");
	expect_answer("DELETE /pubsub/v1/retained?filter=%23", 200, "{\"removed\":0,\"more\":false}");
}

/* --- traces --------------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *query, *says;
} no_trace[] = {
	{ "", "client id, or" },
	{ "client=a&topic=b", "client id, or" },
	{ "client=", "client id, or" },
	{ "topic=a%23", "is an MQTT topic filter" },
	{ "topic=%24share/g/a", "is an MQTT topic filter" },
	{ "client=a&for=0", "\"for\" is a number from 1 to 3600" },
	{ "client=a&for=3601", "\"for\" is a number from 1 to 3600" },
	{ "client=a&payload=4097", "\"payload\" is a number from 1 to 4096" },
	{ "client=a&rate=10001", "\"rate\" is a number from 1 to 10000" },
	{ "client=a&rate=1e3", "\"rate\" is a number" },
};

static struct fake_answer *trace(const char *query)
{
	char request[200];
	snprintf(request, sizeof(request), "GET /pubsub/v1/trace?%s", query);
	return ask(request);
}

static void traces_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	start(1);
	for (size_t i = 0; i < sizeof(no_trace) / sizeof(no_trace[0]); i++)
		check(trace(no_trace[i].query), no_trace[i].query, 400, no_trace[i].says);
	assert_int_equal(fake_figure(host, "broker_traces", NULL), 0);
}

static unsigned count_of(const struct fake_answer *a, const char *text)
{
	unsigned n = 0;
	for (const char *at = a->body; at && (at = strstr(at, text)); at++)
		n++;
	return n;
}

static void a_client_is_shown_in_both_directions(void **state)
{
	(void)state;
	for (unsigned loops = 1; loops <= 3; loops += 2) {
		start(loops);
		struct fake_answer *a = trace("client=lamp&payload=3&for=10"), *other = trace("client=lam");
		struct fake_peer *lamp = join_with(4, "lamp", CLEAN | 0xc0, NULL, 0, "\0\2me\0\6secret", 12);
		subscribe(lamp, "t", 1);
		SEND(join(4, "p", CLEAN), "\x32\x0a\0\1t\0\1hello");
		SEND(lamp, "\x40\2\0\1\x30\4\0\1ux");
		assert_int_equal(a->status, 200);
		assert_string_equal(a->type, "text/event-stream");
		assert_int_equal(count_of(a, "event: packet"), 7); /* CONNECT to SUBACK, in, PUBACK, out */
		assert_int_equal(count_of(a, "\"direction\":\"in\""), 4);
		assert_int_equal(count_of(a, "\"direction\":\"out\""), 3);
		assert_int_equal(count_of(a, "secret"), 0);
		assert_int_equal(count_of(a, "hello"), 0); /* its beginning only */
		assert_int_equal(count_of(a, "hel"), 1);
		assert_int_equal(count_of(other, "event: packet"), 0); /* the whole id */
		pass(10000);
		assert_true(a->ended);
		assert_int_equal(count_of(a, "event: end"), 1);
		assert_int_equal(fake_figure(host, "broker_traces", NULL), 1);
		fake_leave(host, other);
		assert_int_equal(fake_figure(host, "broker_traces", NULL), 0);
		end(state);
		setup(state);
	}
	start(1);
}

static void a_topic_is_shown_to_its_receivers_and_its_losses(void **state)
{
	(void)state;
	start(3);
	struct fake_answer *a = trace("topic=t/%2B");
	struct fake_peer *s = join(4, "s", CLEAN), *blocked = join(4, "slow", CLEAN);
	subscribe(s, "#", 0);
	subscribe(blocked, "t/#", 0);
	fake_block(blocked, true);
	struct fake_peer *p = join(4, "p", CLEAN);
	SEND(p, "\x30\6\0\3t/1x\x30\4\0\1ux\x30\x08\0\5t/1/2x");
	assert_int_equal(count_of(a, "event: packet"), 3); /* as it comes in, and to both */
	assert_int_equal(count_of(a, "\"topic\":\"t/1\""), 3);
	assert_int_equal(count_of(a, "\"direction\":\"in\""), 1);
	fake_leave(host, a);
}

static void more_than_the_rate_is_counted(void **state)
{
	(void)state;
	start(1);
	struct fake_answer *a = trace("topic=%23&rate=5");
	struct fake_peer *p = join(4, "p", CLEAN);
	for (int i = 0; i < 20; i++)
		SEND(p, "\x30\4\0\1tx");
	assert_int_equal(count_of(a, "event: packet"), 5);
	pass(1000);
	SEND(p, "\x30\4\0\1tx");
	assert_int_equal(count_of(a, "event: packet"), 6);
	assert_int_equal(count_of(a, "\"events\":15"), 1);
}

static void so_many_traces_may_be_open(void **state)
{
	(void)state;
	start(1);
	struct fake_answer *open[8];
	for (int i = 0; i < 8; i++) {
		open[i] = trace("client=a");
		assert_int_equal(open[i]->status, 200);
	}
	check(trace("client=a"), "the ninth", 503, "Too many traces");
	fake_leave(host, open[3]);
	assert_int_equal(trace("client=a")->status, 200);
	assert_int_equal(fake_figure(host, "broker_traces", NULL), 8);
	fake_host_free(host, true);
	host = NULL;
	assert_int_equal(count_of(open[0], "\"why\":\"stop\""), 1);
	assert_int_equal(count_of(open[3], "\"why\":\"stop\""), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_cannot_be_done_is_refused_and_changes_nothing),
		TEST(who_is_sent_away_is_told),
		TEST(older_clients_are_closed),
		TEST(a_queue_is_emptied_of_what_was_not_sent),
		TEST(what_is_answered_is_on_the_disk),
		TEST(retained_messages_go_by_topic_and_by_filter),
		TEST(so_many_are_removed_at_a_time),
		TEST(traces_that_make_no_sense_are_refused),
		TEST(a_client_is_shown_in_both_directions),
		TEST(a_topic_is_shown_to_its_receivers_and_its_losses),
		TEST(more_than_the_rate_is_counted),
		TEST(so_many_traces_may_be_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* io/: HTTP for clients. */
#include "http_world.h"

/* --- scripts ---------------------------------------------------------------------------------------------------- */

SCRIPT(requests_are_answered_on_one_connection)
{
	int fd = dial();
	say(fd, "GET /echo HTTP/1.1\r\n" H "\r\n");
	char *answer = hear(fd, "[]\n");
	CHECK(starts(answer, "HTTP/1.1 200 OK\r\n"));
	CHECK(has(answer, "Content-Length: 13\r\n"));
	CHECK(has(answer, "ETag: \"7\"\r\n"));
	CHECK(has(answer, "\r\n\r\nGET /echo []\n"));
	say(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello");
	CHECK(has(hear(fd, "]\n"), "POST /echo [hello]\n"));
	say(fd, "POST /echo HTTP/1.1\r\n" H
	        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nA: b\r\n\r\n");
	CHECK(has(hear(fd, "]\n"), "POST /echo [abcde]\n"));
	say(fd, "GET /empty HTTP/1.1\r\n" H "\r\n");
	answer = hear(fd, "\r\n\r\n");
	CHECK(starts(answer, "HTTP/1.1 204 No Content\r\n"));
	CHECK(!has(answer, "Content-Length"));
	say(fd, "HEAD /echo HTTP/1.1\r\n" H "\r\n");
	answer = hear(fd, "\r\n\r\n");
	CHECK(starts(answer, "HTTP/1.1 200 OK\r\n"));
	CHECK(has(answer, "Content-Length: 14\r\n"));
	say(fd, "GET /nothing HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	answer = hear(fd, NULL);
	CHECK(starts(answer, "HTTP/1.1 404 Not Found\r\n"));
	CHECK(has(answer, "application/problem+json"));
	CHECK(has(answer, "\"instance\":\"/nothing\""));
	close(fd);
	answer = exchange("GET /echo HTTP/1.0\r\n\r\n");
	CHECK(has(answer, "GET /echo []\n"));
	/* nothing is served behind the last request */
	answer = exchange(
	        "GET /empty HTTP/1.1\r\n" H "Connection: close\r\n\r\nGET /secret HTTP/1.1\r\n" H "\r\n");
	CHECK(starts(answer, "HTTP/1.1 204 ") && !has(answer, "401"));
}

SCRIPT(pipelined_requests_are_answered_in_order)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	buf_add_str(&text, "GET /later HTTP/1.1\r\n" H "\r\n");
	for (int i = 0; i < 50; i++)
		buf_addf(&text, "PUT /echo HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\n%02d", i);
	buf_add_str(&text, "GET /echo HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	const char *at = exchange_n(text.ptr, text.len);
	CHECK((at = strstr(at, "later\n")) != NULL);
	for (int i = 0; i < 50; i++) {
		char part[32];
		snprintf(part, sizeof(part), "PUT /echo [%02d]\n", i);
		CHECK((at = strstr(at, part)) != NULL);
	}
	CHECK(has(at, "GET /echo []\n"));
	CHECK(atomic_load(&world->called) == 51);
}

SCRIPT(much_may_be_pipelined)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	buf_add_str(&text, "GET /later HTTP/1.1\r\n" H "\r\n");
	buf_addf(&text,
	        "POST /echo HTTP/1.1\r\n" H "Content-Length: 600000\r\nConnection: close\r\n\r\n%0600000d",
	        7);
	const char *answer = exchange_n(text.ptr, text.len);
	CHECK(has(answer, "later\n"));
	CHECK(has(answer, "0007]\n"));
}

SCRIPT(big_bodies_and_answers_pass)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	buf_addf(&text,
	        "POST /echo HTTP/1.1\r\n" H "Content-Length: 1000000\r\nConnection: close\r\n\r\n%01000000d",
	        1);
	const char *answer = exchange_n(text.ptr, text.len);
	CHECK(starts(answer, "HTTP/1.1 200 "));
	CHECK(strlen(strstr(answer, "\r\n\r\n")) == 4 + 11 + 1 + 1000000 + 2);
	answer = exchange("GET /big HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	CHECK(strlen(strstr(answer, "\r\n\r\n")) == 4 + 3 * 1024 * 1024);
}

SCRIPT(a_refusal_does_not_overtake_an_answer)
{
	/* a reader so slow that everything in between is full when the answer's last byte is written */
	enum { TAIL = 2048 }; /* the refusal may come in two pieces */
	static char text[TAIL + 16 * 1024 + 1];
	int fd = dial();
	say(fd, "GET /big HTTP/1.1\r\n" H "\r\nnonsense\r\n\r\n");
	size_t n = 0, kept = 0;
	for (ssize_t got; (got = recv(fd, text + kept, 16 * 1024, 0)) > 0; n += (size_t)got) {
		size_t have = kept + (size_t)got;
		kept = have < TAIL ? have : TAIL;
		memmove(text, text + have - kept, kept);
		poll(NULL, 0, 1);
	}
	close(fd);
	CHECK(n > 3 * 1024 * 1024);
	text[kept] = '\0';
	CHECK(has(text, "HTTP/1.1 400 "));
}

SCRIPT(continue_is_said_first)
{
	int fd = dial();
	say(fd, "PUT /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	CHECK(starts(hear(fd, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n"));
	say(fd, "ok");
	CHECK(has(hear(fd, "]\n"), "PUT /echo [ok]\n"));
	close(fd);
	/* a body that is refused is not asked for */
	CHECK(starts(
	        exchange("PUT /secret HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
	        "HTTP/1.1 401 "));
	CHECK(starts(exchange("PUT /echo HTTP/1.1\r\n" H
	                      "Expect: 100-continue\r\nContent-Length: 2000000\r\n\r\n"),
	        "HTTP/1.1 413 "));
}

SCRIPT(attacks_are_refused_before_any_service)
{
	static const struct {
		const char *text;
		int status;
	} rows[] = {
		{ "GET /echo HTTP/1.1\r\n\r\n", 400 },
		{ "GET /echo HTTP/1.1\r\n" H H "\r\n", 400 },
		{ "POST /echo HTTP/1.1\r\n" H
		  "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
		  "GET /echo HTTP/1.1\r\n" H "\r\n",
		        400 },
		{ "POST /echo HTTP/1.1\r\n" H "Content-Length: 0\r\nContent-Length: 44\r\n\r\n"
		  "GET /echo HTTP/1.1\r\n" H "\r\n",
		        400 },
		{ "POST /echo HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400 },
		{ "POST /echo HTTP/1.1\r\n" H "Content-Length: +4\r\n\r\nabcd", 400 },
		{ "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 400 },
		{ "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", 413 },
		{ "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef", 400 },
		{ "GET /echo HTTP/1.1\n" H "\n", 400 },
		{ "GET /echo HTTP/1.1\r\n" H "A : b\r\n\r\n", 400 },
		{ "GET /echo HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n", 400 },
		{ "GET /echo HTTP/1.1\r\n" H "A: b\x01\r\n\r\n", 400 },
		{ "GET /echo HTTP/9.9\r\n" H "\r\n", 505 },
		{ "GET /ec%zzho HTTP/1.1\r\n" H "\r\n", 400 },
		{ "GET /echo%00 HTTP/1.1\r\n" H "\r\n", 400 },
		{ "CONNECT h:80 HTTP/1.1\r\n" H "\r\n", 400 },
		{ "\x16\x03\x01\x02\x05\x01", 400 },
		{ "GET /echo HTTP/1.1\r\n" H "Origin: http://evil.example\r\n\r\n", 403 },
		{ "GET /echo HTTP/1.1\r\n" H "Origin: null\r\n\r\n", 403 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char line[32];
		snprintf(line, sizeof(line), "HTTP/1.1 %d ", rows[i].status);
		const char *answer = exchange(rows[i].text);
		CHECK(starts(answer, line));
		CHECK(has(answer, "Connection: close\r\n"));
		CHECK(has(answer, "application/problem+json"));
		CHECK(!has(answer, "\nHTTP/1.1 "));
	}
	CHECK(atomic_load(&world->called) == 0);
}

SCRIPT(sizes_are_limited)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	buf_addf(&text, "GET /%060000d HTTP/1.1\r\n" H "\r\n", 0);
	CHECK(starts(exchange_n(text.ptr, text.len), "HTTP/1.1 414 "));
	buf_clear(&text);
	buf_addf(&text, "GET /echo HTTP/1.1\r\n" H "A: %040000d\r\n\r\n", 0);
	CHECK(starts(exchange_n(text.ptr, text.len), "HTTP/1.1 431 "));
	buf_clear(&text);
	buf_add_str(&text, "GET /echo HTTP/1.1\r\n" H);
	for (int i = 0; i < 2000; i++)
		buf_add_str(&text, "A: b\r\n");
	CHECK(starts(exchange_n(text.ptr, text.len), "HTTP/1.1 431 "));
	CHECK(starts(
	        exchange("POST /echo HTTP/1.1\r\n" H "Content-Length: 2000000\r\n\r\n"), "HTTP/1.1 413 "));
}

/* Sends one byte each few ms; says after how many ms the connection ended. */
static uint64_t dribble(const char *begin)
{
	int fd = dial();
	say(fd, begin);
	uint64_t start = clock_mono_ms();
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	for (int i = 0; i < 1000 && poll(&wait, 1, 10) == 0; i++)
		say(fd, "a");
	close(fd);
	return clock_mono_ms() - start;
}

SCRIPT(dribbling_clients_are_closed_in_time)
{
	uint64_t took = dribble("GET /echo HTTP/1.1\r\nA: ");
	CHECK(took >= 100 && took < 60000);
	took = dribble("POST /echo HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\n");
	CHECK(took >= 150 && took < 60000);
	/* silence */
	uint64_t start = clock_mono_ms();
	int fd = dial();
	CHECK(hear(fd, NULL)[0] == '\0');
	took = clock_mono_ms() - start;
	CHECK(took >= 100 && took < 60000);
	close(fd);
	/* the second request on a connection */
	fd = dial();
	say(fd, "GET /echo HTTP/1.1\r\n" H "\r\n");
	hear(fd, "[]\n");
	start = clock_mono_ms();
	say(fd, "GET /echo");
	CHECK(starts(hear(fd, NULL), "HTTP/1.1 408 "));
	took = clock_mono_ms() - start;
	CHECK(took >= 100 && took < 1900); /* sooner than an idle connection */
	close(fd);
	CHECK(atomic_load(&world->called) == 1);
}

SCRIPT(idle_connections_are_closed)
{
	int fd = dial();
	say(fd, "GET /echo HTTP/1.1\r\n" H "\r\n");
	hear(fd, "[]\n");
	uint64_t start = clock_mono_ms();
	CHECK(hear(fd, NULL)[0] == '\0');
	uint64_t took = clock_mono_ms() - start;
	CHECK(took >= 1900 && took < 60000);
	close(fd);
}

/* Whatever allocation fails, at most one connection suffers. */
SCRIPT(lack_of_memory_is_survived)
{
	static const char *const texts[] = {
		"POST /echo HTTP/1.1\r\n" H
		"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"GET /later HTTP/1.1\r\n" H "\r\nGET /echo HTTP/1.1\r\n" H "Connection: close\r\n\r\n",
		"GET /broken HTTP/1.1\r\n" H "\r\n",
		"GET /echo\r\n\r\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts) && heap_can_fail(); i++)
		for (long n = 0; n < 60; n++) {
			int fd = dial();
			heap_fail_at(n);
			say(fd, texts[i]);
			hear(fd, NULL);
			bool failed = heap_failed();
			heap_fail_at(-1);
			close(fd);
			if (!failed)
				break;
		}
	CHECK(has(exchange("GET /echo HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), "GET /echo []\n"));
}

SCRIPT(a_steady_body_may_take_longer)
{
	int fd = dial();
	char kilobyte[1025];
	memset(kilobyte, 'b', 1024);
	kilobyte[1024] = '\0';
	say(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 61440\r\n\r\n");
	for (int i = 0; i < 60; i++) {
		say(fd, kilobyte);
		poll(NULL, 0, 7);
	}
	CHECK(has(hear(fd, "]\n"), "POST /echo [bbbb"));
	close(fd);
}

SCRIPT(answers_may_come_later)
{
	int fd = dial();
	for (int i = 0; i < 3; i++) {
		say(fd, "GET /later HTTP/1.1\r\n" H "\r\n");
		CHECK(has(hear(fd, "later\n"), "HTTP/1.1 200 OK\r\n"));
	}
	close(fd);
	CHECK(starts(exchange("GET /never HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), "HTTP/1.1 504 "));
}

SCRIPT(too_many_requests_at_once_are_refused)
{
	int fds[5];
	for (int i = 0; i < 4; i++) {
		fds[i] = dial();
		say(fds[i], "GET /never HTTP/1.1\r\n" H "\r\n");
	}
	CHECK(reaches(&world->called, 4));
	const char *answer = exchange("GET /echo HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	CHECK(starts(answer, "HTTP/1.1 503 "));
	CHECK(has(answer, "problem"));
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

SCRIPT(events_come_one_by_one)
{
	int fd = dial();
	say(fd, "GET /events HTTP/1.1\r\n" H "\r\n");
	const char *head = hear(fd, "\r\n\r\n");
	CHECK(has(head, "text/event-stream"));
	CHECK(has(head, "Transfer-Encoding: chunked"));
	CHECK(has(hear(fd, "data: x\n\n\r\n"), "data: x"));
	CHECK(has(hear(fd, "\r\n0\r\n\r\n"), "data: x"));
	say(fd, "GET /echo HTTP/1.1\r\n" H "\r\n");
	CHECK(has(hear(fd, "[]\n"), "GET /echo []\n"));
	close(fd);
	CHECK(atomic_load(&world->gone) == 0);
}

SCRIPT(a_client_that_left_is_noticed_at_once)
{
	int fd = dial();
	say(fd, "GET /quiet HTTP/1.1\r\n" H "\r\n");
	hear(fd, "\r\n\r\n");
	CHECK(atomic_load(&world->gone) == 0);
	/* meanwhile nothing turns in vain */
	uint64_t turns = loop_turns(loops_at(world->loops, 0));
	poll(NULL, 0, 100);
	CHECK(loop_turns(loops_at(world->loops, 0)) <= turns + 1);
	close(fd);
	CHECK(reaches(&world->gone, 1));
	/* one that waits for its answer */
	fd = dial();
	say(fd, "GET /never HTTP/1.1\r\n" H "\r\n");
	CHECK(reaches(&world->called, 2));
	close(fd);
	/* head of a stream */
	fd = dial();
	say(fd, "HEAD /quiet HTTP/1.1\r\n" H "\r\n");
	CHECK(starts(hear(fd, "\r\n\r\n"), "HTTP/1.1 200 "));
	CHECK(reaches(&world->gone, 2));
	say(fd, "GET /echo HTTP/1.1\r\n" H "\r\n");
	CHECK(has(hear(fd, "[]\n"), "GET /echo []\n"));
	close(fd);
}

SCRIPT(a_slow_reader_makes_the_writer_wait)
{
	int fd = dial();
	say(fd, "GET /flood HTTP/1.1\r\n" H "\r\n");
	CHECK(reaches(&world->full, 1));
	poll(NULL, 0, 50);
	/* bounded: the mark, the pair, the stream's queue and the sockets' own buffers */
	CHECK(world->written < 2 * 1024 * 1024);
	size_t before = world->written;
	static char bytes[64 * 1024];
	for (size_t n = 0; n < 4 * 1024 * 1024;) {
		ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
		CHECK(got > 0);
		n += (size_t)got;
	}
	CHECK(atomic_load(&world->room) > 0);
	CHECK(world->written > before + 1024 * 1024);
	/* and one that does not read at all is not waited for without end */
	CHECK(reaches(&world->gone, 1));
	close(fd);
}

SCRIPT(a_broken_answer_is_seen_as_such)
{
	const char *answer = exchange("GET /broken HTTP/1.1\r\n" H "\r\n");
	CHECK(starts(answer, "HTTP/1.1 200 "));
	CHECK(!has(answer, "\r\n0\r\n\r\n"));
}

SCRIPT(only_the_admitted_are_served)
{
	const char *answer = exchange("GET /secret HTTP/1.1\r\n" H "\r\n");
	CHECK(starts(answer, "HTTP/1.1 401 Unauthorized\r\n"));
	CHECK(has(answer, "WWW-Authenticate: Bearer\r\n"));
	CHECK(has(answer, "\"title\":\"No key\""));
	CHECK(has(answer, "Bring the key."));
	CHECK(starts(exchange("GET /%73ecret HTTP/1.1\r\n" H "\r\n"), "HTTP/1.1 401 "));
	CHECK(starts(exchange("GET http://x/secret HTTP/1.1\r\n" H "\r\n"), "HTTP/1.1 401 "));
	answer = exchange(
	        "GET /secret HTTP/1.1\r\n" H "Authorization: Bearer right\r\nConnection: close\r\n\r\n");
	CHECK(has(answer, "GET /secret []\n"));
	answer = exchange("GET /echo HTTP/1.1\r\n" H "Origin: http://H\r\nConnection: close\r\n\r\n");
	CHECK(starts(answer, "HTTP/1.1 200 "));
}

SCRIPT(a_service_hears_whether_who_asks_is_trusted)
{
	CHECK(has(exchange("GET /who HTTP/1.1\r\n" H "Connection: close\r\n\r\n"),
	        "trusted, signed by nobody, not by nobody\n"));
	/* each request by itself, on one connection */
	const char *answer = exchange("GET /who HTTP/1.1\r\n" H "\r\n"
	                              "GET /anybody HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	CHECK(has(answer, "trusted, ") && has(answer, "anybody, "));
}

SCRIPT(a_service_hears_who_signed_the_request)
{
	const char *answer =
	        exchange("POST /who HTTP/1.1\r\n" H "X-Signed-By: ann\r\nContent-Length: 2\r\n\r\nhi"
	                 "GET /who HTTP/1.1\r\n" H "\r\n"
	                 "GET /who HTTP/1.1\r\n" H "X-Signed-By: mallory\r\nConnection: close\r\n\r\n");
	CHECK(has(answer, "signed by ann hi, not by nobody\n"));
	CHECK(has(answer, "signed by nobody, not by nobody\n"));
	CHECK(has(answer, "signed by nobody, not by mallory \n"));
}

/* --- WebSocket -------------------------------------------------------------------------------------------------- */

static int broker_open(void *self, struct edged_stream *stream, void **ret_conn)
{
	(void)self;
	*ret_conn = stream;
	return 0;
}

/* Says back what comes. */
static ssize_t broker_data(void *conn, const uint8_t *bytes, size_t n)
{
	stream_functions.write(conn, bytes, n);
	return (ssize_t)n;
}

static void broker_closed(void *conn, int reason)
{
	(void)conn;
	(void)reason;
	atomic_fetch_add(&world->gone, 1);
}

static const struct edged_stream_handler broker = {
	.struct_size = sizeof(broker), .open = broker_open, .data = broker_data, .closed = broker_closed
};

#define UPGRADE                                                                                              \
	"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: "                       \
	"dGhlIHNhbXBsZSBub25jZQ==\r\n"

SCRIPT(connections_become_websockets)
{
	static const char wanted[] = "GET /mqtt?x=y HTTP/1.1\r\n" H UPGRADE
	                             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: x, mqtt\r\n\r\n"
	                             "\x82\x82\x01\x02\x03\x04"
	                             "ii";
	const char *answer = exchange_n(wanted, sizeof(wanted) - 1);
	CHECK(starts(answer, "HTTP/1.1 503 "));
	world->listeners.broker = &broker;
	CHECK(starts(exchange("GET /mqtt HTTP/1.1\r\n" H UPGRADE "Sec-WebSocket-Protocol: mqtt\r\n\r\n"),
	        "HTTP/1.1 426 "));
	CHECK(starts(exchange("GET /mqtt HTTP/1.1\r\n" H UPGRADE "Sec-WebSocket-Version: 13\r\n\r\n"),
	        "HTTP/1.1 400 "));
	answer = exchange("GET /mqtt HTTP/1.1\r\n" H UPGRADE "X-Signed-By: mallory\r\n"
	                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n");
	CHECK(starts(answer, "HTTP/1.1 403 ") && has(answer, "mallory"));
	int fd = dial();
	/* behind an ordinary request */
	say(fd, "GET /echo HTTP/1.1\r\n" H "\r\n");
	hear(fd, "[]\n");
	say_n(fd, wanted, sizeof(wanted) - 1);
	answer = hear(fd, "hk");
	CHECK(starts(answer, "HTTP/1.1 101 Switching Protocols\r\n"));
	CHECK(has(answer, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	CHECK(has(answer, "Sec-WebSocket-Protocol: mqtt\r\n"));
	CHECK(has(answer, "\r\n\r\n\x82\x02hk"));
	close(fd);
	CHECK(reaches(&world->gone, 1));
}

/* The server goes while connections are in every state. */
SCRIPT(it_stops_in_order)
{
	int fd = dial();
	say(fd, "GET /never HTTP/1.1\r\n" H "\r\n");
	dial();
	fd = dial();
	say(fd, "GET /quiet HTTP/1.1\r\n" H "\r\n");
	hear(fd, "\r\n\r\n");
	fd = dial();
	say(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\n123");
	fd = dial();
	say(fd, "GET /flood HTTP/1.1\r\n" H "\r\n");
	CHECK(reaches(&world->full, 1));
	CHECK(reaches(&world->called, 3));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(requests_are_answered_on_one_connection),
		TEST(pipelined_requests_are_answered_in_order),
		TEST(much_may_be_pipelined),
		TEST(big_bodies_and_answers_pass),
		TEST(a_refusal_does_not_overtake_an_answer),
		TEST(continue_is_said_first),
		TEST(attacks_are_refused_before_any_service),
		TEST(sizes_are_limited),
		TEST(dribbling_clients_are_closed_in_time),
		TEST(idle_connections_are_closed),
		TEST(lack_of_memory_is_survived),
		TEST(a_steady_body_may_take_longer),
		TEST(answers_may_come_later),
		TEST(too_many_requests_at_once_are_refused),
		TEST(events_come_one_by_one),
		TEST(a_client_that_left_is_noticed_at_once),
		TEST(a_slow_reader_makes_the_writer_wait),
		TEST(a_broken_answer_is_seen_as_such),
		TEST(only_the_admitted_are_served),
		TEST(a_service_hears_whether_who_asks_is_trusted),
		TEST(a_service_hears_who_signed_the_request),
		TEST(connections_become_websockets),
		TEST(it_stops_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

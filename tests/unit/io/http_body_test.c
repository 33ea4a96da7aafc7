/* SPDX-License-Identifier: Apache-2.0 */
/* io/: bodies of requests that are read as they come. */
#include "http_world.h"

#define CHUNKED "Transfer-Encoding: chunked\r\n\r\n"

SCRIPT(a_body_that_is_larger_than_the_limit_passes)
{
	enum { SIZE = 3 * 1024 * 1024 };
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	world->take = true;
	buf_addf(&text, "PUT /sink HTTP/1.1\r\n" H "Content-Length: %d\r\n\r\n%0*d", SIZE, SIZE, 7);
	int fd = dial();
	say_n(fd, text.ptr, text.len);
	CHECK(has(hear(fd, " bytes\n"), "3145728 bytes\n"));
	/* and the connection goes on */
	say(fd, "PUT /sink HTTP/1.1\r\n" H CHUNKED "5\r\nhello\r\n");
	CHECK(reaches(&world->called, 2));
	say(fd, "1\r\n!\r\n0\r\n\r\nGET /echo HTTP/1.1\r\n" H "\r\n");
	const char *answer = hear(fd, "[]\n");
	CHECK(has(answer, "3145734 bytes\n"));
	CHECK(has(answer, "GET /echo []\n"));
	close(fd);
}

SCRIPT(a_small_body_is_there_from_the_start)
{
	int fd = dial();
	say(fd, "PUT /sink HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\n12345");
	poll(NULL, 0, 20);
	CHECK(atomic_load(&world->called) == 0);
	say(fd, "67890");
	CHECK(has(hear(fd, "whole\n"), "whole\n"));
	close(fd);
}

SCRIPT(a_client_is_held_back_until_something_is_taken)
{
	static char block[64 * 1024];
	int fd = dial();
	say(fd, "PUT /sink HTTP/1.1\r\n" H "Content-Length: 16777216\r\n\r\n");
	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	size_t sent = 0;
	for (int quiet = 0; quiet < 100;) {
		ssize_t n = send(fd, block, sizeof(block), MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		quiet = n > 0 ? 0 : quiet + 1;
		poll(NULL, 0, n > 0 ? 0 : 1);
	}
	CHECK(sent < 16777216 / 4);
	CHECK(world->given < 3 * sizeof(block));
	/* longer than a client may be silent: it is not its turn */
	poll(NULL, 0, 250);
	world->take = true;
	CHECK(fcntl(fd, F_SETFL, 0) == 0);
	for (; sent < 16777216; sent += sizeof(block))
		say_n(fd, block, 16777216 - sent < sizeof(block) ? 16777216 - sent : sizeof(block));
	CHECK(has(hear(fd, " bytes\n"), "16777216 bytes\n"));
	close(fd);
}

SCRIPT(both_directions_flow_at_once)
{
	int fd = dial();
	say(fd, "PUT /mirror HTTP/1.1\r\n" H CHUNKED "4\r\nping\r\n");
	const char *answer = hear(fd, "4\r\nping\r\n");
	CHECK(starts(answer, "HTTP/1.1 200 ") && has(answer, "ping"));
	for (int i = 0; i < 5; i++) {
		say(fd, "2\r\nxy\r\n");
		CHECK(has(hear(fd, "xy\r\n"), "xy"));
	}
	say(fd, "0\r\n\r\n");
	CHECK(has(hear(fd, NULL), "0\r\n\r\n"));
	close(fd);
}

SCRIPT(continue_is_said_when_the_body_is_wanted)
{
	world->take = true;
	int fd = dial();
	say(fd, "PUT /sink HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	CHECK(starts(hear(fd, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n"));
	say(fd, "ok");
	CHECK(has(hear(fd, " bytes\n"), "2 bytes\n"));
	close(fd);
	const char *answer =
	        exchange("PUT /no HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	CHECK(starts(answer, "HTTP/1.1 403 ") && has(answer, "Connection: close\r\n"));
}

SCRIPT(an_early_answer_ends_the_connection_when_much_is_left)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	buf_addf(&text, "PUT /no HTTP/1.1\r\n" H "Content-Length: 200000\r\n\r\n%0*d", 100000, 1);
	const char *answer = exchange_n(text.ptr, text.len);
	CHECK(starts(answer, "HTTP/1.1 403 ") && has(answer, "Connection: close\r\n"));
	CHECK(has(answer, "Not at all."));
	/* of little, the rest is passed over */
	buf_clear(&text);
	buf_addf(&text, "PUT /no HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\n%0*d", 90000, 1);
	int fd = dial();
	say_n(fd, text.ptr, text.len);
	answer = hear(fd, "}\n");
	CHECK(starts(answer, "HTTP/1.1 403 "));
	buf_clear(&text);
	buf_addf(&text, "%0*dGET /echo HTTP/1.1\r\n" H "\r\n", 10000, 1);
	say_n(fd, text.ptr, text.len);
	if (!has(answer, "Connection: close"))
		CHECK(has(hear(fd, "[]\n"), "GET /echo []\n"));
	close(fd);
}

SCRIPT(a_client_that_leaves_or_falls_silent_is_gone)
{
	world->take = true;
	int fd = dial();
	say(fd, "PUT /sink HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\nsome");
	CHECK(reaches(&world->called, 1));
	close(fd);
	CHECK(reaches(&world->gone, 1));
	fd = dial();
	say(fd, "PUT /sink HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\nsome");
	const char *answer = hear(fd, NULL);
	CHECK(starts(answer, "HTTP/1.1 408 "));
	CHECK(reaches(&world->gone, 2));
	close(fd);
	/* what is no body breaks it off, too */
	fd = dial();
	say(fd, "PUT /sink HTTP/1.1\r\n" H CHUNKED "3\r\nabc\r\n");
	CHECK(reaches(&world->called, 3));
	say(fd, "no size\r\n");
	CHECK(starts(hear(fd, NULL), "HTTP/1.1 400 "));
	CHECK(reaches(&world->gone, 3));
	close(fd);
}

SCRIPT(who_does_not_go_on_is_answered_for)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	buf_addf(&text, "PUT /sink HTTP/1.1\r\n" H "Content-Length: 1000000\r\n\r\n%0*d", 900000, 1);
	const char *answer = exchange_n(text.ptr, text.len);
	CHECK(starts(answer, "HTTP/1.1 504 "));
	CHECK(reaches(&world->gone, 1));
}

SCRIPT(a_signed_body_is_judged_before_it_is_read)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	buf_addf(&text,
	        "PUT /sink HTTP/1.1\r\n" H "Authorization: AWS4-HMAC-SHA256 x\r\nContent-Length: 100000\r\n"
	        "Connection: close\r\n\r\n%0*d",
	        100000, 1);
	CHECK(has(exchange_n(text.ptr, text.len), "whole\n"));
	CHECK(starts(exchange("PUT /sink HTTP/1.1\r\n" H
	                      "Authorization: AWS4-HMAC-SHA256 x\r\nContent-Length: 2000000\r\n\r\n"),
	        "HTTP/1.1 413 "));
}

static int patient(void **state)
{
	answer_ms = 10000;
	int r = setup(state);
	answer_ms = 300;
	return r;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_body_that_is_larger_than_the_limit_passes),
		TEST(a_small_body_is_there_from_the_start),
		cmocka_unit_test_setup_teardown(
		        a_client_is_held_back_until_something_is_taken, patient, teardown),
		TEST(both_directions_flow_at_once),
		TEST(continue_is_said_when_the_body_is_wanted),
		TEST(an_early_answer_ends_the_connection_when_much_is_left),
		TEST(a_client_that_leaves_or_falls_silent_is_gone),
		TEST(who_does_not_go_on_is_answered_for),
		TEST(a_signed_body_is_judged_before_it_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

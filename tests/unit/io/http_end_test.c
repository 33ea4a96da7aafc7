/* SPDX-License-Identifier: Apache-2.0 */
/* io/http_end: clients that finish early, leave, or are late; and what a client may not say. */
#include <semaphore.h>

#include "http_world.h"

/* The counts belong to the loop: it takes them, and the client waits for that. */
struct look {
	struct post post;
	sem_t taken;
	struct http_server_counts server;
	struct request_counts requests;
};

static void take_counts(struct post *post)
{
	struct look *look = CONTAINER_OF(post, struct look, post);
	look->server = http_server_counts(world->server);
	look->requests = requests_counts(world->requests);
	sem_post(&look->taken);
}

static void look_at(struct look *look)
{
	look->post = (struct post){ .fn = take_counts };
	sem_init(&look->taken, 0, 0);
	loop_post(loops_at(world->loops, 0), &look->post);
	sem_wait(&look->taken);
	sem_destroy(&look->taken);
}

static struct http_server_counts counts(void)
{
	struct look look;
	look_at(&look);
	return look.server;
}

static uint64_t count_gone(void)
{
	struct look look;
	look_at(&look);
	return look.requests.gone;
}

static uint64_t late(enum http_late kind)
{
	return counts().late[kind];
}

static bool ends(const char *text, const char *part)
{
	size_t n = strlen(text), m = strlen(part);
	return n >= m && strcmp(text + n - m, part) == 0;
}

/* --- early ------------------------------------------------------------------------------------------------------ */

SCRIPT(who_finished_sending_gets_the_late_answer)
{
	for (int i = 0; i < 4; i++) {
		int fd = i % 2 ? dial_tcp() : dial();
		say(fd, "GET /later HTTP/1.1\r\n" H "\r\n");
		shutdown(fd, SHUT_WR);
		char *answer = hear(fd, NULL);
		CHECK(starts(answer, "HTTP/1.1 200 OK\r\n"));
		CHECK(ends(answer, "\r\n\r\nlater\n"));
		CHECK(recv(fd, answer, 1, 0) == 0); /* and then the end, at once */
		close(fd);
	}
	CHECK(counts().half_closed == 4);
	CHECK(count_gone() == 0);
}

SCRIPT(who_finished_sending_gets_all_its_answers)
{
	int fd = dial_tcp();
	say(fd, "GET /later HTTP/1.1\r\n" H "\r\nGET /later HTTP/1.1\r\n" H "\r\nGET /echo HTTP/1.1\r\n" H
	        "\r\nGET /ec");
	shutdown(fd, SHUT_WR);
	char *answer = hear(fd, NULL);
	char *second = strstr(answer, "later\n");
	CHECK(second && has(second + 6, "later\n"));
	CHECK(ends(answer, "GET /echo []\n")); /* and nothing to the one that was never finished */
	close(fd);
}

SCRIPT(who_finished_sending_gets_big_answers)
{
	int fd = dial_tcp();
	say(fd, "GET /later HTTP/1.1\r\n" H "\r\nGET /big HTTP/1.1\r\n" H "\r\n");
	shutdown(fd, SHUT_WR);
	CHECK(strlen(hear(fd, NULL)) > 3 * 1024 * 1024);
	close(fd);
}

SCRIPT(who_finished_sending_gets_events)
{
	int fd = dial_tcp();
	say(fd, "GET /events HTTP/1.1\r\n" H "\r\n");
	shutdown(fd, SHUT_WR);
	char *answer = hear(fd, NULL);
	char *first = strstr(answer, "data: x\n\n");
	CHECK(first && has(first + 9, "data: x\n\n"));
	CHECK(ends(answer, "0\r\n\r\n"));
	close(fd);
}

SCRIPT(who_waits_long_is_asked_whether_it_is_there)
{
	int fd = dial_tcp();
	say(fd, "GET /patient HTTP/1.1\r\n" H "\r\n");
	shutdown(fd, SHUT_WR);
	char *answer = hear(fd, NULL);
	CHECK(starts(answer, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
	CHECK(ends(answer, "later\n"));
	close(fd);
	fd = dial_tcp(); /* HTTP/1.0 has no interim answers */
	say(fd, "GET /patient HTTP/1.0\r\n" H "\r\n");
	shutdown(fd, SHUT_WR);
	answer = hear(fd, NULL);
	CHECK(starts(answer, "HTTP/1.1 200 OK\r\n") || starts(answer, "HTTP/1.0 200 OK\r\n"));
	close(fd);
}

static bool one_more_gone(uint64_t before)
{
	for (int i = 0; i < 2500 && count_gone() == before; i++)
		poll(NULL, 0, 1);
	return count_gone() == before + 1;
}

/* Well before the request's time is over (3 s). */
SCRIPT(who_left_is_noticed)
{
	int (*const dials[])(void) = { dial, dial_tcp };
	for (int i = 0; i < 2; i++) {
		uint64_t before = count_gone();
		int fd = dials[i]();
		say(fd, "GET /never HTTP/1.1\r\n" H "\r\n");
		CHECK(reaches(&world->called, i + 1));
		close(fd);
		CHECK(one_more_gone(before));
	}
	for (int i = 0; i < 2; i++) {
		int fd = dials[i]();
		say(fd, "GET /quiet HTTP/1.1\r\n" H "\r\n");
		CHECK(reaches(&world->called, i + 3));
		CHECK(has(hear(fd, "\r\n\r\n"), "200 OK"));
		close(fd);
		CHECK(reaches(&world->gone, i + 1));
	}
	for (int i = 0; i < 1000 && counts().connections; i++)
		poll(NULL, 0, 1);
	CHECK(counts().connections == 0);
}

SCRIPT(who_finished_with_half_a_request_is_closed)
{
	int fd = dial_tcp();
	say(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nhalf");
	shutdown(fd, SHUT_WR);
	CHECK(strcmp(hear(fd, NULL), "") == 0);
	close(fd);
	CHECK(atomic_load(&world->called) == 0);
}

/* --- late ------------------------------------------------------------------------------------------------------- */

static bool is_408(const char *answer, const char *why)
{
	return starts(answer, "HTTP/1.1 408 Request Timeout\r\n") && has(answer, "Connection: close\r\n") &&
	       has(answer, "application/problem+json") && has(answer, "urn:edged:problem:timeout") &&
	       has(answer, why);
}

SCRIPT(who_is_late_is_told)
{
	CHECK(is_408(exchange("GET /echo HTT"), "http.header_time"));
	CHECK(is_408(exchange("POST /echo HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\nhal"), "http.body_time"));
	CHECK(is_408(exchange("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
	        "http.body_time"));
	int fd = dial(); /* a second request that does not come to its end */
	say(fd, "GET /echo HTTP/1.1\r\n" H "\r\n");
	hear(fd, "[]\n");
	say(fd, "GET /again HT");
	CHECK(is_408(hear(fd, NULL), "http.header_time"));
	close(fd);
	CHECK(late(HTTP_LATE_HEADER) == 2 && late(HTTP_LATE_BODY) == 2);
	CHECK(late(HTTP_LATE_IDLE) == 0 && late(HTTP_LATE_READER) == 0);
}

SCRIPT(who_said_nothing_hears_nothing)
{
	CHECK(strcmp(exchange(""), "") == 0);
	CHECK(late(HTTP_LATE_IDLE) == 1);
}

SCRIPT(nothing_is_said_into_an_answer)
{
	int fd = dial();
	say(fd, "GET /big HTTP/1.1\r\n" H "\r\n");
	for (int i = 0; i < 3000 && late(HTTP_LATE_READER) == 0; i++)
		poll(NULL, 0, 1);
	CHECK(late(HTTP_LATE_READER) == 1);
	CHECK(!has(hear(fd, NULL), " 408 "));
	close(fd);
}

/* --- what clients may not say ----------------------------------------------------------------------------------- */

SCRIPT(a_client_cannot_speak_for_a_node)
{
	char *answer = exchange("GET /caller HTTP/1.1\r\n" H "Edged-Caller: node=\"x\"\r\nA: 1\r\n"
	                        "edged-hops: 3\r\nEDGED-anything: y\r\nB: 2\r\nConnection: close\r\n\r\n");
	CHECK(has(answer, "\r\n\r\nHost=h\nA=1\nB=2\nConnection=close\n"));
}

static int patient_setup(void **state)
{
	answer_ms = 3000;
	return setup(state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, patient_setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(who_finished_sending_gets_the_late_answer),
		TEST(who_finished_sending_gets_all_its_answers),
		TEST(who_finished_sending_gets_big_answers),
		TEST(who_finished_sending_gets_events),
		TEST(who_waits_long_is_asked_whether_it_is_there),
		TEST(who_left_is_noticed),
		TEST(who_finished_with_half_a_request_is_closed),
		TEST(who_is_late_is_told),
		TEST(who_said_nothing_hears_nothing),
		TEST(nothing_is_said_into_an_answer),
		TEST(a_client_cannot_speak_for_a_node),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

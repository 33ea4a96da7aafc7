/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/pace: how many bytes are written for a byte of payload, and how long who waits is kept, for flows of every shape.
 * The clock and the disk are counted, not waited for: the same flow gives the same figures in each run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "store/frame.h"
#include "store/pace.h"

#define MS      1000u
#define NONE    UINT64_MAX
#define CLIENTS 64

/* Bytes of the broker's records for a message of one session but the payload: with names of 6 and 7 bytes, with names of 50
 * together, and what squeezing leaves of either where names repeat. See record.h. */
enum { SHORT = 40, LONG = 80, LEFT = 20 };

/* Messages come by the clock (`open`), or whoever has its answers sends the next ones. */
struct flow {
	bool open;
	unsigned burst; /* messages that come at once, each a commit */
	unsigned every; /* us from burst to burst */
	bool random;    /* pauses and bursts vary between nothing and twice that */
	unsigned clients, window,
	        think; /* closed: who sends `window` messages, and the next so many us after the last answer */
};

struct sim {
	struct pace pace;
	const struct flow *flow;
	uint64_t now, sync, seed, next; /* the clock, what a sync takes, and when the next burst comes */
	uint64_t wakes[CLIENTS];        /* closed: when each sends again; NONE: it waits */
	unsigned payload, overhead, stored, queued; /* bytes of a message; messages */
	uint64_t sent, done, groups, written, longest_wait;
};

static uint64_t dice(struct sim *s, uint64_t below)
{
	s->seed = s->seed * 6364136223846793005u + 1442695040888963407u;
	return below ? (s->seed >> 33) % below : 0;
}

static uint64_t about(struct sim *s, uint64_t n)
{
	return s->flow->random ? dice(s, 2 * n + 1) : n;
}

static bool arrive(struct sim *s, uint64_t at, uint64_t count)
{
	bool look = false;
	for (uint64_t i = 0; i < count; i++)
		look |= pace_commit(&s->pace, at, 300, s->payload + s->overhead);
	s->queued += (unsigned)count;
	s->sent += count;
	return look;
}

static uint64_t next_arrival(const struct sim *s)
{
	uint64_t first = s->flow->open ? s->next : NONE;
	for (unsigned i = 0; i < s->flow->clients; i++)
		first = s->wakes[i] < first ? s->wakes[i] : first;
	return first;
}

/* All that comes up to then. True: the thread is to look. */
static bool run_until(struct sim *s, uint64_t until)
{
	bool look = false;
	for (uint64_t at; (at = next_arrival(s)) <= until && !look;) {
		s->now = at > s->now ? at : s->now;
		if (s->flow->open && s->next == at) {
			look |= arrive(s, at, s->flow->burst == 1 ? 1 : about(s, s->flow->burst));
			s->next += about(s, s->flow->every);
		}
		for (unsigned i = 0; i < s->flow->clients; i++)
			if (s->wakes[i] == at) {
				s->wakes[i] = NONE;
				look |= arrive(s, at, s->flow->window);
			}
	}
	if (!look && until > s->now)
		s->now = until;
	return look;
}

static void gather(struct sim *s)
{
	pace_begin(&s->pace, s->now);
	uint64_t begun = s->now;
	for (uint64_t due; (due = pace_due(&s->pace)) > s->now;)
		(void)run_until(s, due);
	if (s->now - begun > s->longest_wait)
		s->longest_wait = s->now - begun;
	pace_end(&s->pace, s->now);
}

static void write_group(struct sim *s)
{
	unsigned n = s->queued;
	s->queued = 0;
	s->groups++;
	uint64_t records = (uint64_t)n * (s->payload + s->overhead),
	         squeezed = (uint64_t)n * (s->payload + s->stored);
	s->written += frame_bytes(squeezed);
	uint64_t until = s->now + s->sync;
	while (run_until(s, until))
		;
	pace_stored(&s->pace, records, squeezed);
	s->done += n;
	for (unsigned i = 0; i < s->flow->clients; i++)
		if (s->wakes[i] == NONE)
			s->wakes[i] = s->now + s->flow->think + 50 + i; /* over the network and back */
}

static struct sim play_sizes(const struct flow *flow, unsigned payload, unsigned overhead, unsigned stored,
        uint64_t sync, uint64_t us)
{
	struct sim s = { .flow = flow, .sync = sync, .now = 1000 * MS, .seed = 7 };
	s.payload = payload;
	s.overhead = overhead;
	s.stored = stored;
	s.pace = (struct pace){ .group_us = 3 * MS, .max_us = 75 * MS };
	s.next = s.now;
	for (unsigned i = 0; i < flow->clients; i++)
		s.wakes[i] = s.now + i;
	uint64_t end = s.now + us;
	while (s.now < end) {
		if (!s.queued)
			(void)run_until(&s, next_arrival(&s));
		if (!s.queued)
			continue; /* a burst of nobody */
		gather(&s);
		write_group(&s);
	}
	return s;
}

static struct sim play(const struct flow *flow, unsigned payload, uint64_t sync, uint64_t us)
{
	return play_sizes(flow, payload, SHORT, SHORT, sync, us);
}

static double times(const struct sim *s)
{
	return (double)s->written / (double)(s->done * s->payload);
}

static const unsigned syncs[] = { 50, 300, 900, 1500, 5000, 9000 };
#define each_sync(sync)                                                                                      \
	for (size_t i_ = 0; i_ < sizeof(syncs) / sizeof(syncs[0]); i_++)                                     \
		for (unsigned sync = syncs[i_], once_ = 1; once_; once_ = 0)

/* --- 1,000 messages a second --------------------------------------------------------------------------------------------- */

#define EACH(count, ms)                                                                                      \
	{                                                                                                    \
		.open = true, .burst = (count), .every = (ms)*MS                                             \
	}
#define ABOUT(count, ms)                                                                                     \
	{                                                                                                    \
		.open = true, .burst = (count), .every = (ms)*MS, .random = true                             \
	}

static const struct flow thousand[] = { EACH(1, 1), ABOUT(1, 1), EACH(2, 2), EACH(4, 4), ABOUT(4, 4),
	EACH(10, 10), ABOUT(10, 10), EACH(16, 16), ABOUT(20, 20), EACH(25, 25), EACH(38, 38), EACH(40, 40),
	EACH(49, 49), EACH(51, 51), EACH(100, 100), EACH(1000, 1000) };

static void assert_cost(unsigned payload, unsigned overhead, unsigned stored)
{
	for (size_t f = 0; f < sizeof(thousand) / sizeof(thousand[0]); f++)
		each_sync(sync)
		{
			const struct flow *flow = &thousand[f];
			struct sim s = play_sizes(flow, payload, overhead, stored, sync, 10000 * MS);
			if (times(&s) > 3.0)
				fail_msg("%u each %u us%s, %u bytes, a sync takes %u us: %.2f times",
				        flow->burst, flow->every, flow->random ? ", about" : "", payload,
				        sync, times(&s));
			assert_true(s.longest_wait <= 75 * MS);
		}
}

static void a_thousand_messages_a_second_cost_three_times_their_payload(void **state)
{
	(void)state;
	assert_cost(64, SHORT, SHORT);
	assert_cost(100, SHORT, SHORT);
	assert_cost(256, SHORT, SHORT);
}

static void long_names_cost_no_more_when_they_repeat(void **state)
{
	(void)state;
	assert_cost(64, LONG, LEFT);
	assert_cost(64, SHORT, LEFT);
	assert_cost(256, LONG, LEFT);
}

/* One block each 75 ms is 2.7 times so little. */
static void messages_of_20_bytes_cost_that_too_if_they_come_evenly(void **state)
{
	(void)state;
	each_sync(sync)
	{
		struct sim s = play_sizes(&thousand[0], 20, SHORT, LEFT, sync, 10000 * MS);
		if (times(&s) > 3.0)
			fail_msg("a sync takes %u us: %.2f", sync, times(&s));
	}
}

static void what_is_squeezed_fills_its_blocks_too(void **state)
{
	(void)state;
	each_sync(sync)
	{
		struct sim s = play_sizes(&thousand[0], 100, LONG, LEFT, sync, 10000 * MS);
		if (times(&s) > 1.4)
			fail_msg("a sync takes %u us: %.2f", sync, times(&s));
	}
}

static void even_messages_fill_their_blocks(void **state)
{
	(void)state;
	each_sync(sync)
	{
		struct sim s = play(&thousand[0], 64, sync, 10000 * MS);
		assert_true(times(&s) < 2.0);
	}
}

/* --- who waits for its answer --------------------------------------------------------------------------------------------- */

static void who_waits_for_answers_is_not_held_up(void **state)
{
	(void)state;
	static const struct flow alone = { .clients = 1, .window = 1 };
	static const struct flow thinking = { .clients = 1, .window = 1, .think = 10 * MS };
	each_sync(sync)
	{
		struct sim s = play(&alone, 64, sync, 10000 * MS);
		double ideal = 10000.0 * MS / (sync + 50);
		if ((double)s.done < 0.9 * ideal)
			fail_msg("alone, a sync takes %u us: %u of %.0f", sync, (unsigned)s.done, ideal);
		s = play(&thinking, 64, sync, 10000 * MS);
		ideal = 10000.0 * MS / (sync + 50 + 10 * MS);
		if ((double)s.done < 0.9 * ideal)
			fail_msg("thinking, a sync takes %u us: %u of %.0f", sync, (unsigned)s.done, ideal);
	}
}

/* They get what their company costs: group_us for each round. */
static void windows_wait_for_their_own_company_only(void **state)
{
	(void)state;
	static const struct flow flows[] = {
		{ .clients = 1, .window = 20 },
		{ .clients = 10, .window = 1 },
		{ .clients = 64, .window = 20 },
	};
	for (size_t f = 0; f < 3; f++)
		each_sync(sync)
		{
			struct sim s = play(&flows[f], 64, sync, 10000 * MS);
			double round = sync + 50 + 3.0 * MS + flows[f].clients;
			double ideal = 10000.0 * MS / round * flows[f].window * flows[f].clients;
			if ((double)s.done < 0.85 * ideal)
				fail_msg("%zu, a sync takes %u us: %u of %.0f", f, sync, (unsigned)s.done,
				        ideal);
		}
}

/* 1,000 a second while a client that waits is there, too: it waits as long as the others come. */
static void who_waits_does_not_spoil_the_others(void **state)
{
	(void)state;
	static const struct flow mixed = {
		.open = true, .burst = 1, .every = 1 * MS, .clients = 1, .window = 1
	};
	each_sync(sync)
	{
		struct sim s = play(&mixed, 64, sync, 10000 * MS);
		if (times(&s) > 3.0)
			fail_msg("a sync takes %u us: %.2f", sync, times(&s));
	}
}

/* --- who comes seldom ------------------------------------------------------------------------------------------------------ */

static void who_comes_seldom_does_not_wait(void **state)
{
	(void)state;
	static const struct flow seldom = { .open = true, .burst = 1, .every = 100 * MS };
	each_sync(sync)
	{
		struct sim s = play(&seldom, 64, sync, 20000 * MS);
		assert_int_equal(s.longest_wait, 0);
		assert_int_equal(s.groups, s.done);
	}
}

static void a_read_waits_as_long_as_company_would(void **state)
{
	(void)state;
	struct pace p = { .group_us = 3 * MS, .max_us = 75 * MS };
	p.company = true;
	(void)pace_commit(&p, 1000, 300, 100);
	(void)pace_commit(&p, 1000, 300, 100);
	pace_begin(&p, 1000);
	assert_int_equal(pace_due(&p), 1000 + 3 * MS);
	assert_true(pace_read(&p, 2000, 100));
	assert_false(pace_read(&p, 3000, 100));
	assert_int_equal(pace_due(&p), 1000 + 3 * MS);
	pace_end(&p, 1000 + 3 * MS);
	(void)pace_read(&p, 9000, 100);
	pace_begin(&p, 9000); /* reads alone never wait */
	assert_int_equal(pace_due(&p), 9000);
	pace_end(&p, 9000);
	(void)pace_commit(&p, 10000, 300, 100);
	pace_begin(&p, 10000); /* nor do they make company be forgotten */
	assert_int_equal(pace_due(&p), 10000 + 3 * MS);
}

static void nothing_waits_when_told_so(void **state)
{
	(void)state;
	struct pace p = { .group_us = 0, .max_us = 75 * MS };
	p.company = true;
	for (int i = 0; i < 1000; i++) {
		(void)pace_commit(&p, 1000, 300, 100);
		pace_begin(&p, 1000);
		assert_true(pace_due(&p) <= 1000);
		pace_end(&p, 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thousand_messages_a_second_cost_three_times_their_payload),
		cmocka_unit_test(long_names_cost_no_more_when_they_repeat),
		cmocka_unit_test(messages_of_20_bytes_cost_that_too_if_they_come_evenly),
		cmocka_unit_test(what_is_squeezed_fills_its_blocks_too),
		cmocka_unit_test(even_messages_fill_their_blocks),
		cmocka_unit_test(who_waits_for_answers_is_not_held_up),
		cmocka_unit_test(windows_wait_for_their_own_company_only),
		cmocka_unit_test(who_waits_does_not_spoil_the_others),
		cmocka_unit_test(who_comes_seldom_does_not_wait),
		cmocka_unit_test(a_read_waits_as_long_as_company_would),
		cmocka_unit_test(nothing_waits_when_told_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

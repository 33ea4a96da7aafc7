/* SPDX-License-Identifier: Apache-2.0 */
/* Topics, filters, subscriptions and retained messages: tables, and random ones against the plainest matcher.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "heap.h"
#include "retained.h"
#include "subs.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const uint64_t key[2] = { 0x123456789abcdef, 0xfedcba987654321 };
static const struct topic_limits limits = { 100, 20 };

static void names_and_filters_are_judged(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool topic, filter;
	} rows[] = {
		{ "a", true, true },
		{ "/", true, true },
		{ "a//b/", true, true },
		{ "$SYS/x", true, true },
		{ "", false, false },
		{ "+", false, true },
		{ "#", false, true },
		{ "a/+/b", false, true },
		{ "a/#", false, true },
		{ "a/#/b", false, false },
		{ "a#", false, false },
		{ "a+/b", false, false },
		{ "a/##", false, false },
		{ "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20", true, true },
		{ "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/", false, false },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaa",
		        false, false },
		{ "$share/g/a", true, true },
		{ "$share/g", true, false },
		{ "$share//a", true, false },
		{ "$share/g/", true, false },
		{ "$share/+/a", false, false },
		{ "$shared/g", true, true },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct filter f;
		if (topic_valid(edged_str(rows[i].text), &limits) != rows[i].topic ||
		        filter_parse(edged_str(rows[i].text), &limits, &f) != rows[i].filter)
			fail_msg("%s", rows[i].text);
	}
	struct filter f;
	assert_true(filter_parse(edged_str("$share/g/a/+"), &limits, &f));
	assert_true(edged_slice_is(f.group, "g") && edged_slice_is(f.filter, "a/+"));
}

static void filters_match_topics(void **state)
{
	(void)state;
	static const struct {
		const char *filter, *topic;
		bool match;
	} rows[] = {
		{ "a/b", "a/b", true },
		{ "a/b", "a", false },
		{ "a", "a/b", false },
		{ "sport/tennis/player1/#", "sport/tennis/player1", true },
		{ "sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true },
		{ "#", "a/b", true },
		{ "sport/tennis/+", "sport/tennis/player1", true },
		{ "sport/tennis/+", "sport/tennis/player1/x", false },
		{ "sport/+", "sport", false },
		{ "sport/+", "sport/", true },
		{ "+/+", "/finance", true },
		{ "/+", "/finance", true },
		{ "+", "/finance", false },
		{ "#", "$SYS/x", false },
		{ "+/x", "$SYS/x", false },
		{ "$SYS/#", "$SYS/x", true },
		{ "$SYS/+", "$SYS/x", true },
		{ "a/+/c/#", "a/b/c", true },
		{ "a/+/#", "a", false },
		{ "+/#", "a", true },
	};
	for (size_t i = 0; i < COUNT(rows); i++)
		if (filter_matches(edged_str(rows[i].filter), edged_str(rows[i].topic)) != rows[i].match)
			fail_msg("%s %s", rows[i].filter, rows[i].topic);
}

/* --- random filters and topics
 * -------------------------------------------------------------------------------------- */

static uint32_t seed = 7;

static uint32_t chance(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static char *add(char *out, const char *text)
{
	size_t n = strlen(text);
	memcpy(out, text, n + 1);
	return out + n;
}

static void random_text(char *out, bool wild)
{
	static const char *const levels[] = { "a", "b", "", "$x", "cc", "+", "+", "#" };
	unsigned depth = 1 + chance(5);
	*out = '\0';
	for (unsigned i = 0; i < depth; i++) {
		uint32_t pick = chance(wild ? 8 : 5);
		if (i)
			out = add(out, "/");
		out = add(out, levels[pick]);
		if (pick == 7)
			return;
	}
}

static void the_trie_agrees_with_the_plain_matcher(void **state)
{
	(void)state;
	enum { MAX = 300 };
	struct subs subs;
	struct target targets[MAX] = { { 0 } };
	char filters[MAX][64];
	assert_int_equal(subs_init(&subs, key), 0);
	for (int step = 0; step < 20000; step++) {
		uint32_t i = chance(MAX);
		struct filter f;
		struct sub *sub;
		if (targets[i].first) {
			subs_remove_all(&subs, &targets[i]);
		} else {
			random_text(filters[i], true);
			if (!filter_parse(edged_str(filters[i]), &limits, &f))
				continue;
			assert_int_equal(subs_add(&subs, &targets[i], &f, 1, i, &sub), 0);
			char text[70];
			size_t n = subs_text(&subs, sub, text, sizeof(text));
			assert_true(edged_slice_is(edged_slice(text, n), filters[i]));
		}
		char topic[64];
		random_text(topic, false);
		if (!topic_valid(edged_str(topic), &limits))
			continue;
		bool got[MAX] = { false };
		struct sub_node *const *nodes;
		int n = subs_match(&subs, edged_str(topic), &nodes);
		for (int k = 0; k < n; k++)
			for (sub = nodes[k]->subs; sub; sub = sub->next) {
				assert_false(got[sub->id]);
				got[sub->id] = true;
			}
		for (uint32_t k = 0; k < MAX; k++)
			if (got[k] !=
			        (targets[k].first && filter_matches(edged_str(filters[k]), edged_str(topic))))
				fail_msg("step %d: %s %s", step, filters[k], topic);
	}
	for (uint32_t i = 0; i < MAX; i++)
		subs_remove_all(&subs, &targets[i]);
	assert_int_equal(subs.count, 0);
	assert_int_equal(subs.trie.count, 0);
	subs_fini(&subs);
}

static void a_second_subscription_replaces_the_first(void **state)
{
	(void)state;
	struct subs subs;
	struct target t = { 0 };
	struct sub *one, *two;
	struct filter f, shared;
	assert_int_equal(subs_init(&subs, key), 0);
	assert_true(filter_parse(edged_str("a/+"), &limits, &f));
	assert_true(filter_parse(edged_str("$share/g/a/+"), &limits, &shared));
	assert_int_equal(subs_add(&subs, &t, &f, 0, 1, &one), 0);
	assert_int_equal(subs_add(&subs, &t, &f, 2, 9, &two), SUBS_REPLACED);
	assert_ptr_equal(one, two);
	assert_int_equal(two->options, 2);
	assert_int_equal(subs_add(&subs, &t, &shared, 1, 0, &two), 0);
	assert_int_equal(t.count, 2);
	assert_ptr_equal(subs_find(&subs, &t, &shared), two);
	char text[32];
	assert_true(
	        edged_slice_is(edged_slice(text, subs_text(&subs, two, text, sizeof(text))), "$share/g/a/+"));
	subs_remove(&subs, two);
	assert_null(subs_find(&subs, &t, &shared));
	subs_remove_all(&subs, &t);
	assert_int_equal(subs.trie.count, 0);
	subs_fini(&subs);
}

static void no_memory_leaves_subscriptions_whole(void **state)
{
	(void)state;
	if (!heap_can_fail())
		skip();
	for (long n = 0;; n++) {
		struct subs subs;
		struct target t = { 0 };
		struct filter f;
		struct sub *sub;
		assert_int_equal(subs_init(&subs, key), 0);
		assert_true(filter_parse(edged_str("$share/g/a/b/c/+"), &limits, &f));
		heap_fail_at(n);
		int r = subs_add(&subs, &t, &f, 0, 0, &sub);
		bool failed = heap_failed();
		heap_fail_at(-1);
		assert_int_equal(r != 0, failed);
		subs_remove_all(&subs, &t);
		assert_int_equal(subs.trie.count, 0);
		subs_fini(&subs);
		if (!failed)
			return;
	}
}

/* --- retained
 * ------------------------------------------------------------------------------------------------------- */

static struct message *message(const char *topic)
{
	struct message_parts parts = { .topic = edged_str(topic), .payload = edged_str("payload"), .qos = 1 };
	struct message *m = message_new(&parts);
	assert_non_null(m);
	return m;
}

static int count_match(void *arg, struct message *m)
{
	struct {
		const char *filter;
		int count;
	} *find = arg;
	assert_true(filter_matches(edged_str(find->filter), message_topic(m)));
	find->count++;
	return 0;
}

static int count_all(void *arg, struct message *m)
{
	(void)m;
	++*(size_t *)arg;
	return 0;
}

static void retained_messages_are_found_by_filter(void **state)
{
	(void)state;
	enum { MAX = 400 };
	static char topics[MAX][64];
	struct retained retained;
	assert_int_equal(retained_init(&retained, key), 0);
	for (int step = 0; step < 20000; step++) {
		uint32_t i = chance(MAX);
		if (topics[i][0]) {
			assert_true(retained_remove(&retained, edged_str(topics[i])));
			assert_null(retained_get(&retained, edged_str(topics[i])));
			topics[i][0] = '\0';
		} else {
			char topic[64];
			random_text(topic, false);
			if (!*topic || retained_get(&retained, edged_str(topic)))
				continue;
			(void)add(topics[i], topic);
			struct message *m = message(topic);
			assert_int_equal(retained_set(&retained, m), 0);
			assert_ptr_equal(retained_get(&retained, edged_str(topic)), m);
			message_unref(m);
		}
		struct filter f;
		char text[64];
		random_text(text, true);
		if (!filter_parse(edged_str(text), &limits, &f) || f.group.len)
			continue;
		struct {
			const char *filter;
			int count;
		} find = { text, 0 };
		retained_match(&retained, f.filter, count_match, &find);
		int want = 0;
		for (uint32_t k = 0; k < MAX; k++)
			want += topics[k][0] && filter_matches(f.filter, edged_str(topics[k]));
		if (find.count != want)
			fail_msg("%s: %d instead of %d", text, find.count, want);
	}
	size_t all = 0;
	retained_each(&retained, count_all, &all);
	assert_int_equal(all, retained.count);
	retained_fini(&retained);
}

static void a_retained_message_replaces_the_former(void **state)
{
	(void)state;
	struct retained retained;
	assert_int_equal(retained_init(&retained, key), 0);
	struct message *a = message("a/b"), *b = message("a/b");
	assert_int_equal(retained_set(&retained, a), 0);
	assert_int_equal(retained_set(&retained, b), 0);
	assert_int_equal(retained.count, 1);
	assert_int_equal(retained.bytes, 10);
	assert_int_equal(a->blob.refs, 1);
	message_unref(a);
	message_unref(b);
	assert_false(retained_remove(&retained, edged_str("a")));
	retained_fini(&retained);
	assert_int_equal(retained.bytes, 0);
}

static int count_graves(void *arg, struct edged_slice topic, uint64_t stamp)
{
	assert_true(edged_slice_is(topic, "a/b") && stamp == 7);
	++*(size_t *)arg;
	return 0;
}

static void a_deletion_is_remembered_in_the_place_of_the_message(void **state)
{
	(void)state;
	struct retained retained;
	struct message *m = message("a/b");
	size_t graves = 0, found = 0;
	assert_int_equal(retained_init(&retained, key), 0);
	assert_int_equal(retained_set(&retained, m), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(retained_bury(&retained, edged_str("a/b"), 7), 0);
		assert_int_equal(m->blob.refs, 1);
		assert_int_equal(retained.count, 0);
		assert_int_equal(retained.bytes, 0);
		assert_int_equal(retained.buried, 1);
	}
	assert_int_equal(retained_stamp(&retained, edged_str("a/b")), 7);
	assert_int_equal(retained_stamp(&retained, edged_str("a")), 0);
	assert_null(retained_get(&retained, edged_str("a/b")));
	assert_false(retained_remove(&retained, edged_str("a/b")));
	retained_match(&retained, edged_str("#"), count_all, &found);
	retained_match(&retained, edged_str("a/b"), count_all, &found);
	retained_match(&retained, edged_str("+/b"), count_all, &found);
	assert_int_equal(found, 0);
	retained_each_buried(&retained, count_graves, &graves);
	assert_int_equal(graves, 1);
	assert_int_equal(retained_set(&retained, m), 0);
	assert_int_equal(retained.buried, 0);
	retained_unbury(&retained, edged_str("a/b")); /* there is no grave */
	assert_ptr_equal(retained_get(&retained, edged_str("a/b")), m);
	assert_int_equal(retained_bury(&retained, edged_str("a/b"), 7), 0);
	retained_unbury(&retained, edged_str("a/b"));
	assert_int_equal(retained.buried, 0);
	assert_int_equal(retained.trie.count, 0);
	assert_int_equal(retained_bury(&retained, edged_str("a/b"), 7), 0);
	retained_fini(&retained);
	message_unref(m);
}

static size_t heap_bytes(void)
{
	struct mallinfo2 now = mallinfo2();
	return now.uordblks + now.hblkhd;
}

/* With the stamp for other nodes and the publisher's name, tables and the allocator's own share included. */
static void a_retained_message_takes_350_bytes(void **state)
{
	(void)state;
	enum { TOPICS = 100000 };
	if (!heap_can_fail())
		skip();
	struct retained retained;
	assert_int_equal(retained_init(&retained, key), 0);
	size_t before = heap_bytes();
	for (unsigned i = 0; i < TOPICS; i++) {
		char topic[32];
		snprintf(topic, sizeof(topic), "site%03u/units%02u/temp", i / 100 % 1000, i % 100);
		const struct message_parts parts = { .topic = edged_str(topic),
			.payload = edged_str("twenty bytes of text"),
			.publisher = edged_str("gateway-0001"),
			.arrived = 1,
			.stamp = i + 1,
			.retain = true };
		assert_int_equal(parts.topic.len + parts.payload.len, 20 + 20);
		struct message *m = message_new(&parts);
		assert_non_null(m);
		assert_int_equal(retained_set(&retained, m), 0);
		message_unref(m);
	}
	size_t each = (heap_bytes() - before) / TOPICS;
	printf("%zu bytes\n", each);
	assert_int_equal(retained.count, TOPICS);
	assert_true(each <= 350);
	retained_fini(&retained);
}

/* 65,535 slashes are over every limit of levels; here the parts below the limit get them anyway. */
static void depth_costs_no_stack(void **state)
{
	(void)state;
	static char deep[65536];
	memset(deep, '/', sizeof(deep) - 1);
	const struct topic_limits none = { 65535, 65536 };
	struct subs subs;
	struct target t = { 0 };
	struct filter f;
	struct sub *sub;
	struct sub_node *const *nodes;
	assert_int_equal(subs_init(&subs, key), 0);
	assert_true(filter_parse(edged_slice(deep, 65535), &none, &f));
	assert_int_equal(subs_add(&subs, &t, &f, 0, 0, &sub), 0);
	assert_int_equal(subs_match(&subs, f.filter, &nodes), 1);
	subs_remove_all(&subs, &t);
	subs_fini(&subs);
	struct retained retained;
	assert_int_equal(retained_init(&retained, key), 0);
	struct message *m = message(deep);
	assert_int_equal(retained_set(&retained, m), 0);
	message_unref(m);
	size_t n = 0;
	retained_match(&retained, edged_str("#"), count_all, &n);
	assert_int_equal(n, 1);
	retained_fini(&retained);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_filters_are_judged),
		cmocka_unit_test(filters_match_topics),
		cmocka_unit_test(the_trie_agrees_with_the_plain_matcher),
		cmocka_unit_test(a_second_subscription_replaces_the_first),
		cmocka_unit_test(no_memory_leaves_subscriptions_whole),
		cmocka_unit_test(retained_messages_are_found_by_filter),
		cmocka_unit_test(a_retained_message_replaces_the_former),
		cmocka_unit_test(a_deletion_is_remembered_in_the_place_of_the_message),
		cmocka_unit_test(a_retained_message_takes_350_bytes),
		cmocka_unit_test(depth_costs_no_stack),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* layers: plugins/broker */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topics and filters: the input is lines, each a filter to subscribe to, or after "-" to leave, or after ">" a topic. For each
 * topic the trie of subscriptions, the trie of retained messages and filter_matches() say what a matcher says that follows MQTT
 * 5.0 section 4.7 word by word.
 */
#include "../../plugins/broker/codec.h"
#include "../../plugins/broker/retained.h"
#include "../../plugins/broker/subs.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILTERS = 64, TOPICS = 16 };

static const struct topic_limits limits = { 256, 32 };
static const uint64_t key[2] = { 1, 2 };

struct world {
	struct subs subs;
	struct retained retained;
	struct filter filters[FILTERS]; /* into the input */
	struct target targets[FILTERS];
	unsigned count;
	struct edged_slice topics[TOPICS];
	unsigned topic_count;
};

/* What begins behind the next "/"; ptr NULL: nothing does. */
static struct edged_slice behind(struct edged_slice text, struct edged_slice *ret_level)
{
	size_t n = 0;
	while (n < text.len && text.ptr[n] != '/')
		n++;
	*ret_level = edged_slice(text.ptr, n);
	return n < text.len ? edged_slice(text.ptr + n + 1, text.len - n - 1) : edged_slice(NULL, 0);
}

static bool matches_from(struct edged_slice filter, struct edged_slice topic)
{
	struct edged_slice want, has, more = behind(filter, &want);
	if (edged_slice_is(want, "#")) /* 4.7.1.2 */
		return true;
	if (!topic.ptr)
		return false;
	struct edged_slice rest = behind(topic, &has);
	if (!edged_slice_is(want, "+") && !edged_slice_eq(want, has)) /* 4.7.1.3 */
		return false;
	if (!more.ptr)
		return !rest.ptr;
	return matches_from(more, rest);
}

static bool plainly_matches(struct edged_slice filter, struct edged_slice topic)
{
	if (topic.ptr[0] == '$' && (filter.ptr[0] == '+' || filter.ptr[0] == '#')) /* 4.7.2 */
		return false;
	return matches_from(filter, topic);
}

static void subscribe(struct world *w, struct edged_slice text)
{
	struct filter filter;
	struct sub *sub;
	char again[300];
	if (w->count == FILTERS || !filter_parse(text, &limits, &filter))
		return;
	w->filters[w->count] = filter;
	MUST(subs_add(&w->subs, &w->targets[w->count], &filter, 1, w->count + 1, &sub) == 0);
	MUST(subs_find(&w->subs, &w->targets[w->count], &filter) == sub);
	MUST(edged_slice_eq(text, edged_slice(again, subs_text(&w->subs, sub, again, sizeof(again)))));
	MUST(!sub->group || sub->group->number == filter_number(&filter));
	w->count++;
}

static void leave(struct world *w, struct edged_slice text)
{
	struct filter filter;
	if (!filter_parse(text, &limits, &filter))
		return;
	for (unsigned i = 0; i < w->count; i++) {
		struct sub *sub = subs_find(&w->subs, &w->targets[i], &filter);
		if (sub)
			subs_remove(&w->subs, sub);
	}
}

static void note(bool *got, const struct sub *sub)
{
	for (; sub; sub = sub->next) {
		MUST(!got[sub->id - 1]);
		got[sub->id - 1] = true;
	}
}

static void publish(struct world *w, struct edged_slice topic)
{
	bool got[FILTERS] = { false };
	struct sub_node *const *nodes;
	if (!topic_valid(topic, &limits))
		return;
	int n = subs_match(&w->subs, topic, &nodes);
	MUST(n >= 0);
	for (int i = 0; i < n; i++) {
		note(got, nodes[i]->subs);
		for (const struct sub_group *g = nodes[i]->groups; g; g = g->next)
			note(got, g->subs);
	}
	for (unsigned i = 0; i < w->count; i++) {
		bool match = plainly_matches(w->filters[i].filter, topic);
		MUST(got[i] == (w->targets[i].first && match));
		MUST(filter_matches(w->filters[i].filter, topic) == match);
	}
	const struct message_parts parts = { .topic = topic, .payload = edged_str("x") };
	struct message *m = message_new(&parts);
	if (m && w->topic_count < TOPICS && !retained_get(&w->retained, topic)) {
		MUST(retained_set(&w->retained, m) == 0);
		w->topics[w->topic_count++] = topic;
	}
	message_unref(m);
}

static int count(void *arg, struct message *m)
{
	(void)m;
	++*(unsigned *)arg;
	return 0;
}

static void look_up(struct world *w)
{
	for (unsigned i = 0; i < w->count; i++) {
		unsigned found = 0, wanted = 0;
		retained_match(&w->retained, w->filters[i].filter, count, &found);
		for (unsigned k = 0; k < w->topic_count; k++)
			wanted += plainly_matches(w->filters[i].filter, w->topics[k]);
		MUST(found == wanted);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .count = 0 };
	MUST(subs_init(&w.subs, key) == 0 && retained_init(&w.retained, key) == 0);
	for (const char *at = (const char *)data, *end = at + size; at < end;) {
		const char *line = memchr(at, '\n', (size_t)(end - at));
		struct edged_slice text = edged_slice(at, (size_t)((line ? line : end) - at));
		at = line ? line + 1 : end;
		if (!utf8_valid(text) || text.len == 0)
			continue;
		if (text.ptr[0] == '>')
			publish(&w, edged_slice(text.ptr + 1, text.len - 1));
		else if (text.ptr[0] == '-')
			leave(&w, edged_slice(text.ptr + 1, text.len - 1));
		else
			subscribe(&w, text);
	}
	look_up(&w);
	for (unsigned i = 0; i < w.count; i++)
		subs_remove_all(&w.subs, &w.targets[i]);
	MUST(w.subs.count == 0 && w.subs.trie.count == 0);
	for (unsigned i = 0; i < w.topic_count; i++)
		MUST(retained_remove(&w.retained, w.topics[i]));
	retained_fini(&w.retained);
	subs_fini(&w.subs);
	return 0;
}

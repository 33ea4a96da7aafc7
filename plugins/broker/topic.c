/* SPDX-License-Identifier: Apache-2.0 */
#include "topic.h"

bool topic_valid(struct edged_slice topic, const struct topic_limits *limits)
{
	if (topic.len == 0 || topic.len > limits->bytes)
		return false;
	unsigned count = 1;
	for (size_t i = 0; i < topic.len; i++) {
		char c = topic.ptr[i];
		if (c == '+' || c == '#' || c == '\0')
			return false;
		count += c == '/';
	}
	return count <= limits->levels;
}

/* Wildcards stand alone in their level, "#" in the last one. */
static bool filter_valid(struct edged_slice filter, const struct topic_limits *limits)
{
	if (filter.len == 0)
		return false;
	struct levels l = levels(filter);
	struct edged_slice level;
	unsigned count = 0;
	while (levels_next(&l, &level)) {
		count++;
		for (size_t i = 0; i < level.len; i++) {
			char c = level.ptr[i];
			if (c == '\0' || ((c == '+' || c == '#') && level.len > 1))
				return false;
		}
		if (level.len == 1 && level.ptr[0] == '#' && l.more)
			return false;
	}
	return count <= limits->levels;
}

bool filter_parse(struct edged_slice text, const struct topic_limits *limits, struct filter *ret)
{
	struct filter f = { edged_slice(NULL, 0), text };
	if (text.len > limits->bytes)
		return false;
	if (edged_slice_starts(text, "$share/")) {
		struct levels l = levels(edged_slice(text.ptr + 7, text.len - 7));
		(void)levels_next(&l, &f.group);
		if (f.group.len == 0 || !l.more)
			return false;
		for (size_t i = 0; i < f.group.len; i++)
			if (f.group.ptr[i] == '+' || f.group.ptr[i] == '#')
				return false;
		f.filter = edged_slice(l.at, (size_t)(l.end - l.at));
	}
	if (!filter_valid(f.filter, limits))
		return false;
	*ret = f;
	return true;
}

/* FNV-1a. A "/" stands in no group, so the two do not run into each other. */
static uint32_t hash_more(uint32_t hash, struct edged_slice text)
{
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (uint8_t)text.ptr[i]) * UINT32_C(16777619);
	return hash;
}

uint32_t filter_number(const struct filter *filter)
{
	uint32_t hash = hash_more(UINT32_C(2166136261), filter->group);
	hash = hash_more(hash_more(hash, edged_str("/")), filter->filter);
	return (hash ^ hash >> 28) % UINT32_C(268435455) + 1;
}

bool filter_matches(struct edged_slice filter, struct edged_slice topic)
{
	if (topic.ptr[0] == '$' && (filter.ptr[0] == '+' || filter.ptr[0] == '#'))
		return false;
	struct levels fl = levels(filter), tl = levels(topic);
	struct edged_slice f, t;
	while (levels_next(&fl, &f)) {
		if (edged_slice_is(f, "#"))
			return true;
		if (!levels_next(&tl, &t))
			return false;
		if (!edged_slice_is(f, "+") && !edged_slice_eq(f, t))
			return false;
		if (!tl.more && fl.more)
			return edged_slice_is(edged_slice(fl.at, (size_t)(fl.end - fl.at)), "#");
	}
	return !tl.more;
}

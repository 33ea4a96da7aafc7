/* SPDX-License-Identifier: Apache-2.0 */
/* Topic names and topic filters (MQTT 5.0, section 4.7). Pure. UTF-8 is checked before, by read_string(). */
#ifndef BROKER_TOPIC_H
#define BROKER_TOPIC_H

#include <stdint.h>
#include "edged/slice.h"

struct topic_limits {
	size_t bytes;
	unsigned levels;
};

/* A name to publish to: not empty, no wildcard, within the limits. */
bool topic_valid(struct edged_slice topic, const struct topic_limits *limits);

/* A filter taken apart: "$share/group/a/+" has a group and the filter "a/+"; others have an empty group. */
struct filter {
	struct edged_slice group;
	struct edged_slice filter;
};

/* False when it is no valid filter, or over the limits. */
bool filter_parse(struct edged_slice text, const struct topic_limits *limits, struct filter *ret);

/* A number for a shared subscription, from its group and filter: the same on every node, so that one can say to another which
 * it means. It fits into a subscription identifier (1 to 268,435,455). Two may have the same, one pair of 270 million. */
uint32_t filter_number(const struct filter *filter);

/* Does the (valid) filter match the (valid) topic? Wildcards in front do not match topics that begin with
 * "$". */
bool filter_matches(struct edged_slice filter, struct edged_slice topic);

/* Cuts the first level off *rest. False when nothing is left; an empty level counts. Start with more = true.
 */
struct levels {
	const char *at, *end;
	bool more;
};

static inline struct levels levels(struct edged_slice topic)
{
	return (struct levels){ topic.ptr, topic.ptr + topic.len, true };
}

static inline bool levels_next(struct levels *l, struct edged_slice *ret)
{
	if (!l->more)
		return false;
	const char *at = l->at;
	while (at < l->end && *at != '/')
		at++;
	*ret = edged_slice(l->at, (size_t)(at - l->at));
	l->more = at < l->end;
	l->at = l->more ? at + 1 : at;
	return true;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "travel.h"

#include "../broker/topic.h"

static bool is_request(struct edged_slice level)
{
	return edged_slice_is(level, "get") || edged_slice_is(level, "update") ||
	       edged_slice_is(level, "delete");
}

/* Also of a filter that matches nothing else. $aws/things/THING/shadow/REQUEST, or $aws/things/THING/shadow/name/NAME/REQUEST */
static bool is_shadow_request(struct edged_slice topic)
{
	struct edged_slice at[8];
	size_t n = 0;
	struct levels l = levels(topic);
	while (n < 8 && levels_next(&l, &at[n]))
		n++;
	if ((n != 5 && n != 7) || !edged_slice_is(at[1], "things") || !edged_slice_is(at[3], "shadow"))
		return false;
	return n == 5 ? is_request(at[4]) : edged_slice_is(at[4], "name") && is_request(at[6]);
}

static bool is_allowed(const struct travel *travel, struct edged_slice topic)
{
	for (size_t i = 0; i < travel->count; i++)
		if (filter_matches(travel->filters[i], topic))
			return true;
	return false;
}

bool topic_travels(const struct travel *travel, struct edged_slice topic)
{
	if (!is_allowed(travel, topic))
		return false;
	return !edged_slice_starts(topic, "$") ||
	       (edged_slice_starts(topic, "$aws/") && !is_shadow_request(topic));
}

bool filter_travels(struct edged_slice filter)
{
	return !edged_slice_starts(filter, "$") ||
	       (edged_slice_starts(filter, "$aws/") && !is_shadow_request(filter));
}

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

/* $aws/things/THING/jobs/get, .../jobs/start-next, .../jobs/JOB/get and update; also of a filter that matches nothing else. */
static bool is_job_request(struct edged_slice topic)
{
	struct edged_slice at[8];
	size_t n = 0;
	struct levels l = levels(topic);
	while (n < 8 && levels_next(&l, &at[n]))
		n++;
	if ((n != 5 && n != 6) || !edged_slice_is(at[1], "things") || !edged_slice_is(at[3], "jobs"))
		return false;
	return is_request(at[n - 1]) || (n == 5 && edged_slice_is(at[4], "start-next"));
}

/* Of those that begin with "$". Events about clients are the node's own: what listens to them cares for its own clients. */
static bool is_common(struct edged_slice topic)
{
	return edged_slice_starts(topic, "$aws/") && !edged_slice_starts(topic, "$aws/events/") &&
	       !is_shadow_request(topic) && !is_job_request(topic);
}

bool topic_travels(const struct travel *travel, struct edged_slice topic)
{
	return is_allowed(travel, topic) && (!edged_slice_starts(topic, "$") || is_common(topic));
}

bool filter_travels(struct edged_slice text)
{
	static const struct topic_limits any = { UINT16_MAX, UINT16_MAX };
	struct filter shared;
	bool is_shared = edged_slice_starts(text, "$share/") && filter_parse(text, &any, &shared);
	struct edged_slice filter = is_shared ? shared.filter : text;
	return !edged_slice_starts(filter, "$") || is_common(filter);
}

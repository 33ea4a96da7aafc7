/* SPDX-License-Identifier: Apache-2.0 */
#include "mapping.h"

#include "../broker/topic.h"

const struct rule *map_topic(const struct bridge_settings *settings, uint8_t way, struct edged_slice topic,
        char *out, struct edged_slice *ret_topic)
{
	for (size_t i = 0; i < settings->rule_count; i++) {
		const struct rule *rule = &settings->rules[i];
		bool in = way == WAY_IN;
		if (!(rule->ways & way) ||
		        !filter_matches(edged_str(in ? rule->remote_filter : rule->local_filter), topic))
			continue;
		struct edged_slice from = edged_str(in ? rule->remote_prefix : rule->local_prefix),
		                   to = edged_str(in ? rule->local_prefix : rule->remote_prefix);
		size_t rest = topic.len - from.len; /* the filter begins with the prefix, so the topic does */
		if (to.len + rest == 0 || to.len + rest > TOPIC_MOST)
			return NULL;
		if (to.len)
			memcpy(out, to.ptr, to.len);
		if (rest)
			memcpy(out + to.len, topic.ptr + from.len, rest);
		*ret_topic = edged_slice(out, to.len + rest);
		return rule;
	}
	return NULL;
}

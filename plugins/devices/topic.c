/* SPDX-License-Identifier: Apache-2.0 */
#include "topic.h"

#include <stdio.h>

static bool one_of(char c, const char *more)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr(more, c));
}

bool call_name_valid(struct edged_slice name)
{
	if (name.len == 0 || name.len > CALL_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!one_of(name.ptr[i], ".:_-"))
			return false;
	return true;
}

void call_topic_print(char topic[CALL_TOPIC_MAX], const char *thing, struct edged_slice name, const char *id)
{
	snprintf(topic, CALL_TOPIC_MAX, "devices/%s/call/%.*s/%s", thing, EDGED_SLICE_FMT(name), id);
}

void answer_topic_print(char topic[CALL_TOPIC_MAX], const char *thing, const char *id)
{
	snprintf(topic, CALL_TOPIC_MAX, "devices/%s/answer/%s", thing, id);
}

/* Takes the text up to the next '/' off the front; what follows the last one is the rest. */
static struct edged_slice next_level(struct edged_slice *rest)
{
	const char *slash = rest->len ? memchr(rest->ptr, '/', rest->len) : NULL;
	struct edged_slice level = slash ? edged_slice(rest->ptr, (size_t)(slash - rest->ptr)) : *rest;
	*rest = slash ? edged_slice(slash + 1, rest->len - level.len - 1) : edged_slice(NULL, 0);
	return level;
}

static bool read_status(struct edged_slice text, int *ret)
{
	if (text.len != 3)
		return false;
	*ret = 0;
	for (size_t i = 0; i < 3; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		*ret = *ret * 10 + (text.ptr[i] - '0');
	}
	return *ret >= 400 && *ret <= 599;
}

bool answer_topic_parse(struct edged_slice topic, struct answer *ret)
{
	struct edged_slice rest = topic;
	if (!edged_slice_is(next_level(&rest), "devices"))
		return false;
	ret->thing = next_level(&rest);
	if (!edged_slice_is(next_level(&rest), "answer"))
		return false;
	ret->id = next_level(&rest);
	ret->status = 0;
	return ret->id.len == CALL_ID_LEN && (!rest.ptr || read_status(rest, &ret->status));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "topic.h"

#include <stdio.h>

bool job_id_valid(struct edged_slice id)
{
	if (id.len == 0 || id.len > JOB_ID_MAX)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		char c = id.ptr[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		            c == '_' || c == '-'))
			return false;
	}
	return true;
}

int name_compare(const char *name, struct edged_slice other)
{
	size_t n = strlen(name);
	int r = other.len ? memcmp(name, other.ptr, n < other.len ? n : other.len) : 0;
	return r ? r : (n > other.len) - (n < other.len);
}

/* The levels of a topic; as many as there are, but no more than `most` + 1. */
static size_t split(struct edged_slice topic, struct edged_slice *ret, size_t most)
{
	size_t n = 0, from = 0;
	for (size_t i = 0; i <= topic.len; i++) {
		if (i < topic.len && topic.ptr[i] != '/')
			continue;
		if (n == most)
			return most + 1;
		ret[n++] = edged_slice(topic.ptr + from, i - from);
		from = i + 1;
	}
	return n;
}

bool jobs_topic_parse(struct edged_slice topic, struct edged_slice *ret_thing, struct edged_slice *ret_job,
        enum jobs_verb *ret_verb)
{
	static const struct {
		const char *word;
		size_t levels;
		enum jobs_verb verb;
	} verbs[] = { { "get", 5, JOBS_PENDING }, { "start-next", 5, JOBS_START_NEXT },
		{ "get", 6, JOBS_DESCRIBE }, { "update", 6, JOBS_UPDATE } };
	struct edged_slice levels[6];
	size_t n = split(topic, levels, 6);
	if (n < 5 || n > 6 || !edged_slice_is(levels[0], "$aws") || !edged_slice_is(levels[1], "things") ||
	        !edged_slice_is(levels[3], "jobs"))
		return false;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (verbs[i].levels == n && edged_slice_is(levels[n - 1], verbs[i].word)) {
			*ret_thing = levels[2];
			*ret_job = n == 6 ? levels[4] : edged_slice("", 0);
			*ret_verb = verbs[i].verb;
			return true;
		}
	return false;
}

size_t jobs_topic_print(char *topic, const char *thing, const char *suffix)
{
	int n = snprintf(topic, JOBS_TOPIC_MAX, "$aws/things/%s/jobs/%s", thing, suffix);
	return n < 0 ? 0 : (size_t)n;
}

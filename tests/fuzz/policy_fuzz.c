/* layers: plugins/things */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies: the first part is a document, the others (split at NUL) are a client id and a name. What is read can be bound
 * and judged; a client whose id has wildcards gets nothing by its own id that another does not get. The client id, as a
 * pattern, matches the name when a slow and plain matcher says so.
 */
#include <stdlib.h>

#include "../../plugins/things/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PLAIN_MAX = 300 }; /* bytes of pattern and text; longer than what is searched in the short way */

static struct edged_slice take(struct edged_slice *all)
{
	const char *end = memchr(all->ptr, '\0', all->len);
	size_t n = end ? (size_t)(end - all->ptr) : all->len;
	struct edged_slice part = edged_slice(all->ptr, n);
	n += end ? 1 : 0;
	*all = edged_slice(all->ptr + n, all->len - n);
	return part;
}

static bool value(const void *arg, const struct variable *variable, unsigned index, struct edged_slice *ret)
{
	*ret = *(const struct edged_slice *)arg;
	return index < 3 && variable->id != VARIABLE_DOMAIN;
}

static void judge(struct policy *policy, struct edged_slice client, struct edged_slice name)
{
	struct rules *rules = NULL;
	const struct subject subject = { value, &client };
	if (rules_bind(&policy, 1, &subject, &rules))
		return;
	for (unsigned i = 0; i < EDGED_ACTION_COUNT * RESOURCES; i++) {
		struct policy_request request = { .action = (uint8_t)(i % EDGED_ACTION_COUNT),
			.resource = (uint8_t)(i / EDGED_ACTION_COUNT),
			.attributes = (uint8_t)(i % (ATTRIBUTES_NONE + 1)),
			.name = i / EDGED_ACTION_COUNT == RESOURCE_NONE ? edged_slice(NULL, 0) : name,
			.now_s = 1000000000 };
		enum verdict verdict = rules_judge(rules, &request);
		if (verdict > VERDICT_DENY || verdict != rules_judge(rules, &request))
			abort();
	}
	rules_unref(rules);
}

/* Each byte of the pattern takes the set of places in the text where it may have come to one step further. */
static bool plainly_matches(struct edged_slice pattern, struct edged_slice text)
{
	bool at[PLAIN_MAX + 1] = { true };
	for (size_t p = 0; p < pattern.len; p++) {
		bool next[PLAIN_MAX + 1] = { false }, any = false;
		for (size_t i = 0; i <= text.len; i++) {
			size_t n = i < text.len;
			any = any || at[i];
			while (n && i + n < text.len && ((uint8_t)text.ptr[i + n] & 0xc0) == 0x80 &&
			        pattern.ptr[p] == '?')
				n++;
			if (pattern.ptr[p] == '*')
				next[i] = any;
			else if (at[i] && n && (pattern.ptr[p] == '?' || pattern.ptr[p] == text.ptr[i]))
				next[i + n] = true;
		}
		memcpy(at, next, sizeof(at));
	}
	return at[text.len];
}

static void compare(struct edged_slice text, struct edged_slice name)
{
	struct arena arena = { 0 };
	struct pattern pattern;
	const char *why;
	if (text.len <= PLAIN_MAX && name.len <= PLAIN_MAX && !memmem(text.ptr, text.len, "${", 2) &&
	        pattern_read(text, PATTERN_WILDCARDS, &arena, &pattern, &why) == 0 &&
	        pattern_match(pattern.pieces, pattern.count, name) != plainly_matches(text, name))
		abort();
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct edged_slice all = edged_slice(data, size);
	if (size == 0)
		return 0;
	struct edged_slice document = take(&all), client = take(&all), name = take(&all);
	struct policy *policy = NULL;
	struct policy_error error;
	int r = policy_compile(document, 2048, &policy, &error);
	if (r && !error.reason[0])
		abort();
	if (!r)
		judge(policy, client, name);
	policy_unref(policy);
	compare(client, name);
	return 0;
}

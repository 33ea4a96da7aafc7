/* layers: plugins/things */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies: the first part is a document, the others (split at NUL) are a client id and a name. What is read can be bound
 * and judged; a client whose id has wildcards gets nothing by its own id that another does not get. Patterns match what a
 * slow and plain matcher says.
 */
#include <stdlib.h>

#include "../../plugins/things/plain_match_test.h"
#include "../../plugins/things/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	if (!matchers_agree(client, name))
		abort();
	return 0;
}

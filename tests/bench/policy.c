/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy decision costs: prints nanoseconds of CPU for each, the lowest of ROUNDS, as JSON.
 * 20 statements, of which none fits but the last one, so that each is looked at.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../../plugins/things/rules.h"

enum { STATEMENTS = 20, DECISIONS = 200000, ROUNDS = 20 };

static bool value(const void *arg, const struct variable *variable, unsigned index, struct edged_slice *ret)
{
	(void)arg;
	(void)variable;
	*ret = edged_str("lamp-0017");
	return index == 0;
}

/* "exact": topics; "prefix": topics that end in a star; "wild": stars inside, and a condition. */
static struct rules *make(const char *kind)
{
	char text[8192];
	size_t n = (size_t)snprintf(text, sizeof(text), "{\"Version\":\"2012-10-17\",\"Statement\":[");
	for (int i = 0; i < STATEMENTS; i++) {
		const char *effect = i < 3 ? "Deny" : "Allow";
		int last = i == STATEMENTS - 1 ? 7 : i + 100;
		const char *form = kind[0] == 'e'   ? "site/%d/${iot:ClientId}/temperature"
		                   : kind[0] == 'p' ? "site/%d/${iot:ClientId}/*"
		                                    : "site/*/%d/*${iot:ClientId}/t*re";
		char name[100];
		_Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wformat-nonliteral\"")
		        snprintf(name, sizeof(name), form, last);
		_Pragma("GCC diagnostic pop") n += (size_t)snprintf(text + n, sizeof(text) - n,
		        "%s{\"Effect\":\"%s\",\"Action\":[\"iot:Publish\",\"iot:Receive\"],\"Resource\":"
		        "\"arn:aws:iot:eu-central-1:"
		        "123456789012:topic/%s\"}",
		        i ? "," : "", effect, name);
	}
	snprintf(text + n, sizeof(text) - n, "]}");
	struct policy *policy = NULL;
	struct policy_error error;
	struct rules *rules = NULL;
	const struct subject subject = { value, NULL };
	if (policy_compile(edged_str(text), sizeof(text), &policy, &error) ||
	        rules_bind(&policy, 1, &subject, &rules)) {
		fprintf(stderr, "policy: %s: %s\n", error.path, error.reason);
		exit(1);
	}
	policy_unref(policy);
	return rules;
}

static double cpu_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static double measure(const char *kind)
{
	struct rules *rules = make(kind);
	struct policy_request request = { .action = EDGED_PUBLISH,
		.resource = RESOURCE_TOPIC,
		.attributes = ATTRIBUTES_NONE,
		.name = edged_str(
		        kind[0] == 'w' ? "site/x/7/lamp-0017/temperature" : "site/7/lamp-0017/temperature") };
	double best = 1e9;
	for (int round = 0; round < ROUNDS; round++) {
		double from = cpu_ns();
		for (int i = 0; i < DECISIONS; i++)
			if (rules_judge(rules, &request) != VERDICT_ALLOW)
				exit(1);
		double each = (cpu_ns() - from) / DECISIONS;
		best = each < best ? each : best;
	}
	rules_unref(rules);
	return best;
}

int main(void)
{
	printf("{\"exact\": %.1f, \"prefix\": %.1f, \"wild\": %.1f}\n", measure("exact"), measure("prefix"),
	        measure("wild"));
	return 0;
}

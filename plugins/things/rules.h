/* SPDX-License-Identifier: Apache-2.0 */
/* The policies of a principal, bound to who it is: judges requests. Immutable; any thread. Pure. */
#ifndef THINGS_RULES_H
#define THINGS_RULES_H

#include "policy.h"

struct rules; /* policies bound to a subject */

/* Takes references of the policies. 0 or -ENOMEM. */
int rules_bind(
        struct policy *const *policies, size_t count, const struct subject *subject, struct rules **ret);
struct rules *rules_ref(struct rules *rules);
void rules_unref(struct rules *rules);

/* Does its judgement depend on the time? */
bool rules_timed(const struct rules *rules);

struct policy_request {
	uint8_t action;          /* enum edged_action */
	uint8_t resource;        /* enum resource */
	uint8_t attributes;      /* of a client that connects: ATTRIBUTE_*; else ATTRIBUTES_NONE */
	struct edged_slice name; /* of the resource, without "topic/"; empty for RESOURCE_NONE */
	int64_t now_s;           /* seconds since 1970; looked at when rules_timed() */
};

enum verdict {
	VERDICT_NONE,
	VERDICT_ALLOW,
	VERDICT_DENY
}; /* NONE: no statement speaks of it, so it is not allowed */

enum verdict rules_judge(const struct rules *rules, const struct policy_request *request);

#endif

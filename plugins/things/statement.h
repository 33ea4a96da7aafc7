/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a compiled policy: what policy.c reads and rules.c binds. */
#ifndef THINGS_STATEMENT_H
#define THINGS_STATEMENT_H

#include "policy.h"

struct target { /* one entry of Resource or NotResource: the sixth part of its ARN */
	struct pattern pattern;
	bool never; /* the parts before it cannot be those of AWS IoT */
};

struct statement {
	bool deny, not_resource;
	uint32_t actions; /* bits of enum edged_action */
	size_t target_count;
	struct target *targets;
	const struct condition *conditions;
};

struct policy {
	uint32_t refs; /* atomic */
	struct arena arena;
	size_t count;
	struct statement *statements;
	bool constant;
};

/* Splits an ARN pattern: *ret is what comes behind its fifth ":", or "*" when it has fewer (IAM: an incomplete ARN
 * ends with wildcards). *ret_never: the service is another one. -EINVAL with a sentence. */
int arn_read(struct edged_slice text, struct edged_slice *ret, bool *ret_never, const char **ret_why);

#endif

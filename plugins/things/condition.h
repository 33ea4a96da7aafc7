/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Condition block of a statement (IAM user guide: "Condition operators", "Multivalued context keys"). All conditions
 * and all keys must hold; of the values of one key, one must (none for the negated operators). A key that the subject
 * does not have fails, but holds for the negated operators and for ...IfExists. Pure.
 */
#ifndef THINGS_CONDITION_H
#define THINGS_CONDITION_H

#include "pattern.h"

struct condition;

/* A subject that connects; bits of what iot:ConnectAttributes lists. */
enum {
	ATTRIBUTE_PERSISTENT = 1,
	ATTRIBUTE_WILL = 2,
	ATTRIBUTE_SETS = 4,
	ATTRIBUTES_NONE = 4 /* it does not connect */
};

/* A comparison with the time of the request. */
struct time_test {
	const struct time_test *next;
	uint8_t compare; /* of enum compare */
	bool negated;
	size_t count;
	const int64_t *values; /* seconds since 1970 */
};

/* What is left of conditions once a subject is known. */
struct condition_rest {
	bool never;         /* it cannot hold for this subject */
	uint8_t attributes; /* bit n: holds for the set n of attributes; bit ATTRIBUTES_NONE: for other requests */
	const struct time_test *times;
};

/* "OPERATOR", "KEY" and the count texts beside it; *ret is chained in front of `next`. -EINVAL with a sentence. */
int condition_read(struct edged_slice operator, struct edged_slice key, const struct edged_slice *values,
        size_t count, unsigned flags, const struct condition *next, struct arena *arena,
        const struct condition **ret, const char **ret_why);
/* 0 or -ENOMEM. `allows`: its statement is an Allow; what is not known then never helps it. */
int condition_bind(const struct condition *first, const struct subject *subject, bool allows,
        struct arena *arena, struct condition_rest *ret);
bool condition_times_hold(const struct time_test *first, int64_t now_s);

#endif

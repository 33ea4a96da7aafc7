/* SPDX-License-Identifier: Apache-2.0 */
/* The operators of conditions, and what they compare (IAM user guide: "Condition operators"). Pure. */
#ifndef THINGS_COMPARE_H
#define THINGS_COMPARE_H

#include "edged/slice.h"

enum compare {
	COMPARE_TEXT,
	COMPARE_TEXT_ANY_CASE,
	COMPARE_LIKE,
	COMPARE_BOOL,
	COMPARE_NULL,
	COMPARE_IP,
	/* numbers, then times, in one order */
	COMPARE_NUMBER_EQUAL,
	COMPARE_NUMBER_LESS,
	COMPARE_NUMBER_LESS_EQUAL,
	COMPARE_NUMBER_GREATER,
	COMPARE_NUMBER_GREATER_EQUAL,
	COMPARE_TIME_EQUAL,
	COMPARE_TIME_LESS,
	COMPARE_TIME_LESS_EQUAL,
	COMPARE_TIME_GREATER,
	COMPARE_TIME_GREATER_EQUAL,
};

struct operator
{
	const char *name;
	uint8_t compare;
	bool negated;
};

/* "StringEquals" and so on, in any case; NULL: there is none of this name. */
const struct operator* operator_find(struct edged_slice name);

struct network {
	uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
	unsigned bits;
};
/* "192.0.2.0/24", "2001:db8::1". */
bool network_read(struct edged_slice text, struct network *ret);
bool network_has(const struct network *network, const struct network *address);

bool number_read(struct edged_slice text, double *ret);
/* Seconds since 1970 from "2026-11-26T10:00:00Z" (and "2026-11-26", offsets "+01:00"), or a number of them. */
bool time_read(struct edged_slice text, int64_t *ret);
/* a OPERATOR b, for an operator of numbers or times. */
bool compare_numbers(enum compare compare, double a, double b);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters for lists of things: "connected=false,reported.battery<20". Pure.
 *
 *   filter = term *( "," term )                      all must hold
 *   term   = path                                    it is there
 *          / path ( "=" / "!=" / "<" / "<=" / ">" / ">=" ) value
 *   path   = "thing" / "connected" / "version" / "timestamp"
 *          / ( "desired" / "reported" ) *( "." key )
 *   value  = a JSON scalar, or a bare word, which is a string; at its end "*" stands for anything (with "=" and "!=")
 *
 * A number compares with numbers, a string with strings, a truth value with truth values (only "=" and "!="); a value of
 * another type, or none, is unequal and neither less nor more. A "," in a value is written in a JSON string.
 */
#ifndef SHADOW_FILTER_H
#define SHADOW_FILTER_H

#include <jansson.h>
#include <stdbool.h>
#include "edged/slice.h"

enum { FILTER_TERMS = 8 };

struct filter;

/* NULL: it is no filter, or there is no memory; *ret_why is a sentence then. */
struct filter *filter_parse(struct edged_slice text, const char **ret_why);
void filter_free(struct filter *filter);

/* What is known of a thing; state is {"desired": .., "reported": ..}. */
struct filter_subject {
	const char *thing;
	const json_t *state;
	int64_t version, timestamp;
	bool connected;
};
bool filter_fits(const struct filter *filter, const struct filter_subject *subject);

#endif

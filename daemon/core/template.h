/* SPDX-License-Identifier: Apache-2.0 */
/* Path templates of routes: "/things/{thing}/shadow", "/topics/{topic...}". See edged/plugin.h. Pure. */
#ifndef CORE_TEMPLATE_H
#define CORE_TEMPLATE_H

#include <stdbool.h>
#include "edged/slice.h"
#include "base/err.h"

enum { TEMPLATE_PARAMS = 8, TEMPLATE_LEN = 255 };

/* Where in the path a parameter's value is. */
struct template_param {
	struct edged_slice name; /* part of the template */
	size_t offset, len;
};

struct template_match {
	struct template_param params[TEMPLATE_PARAMS];
	size_t count;
};

/* -EINVAL with a sentence. */
EDGED_MUST_CHECK int template_check(const char *template, struct err *err);
/* The order in which templates are tried: literal segments before {parameters} before {rest...}. 0: they
 * match the very same paths. */
int template_compare(const char *a, const char *b);
/* `segments` as in core/target.h. */
bool template_matches(const char *template, struct edged_slice segments, struct template_match *ret);
/* The first segment when it is literal, else an empty slice with .ptr NULL. */
struct edged_slice template_first(const char *template);

/* One part of a template after another; for those that render it. */
enum template_kind { TEMPLATE_END, TEMPLATE_LITERAL, TEMPLATE_PARAM, TEMPLATE_REST };
/* Moves *at past the part. `text` gets the literal or the parameter's name. */
enum template_kind template_next(const char **at, struct edged_slice *text);

#endif

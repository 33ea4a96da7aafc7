/* SPDX-License-Identifier: Apache-2.0 */
/* What the resources of a statement ask of a name, ready to be judged without allocation. Pure. */
#ifndef THINGS_MATCHER_H
#define THINGS_MATCHER_H

#include "action.h"
#include "pattern.h"

enum shape { SHAPE_ALL, SHAPE_EXACT, SHAPE_PREFIX, SHAPE_PATTERN };

struct matcher {
	uint8_t resources; /* bits of enum resource */
	uint8_t shape;
	uint32_t count;          /* pieces */
	struct edged_slice text; /* SHAPE_EXACT, SHAPE_PREFIX */
	const struct piece *pieces;
};

/* From a bound pattern of "topic/NAME" and so on. 0 or -ENOMEM; *ret is an array in the arena, maybe of none. */
int matchers_make(
        const struct pattern *pattern, struct arena *arena, struct matcher **ret, size_t *ret_count);
/* Does it mean the resource of this kind and name? */
bool matcher_fits(const struct matcher *matcher, enum resource resource, struct edged_slice name);

#endif

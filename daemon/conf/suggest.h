/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean": which of several known words is nearest to one that nobody knows. */
#ifndef CONF_SUGGEST_H
#define CONF_SUGGEST_H

#include <stddef.h>

struct suggestion {
	const char *word; /* what was written */
	const char *best; /* the nearest candidate so far, borrowed; NULL: none is near enough */
	unsigned distance;
};

void suggest_begin(struct suggestion *suggestion, const char *word);
/* A candidate counts when it takes no more edits (insert, remove, change, swap two neighbours; upper and
 * lower case are the same) than a third of its length; words over 64 bytes are never near. */
void suggest_try(struct suggestion *suggestion, const char *candidate);

#endif

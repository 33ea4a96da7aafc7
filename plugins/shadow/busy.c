/* SPDX-License-Identifier: Apache-2.0 */
#include "busy.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

struct thing {
	const char *name; /* first member: a name is looked up without making a thing */
	unsigned count;
	char text[];
};

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int busy_add(struct busy *busy, const char *name, unsigned limit)
{
	struct thing **found = tfind(&name, &busy->tree, compare);
	if (found) {
		if ((*found)->count >= limit)
			return -EBUSY;
		(*found)->count++;
		return 0;
	}
	size_t n = strlen(name) + 1;
	struct thing *thing = malloc(sizeof(*thing) + n);
	if (!thing)
		return -ENOMEM;
	memcpy(thing->text, name, n);
	thing->name = thing->text;
	thing->count = 1;
	if (tsearch(thing, &busy->tree, compare))
		return 0;
	free(thing);
	return -ENOMEM;
}

void busy_remove(struct busy *busy, const char *name)
{
	struct thing *thing = *(struct thing **)tfind(&name, &busy->tree, compare);
	if (--thing->count)
		return;
	tdelete(thing, &busy->tree, compare);
	free(thing);
}

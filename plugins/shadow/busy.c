/* SPDX-License-Identifier: Apache-2.0 */
#include "busy.h"

#include <errno.h>
#include <search.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND_US = 1000000 };

struct thing {
	const char *name; /* first member: a name is looked up without making a thing */
	unsigned count;
	uint64_t paid; /* us: when all that came is paid for, at the rate */
	TAILQ_ENTRY(thing) idle;
	char text[];
};

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void busy_init(struct busy *busy, unsigned in_flight, unsigned rate)
{
	*busy = (struct busy){ .in_flight = in_flight, .rate = rate };
	TAILQ_INIT(&busy->idle);
}

static void thing_free(struct busy *busy, struct thing *thing)
{
	tdelete(thing, &busy->tree, compare);
	free(thing);
}

/* Those that owe nothing any more. */
static void forget(struct busy *busy, uint64_t now_us)
{
	struct thing *first;
	while ((first = TAILQ_FIRST(&busy->idle)) && first->paid <= now_us) {
		TAILQ_REMOVE(&busy->idle, first, idle);
		thing_free(busy, first);
	}
}

void busy_fini(struct busy *busy)
{
	forget(busy, UINT64_MAX);
}

/* What one request costs is added to what is owed; nobody owes more than a second. */
static bool spend(const struct busy *busy, struct thing *thing, uint64_t now_us)
{
	if (busy->rate == 0)
		return true;
	uint64_t paid = (thing->paid > now_us ? thing->paid : now_us) + SECOND_US / busy->rate;
	if (paid > now_us + SECOND_US)
		return false;
	thing->paid = paid;
	return true;
}

static struct thing *find_or_add(struct busy *busy, const char *name)
{
	struct thing **found = tfind(&name, &busy->tree, compare);
	if (found)
		return *found;
	size_t n = strlen(name) + 1;
	struct thing *thing = malloc(sizeof(*thing) + n);
	if (!thing)
		return NULL;
	*thing = (struct thing){ .name = thing->text };
	memcpy(thing->text, name, n);
	if (!tsearch(thing, &busy->tree, compare)) {
		free(thing);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&busy->idle, thing, idle);
	return thing;
}

int busy_add(struct busy *busy, const char *name, uint64_t now)
{
	forget(busy, now * 1000);
	struct thing *thing = find_or_add(busy, name);
	if (!thing)
		return -ENOMEM;
	if (thing->count >= busy->in_flight)
		return -EBUSY;
	if (!spend(busy, thing, now * 1000))
		return -EAGAIN;
	if (thing->count++ == 0)
		TAILQ_REMOVE(&busy->idle, thing, idle);
	return 0;
}

void busy_remove(struct busy *busy, const char *name)
{
	struct thing *thing = *(struct thing **)tfind(&name, &busy->tree, compare);
	if (--thing->count)
		return;
	if (busy->rate)
		TAILQ_INSERT_TAIL(&busy->idle, thing, idle);
	else
		thing_free(busy, thing);
}

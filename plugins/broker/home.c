/* SPDX-License-Identifier: Apache-2.0 */
#include "home.h"

#include <stdlib.h>

struct home {
	uint32_t refs; /* atomic */
	int64_t bytes; /* atomic */
};

struct home *home_new(void)
{
	struct home *home = calloc(1, sizeof(*home));
	if (home)
		home->refs = 1;
	return home;
}

struct home *home_ref(struct home *home)
{
	__atomic_fetch_add(&home->refs, 1, __ATOMIC_RELAXED);
	return home;
}

void home_unref(struct home *home)
{
	if (home && __atomic_sub_fetch(&home->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(home);
}

void home_add(struct home *home, int64_t bytes)
{
	__atomic_fetch_add(&home->bytes, bytes, __ATOMIC_RELAXED);
}

uint64_t home_bytes(const struct home *home)
{
	int64_t bytes = __atomic_load_n(&home->bytes, __ATOMIC_RELAXED);
	return bytes > 0 ? (uint64_t)bytes : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted for each of several: bridges, or nodes. Those of a name are made once, and live as long as the plugin, as their
 * words in /metrics do. Also linked with the mesh.
 */
#ifndef BRIDGE_WORDS_H
#define BRIDGE_WORDS_H

#include <stddef.h>
#include "edged/cap_metrics.h"

/* First member of a struct of words, int64_t * each. */
struct words {
	struct words *next;
	char *name;
};

struct words_kind {
	const char *label; /* with the name as its value */
	size_t size;       /* of the struct */
	struct words_row {
		size_t at; /* offset of the word in it */
		enum edged_metric_type type;
		const char *name, *labels, *help; /* labels: behind the name, beginning with a comma, or "" */
	} const *rows;
	size_t count;
};

/* Those of that name, made when there are none yet. NULL: no memory. */
void *words_get(struct words **all, const struct words_kind *kind, struct edged_host *host,
        const struct edged_metrics_1 *metrics, const char *name);
void words_free(struct words *all);

static inline int64_t figure(const int64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void count_one(int64_t *word)
{
	edged_metric_add(word, 1);
}

#endif

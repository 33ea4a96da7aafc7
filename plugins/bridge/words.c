/* SPDX-License-Identifier: Apache-2.0 */
#include "words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void register_all(struct words *words, const struct words_kind *kind, struct edged_host *host,
        const struct edged_metrics_1 *metrics)
{
	for (size_t i = 0; i < kind->count; i++) {
		const struct words_row *row = &kind->rows[i];
		int64_t **word = (int64_t **)(void *)((char *)words + row->at);
		char labels[160];
		snprintf(labels, sizeof(labels), "%s=\"%s\"%s", kind->label, words->name, row->labels);
		*word = metrics->figure(host, row->type, row->name, labels, row->help);
	}
}

void *words_get(struct words **all, const struct words_kind *kind, struct edged_host *host,
        const struct edged_metrics_1 *metrics, const char *name)
{
	for (struct words *w = *all; w; w = w->next)
		if (strcmp(w->name, name) == 0)
			return w;
	struct words *w = calloc(1, kind->size);
	if (!w || !(w->name = strdup(name))) {
		free(w);
		return NULL;
	}
	register_all(w, kind, host, metrics);
	w->next = *all;
	return *all = w;
}

void words_free(struct words *all)
{
	for (struct words *next; all; all = next) {
		next = all->next;
		free(all->name);
		free(all);
	}
}

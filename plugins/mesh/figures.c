/* SPDX-License-Identifier: Apache-2.0 */
#include "figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_words(struct figures *f, struct edged_host *host, const struct edged_metrics_1 *metrics)
{
	static const char dropped[] = "mesh_messages_dropped_total",
	                  why[] = "Messages not carried between nodes, by reason",
	                  queue[] = "mesh_queue_messages",
	                  queued[] = "Messages for the node that it has not acknowledged";
	const struct {
		int64_t **word;
		enum edged_metric_type type;
		const char *name, *labels, *help;
	} rows[] = {
		{ &f->connected, EDGED_GAUGE, "mesh_connected", "", "Is the node connected for messages" },
		{ &f->connects, EDGED_COUNTER, "mesh_connects_total", "", "Times that it was connected" },
		{ &f->failures, EDGED_COUNTER, "mesh_failures_total", "",
		        "Attempts and connections that failed" },
		{ &f->waiting, EDGED_GAUGE, queue, ",state=\"waiting\"", queued },
		{ &f->in_flight, EDGED_GAUGE, queue, ",state=\"in-flight\"", queued },
		{ &f->bytes, EDGED_GAUGE, "mesh_queue_bytes", "", "Bytes of those messages" },
		{ &f->sent, EDGED_COUNTER, "mesh_messages_sent_total", "",
		        "Messages sent to the node, again counted again" },
		{ &f->received, EDGED_COUNTER, "mesh_messages_received_total", "", "Messages from the node" },
		{ &f->filters, EDGED_GAUGE, "mesh_filters", "", "Filters that the node has told" },
		{ &f->duplicates, EDGED_COUNTER, "mesh_duplicates_total", "",
		        "Messages that came again and were known" },
		{ &f->dropped_queue, EDGED_COUNTER, dropped, ",direction=\"out\",reason=\"queue-full\"",
		        why },
		{ &f->dropped_size, EDGED_COUNTER, dropped, ",direction=\"out\",reason=\"too-large\"", why },
		{ &f->dropped_refused, EDGED_COUNTER, dropped, ",direction=\"out\",reason=\"refused\"", why },
		{ &f->dropped_stays_out, EDGED_COUNTER, dropped, ",direction=\"out\",reason=\"stays-here\"",
		        why },
		{ &f->dropped_invalid, EDGED_COUNTER, dropped, ",direction=\"in\",reason=\"not-allowed\"",
		        why },
		{ &f->dropped_stays_in, EDGED_COUNTER, dropped, ",direction=\"in\",reason=\"stays-there\"",
		        why },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char labels[160];
		snprintf(labels, sizeof(labels), "node=\"%s\"%s", f->node, rows[i].labels);
		*rows[i].word = metrics->figure(host, rows[i].type, rows[i].name, labels, rows[i].help);
	}
}

struct figures *figures_get(struct figures **all, struct edged_host *host,
        const struct edged_metrics_1 *metrics, const char *node)
{
	for (struct figures *f = *all; f; f = f->next)
		if (strcmp(f->node, node) == 0)
			return f;
	struct figures *f = calloc(1, sizeof(*f));
	if (!f || !(f->node = strdup(node))) {
		free(f);
		return NULL;
	}
	add_words(f, host, metrics);
	f->next = *all;
	*all = f;
	return f;
}

void figures_free(struct figures *all)
{
	for (struct figures *next; all; all = next) {
		next = all->next;
		free(all->node);
		free(all);
	}
}

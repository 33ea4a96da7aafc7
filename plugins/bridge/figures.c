/* SPDX-License-Identifier: Apache-2.0 */
#include "figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_words(struct figures *f, struct edged_host *host, const struct edged_metrics_1 *metrics)
{
	static const char dropped[] = "bridge_messages_dropped_total",
	                  why[] = "Messages not passed on, by reason",
	                  delivered[] = "bridge_messages_delivered_total",
	                  passed[] = "Messages that the other side has taken";
	const struct {
		int64_t **word;
		enum edged_metric_type type;
		const char *name, *labels, *help;
	} rows[] = {
		{ &f->connected, EDGED_GAUGE, "bridge_connected", "", "Is it connected" },
		{ &f->connects, EDGED_COUNTER, "bridge_connects_total", "", "Times that it was connected" },
		{ &f->failures, EDGED_COUNTER, "bridge_failures_total", "",
		        "Attempts and connections that failed" },
		{ &f->waiting, EDGED_GAUGE, "bridge_queue_messages", ",state=\"waiting\"",
		        "Messages in its queue" },
		{ &f->in_flight, EDGED_GAUGE, "bridge_queue_messages", ",state=\"in-flight\"",
		        "Messages in its queue" },
		{ &f->bytes, EDGED_GAUGE, "bridge_queue_bytes", "", "Bytes in its queue" },
		{ &f->unsaved, EDGED_GAUGE, "bridge_incoming_messages", ",state=\"waiting\"",
		        "Messages that came and are not acknowledged" },
		{ &f->open, EDGED_GAUGE, "bridge_incoming_messages", ",state=\"in-flight\"",
		        "Messages that came and are not acknowledged" },
		{ &f->delivered_out, EDGED_COUNTER, delivered, ",direction=\"out\"", passed },
		{ &f->delivered_in, EDGED_COUNTER, delivered, ",direction=\"in\"", passed },
		{ &f->dropped_queue, EDGED_COUNTER, dropped, ",direction=\"out\",reason=\"queue-full\"",
		        why },
		{ &f->dropped_refused, EDGED_COUNTER, dropped, ",direction=\"out\",reason=\"refused\"", why },
		{ &f->dropped_size, EDGED_COUNTER, dropped, ",direction=\"out\",reason=\"too-large\"", why },
		{ &f->dropped_stale, EDGED_COUNTER, dropped, ",direction=\"out\",reason=\"no-rule\"", why },
		{ &f->dropped_out_loop, EDGED_COUNTER, dropped, ",direction=\"out\",reason=\"loop\"", why },
		{ &f->dropped_in_loop, EDGED_COUNTER, dropped, ",direction=\"in\",reason=\"loop\"", why },
		{ &f->dropped_unmapped, EDGED_COUNTER, dropped, ",direction=\"in\",reason=\"no-rule\"", why },
		{ &f->dropped_local, EDGED_COUNTER, dropped, ",direction=\"in\",reason=\"not-allowed\"",
		        why },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char labels[120];
		snprintf(labels, sizeof(labels), "bridge=\"%s\"%s", f->name, rows[i].labels);
		*rows[i].word = metrics->figure(host, rows[i].type, rows[i].name, labels, rows[i].help);
	}
}

struct figures *figures_get(struct figures **all, struct edged_host *host,
        const struct edged_metrics_1 *metrics, const char *name)
{
	for (struct figures *f = *all; f; f = f->next)
		if (strcmp(f->name, name) == 0)
			return f;
	struct figures *f = calloc(1, sizeof(*f));
	if (!f || !(f->name = strdup(name))) {
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
		free(all->name);
		free(all);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "figures.h"

static const char dropped[] = "mesh_messages_dropped_total",
                  why[] = "Messages not carried between nodes, by reason", queue[] = "mesh_queue_messages",
                  queued[] = "Messages for the node that it has not acknowledged";

static const struct words_row rows[] = {
	{ offsetof(struct figures, connected), EDGED_GAUGE, "mesh_connected", "",
	        "Is the node connected for messages" },
	{ offsetof(struct figures, connects), EDGED_COUNTER, "mesh_connects_total", "",
	        "Times that it was connected" },
	{ offsetof(struct figures, failures), EDGED_COUNTER, "mesh_failures_total", "",
	        "Attempts and connections that failed" },
	{ offsetof(struct figures, waiting), EDGED_GAUGE, queue, ",state=\"waiting\"", queued },
	{ offsetof(struct figures, in_flight), EDGED_GAUGE, queue, ",state=\"in-flight\"", queued },
	{ offsetof(struct figures, bytes), EDGED_GAUGE, "mesh_queue_bytes", "", "Bytes of those messages" },
	{ offsetof(struct figures, sent), EDGED_COUNTER, "mesh_messages_sent_total", "",
	        "Messages sent to the node, again counted again" },
	{ offsetof(struct figures, received), EDGED_COUNTER, "mesh_messages_received_total", "",
	        "Messages from the node" },
	{ offsetof(struct figures, filters), EDGED_GAUGE, "mesh_filters", "",
	        "Filters that the node has told" },
	{ offsetof(struct figures, duplicates), EDGED_COUNTER, "mesh_duplicates_total", "",
	        "Messages that came again and were known" },
	{ offsetof(struct figures, dropped_queue), EDGED_COUNTER, dropped,
	        ",direction=\"out\",reason=\"queue-full\"", why },
	{ offsetof(struct figures, dropped_size), EDGED_COUNTER, dropped,
	        ",direction=\"out\",reason=\"too-large\"", why },
	{ offsetof(struct figures, dropped_refused), EDGED_COUNTER, dropped,
	        ",direction=\"out\",reason=\"refused\"", why },
	{ offsetof(struct figures, dropped_stays_out), EDGED_COUNTER, dropped,
	        ",direction=\"out\",reason=\"stays-here\"", why },
	{ offsetof(struct figures, dropped_invalid), EDGED_COUNTER, dropped,
	        ",direction=\"in\",reason=\"not-allowed\"", why },
	{ offsetof(struct figures, dropped_stays_in), EDGED_COUNTER, dropped,
	        ",direction=\"in\",reason=\"stays-there\"", why },
};

static const struct words_kind kind = { "node", sizeof(struct figures), rows,
	sizeof(rows) / sizeof(rows[0]) };

struct figures *figures_get(
        struct words **all, struct edged_host *host, const struct edged_metrics_1 *metrics, const char *name)
{
	return words_get(all, &kind, host, metrics, name);
}

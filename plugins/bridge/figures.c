/* SPDX-License-Identifier: Apache-2.0 */
#include "figures.h"

static const char dropped[] = "bridge_messages_dropped_total", why[] = "Messages not passed on, by reason",
                  delivered[] = "bridge_messages_delivered_total",
                  passed[] = "Messages that the other side has taken";

static const struct words_row rows[] = {
	{ offsetof(struct figures, connected), EDGED_GAUGE, "bridge_connected", "", "Is it connected" },
	{ offsetof(struct figures, connects), EDGED_COUNTER, "bridge_connects_total", "",
	        "Times that it was connected" },
	{ offsetof(struct figures, failures), EDGED_COUNTER, "bridge_failures_total", "",
	        "Attempts and connections that failed" },
	{ offsetof(struct figures, waiting), EDGED_GAUGE, "bridge_queue_messages", ",state=\"waiting\"",
	        "Messages in its queue" },
	{ offsetof(struct figures, in_flight), EDGED_GAUGE, "bridge_queue_messages", ",state=\"in-flight\"",
	        "Messages in its queue" },
	{ offsetof(struct figures, bytes), EDGED_GAUGE, "bridge_queue_bytes", "", "Bytes in its queue" },
	{ offsetof(struct figures, unsaved), EDGED_GAUGE, "bridge_incoming_messages", ",state=\"waiting\"",
	        "Messages that came and are not acknowledged" },
	{ offsetof(struct figures, open), EDGED_GAUGE, "bridge_incoming_messages", ",state=\"in-flight\"",
	        "Messages that came and are not acknowledged" },
	{ offsetof(struct figures, delivered_out), EDGED_COUNTER, delivered, ",direction=\"out\"", passed },
	{ offsetof(struct figures, delivered_in), EDGED_COUNTER, delivered, ",direction=\"in\"", passed },
	{ offsetof(struct figures, dropped_queue), EDGED_COUNTER, dropped,
	        ",direction=\"out\",reason=\"queue-full\"", why },
	{ offsetof(struct figures, dropped_refused), EDGED_COUNTER, dropped,
	        ",direction=\"out\",reason=\"refused\"", why },
	{ offsetof(struct figures, dropped_size), EDGED_COUNTER, dropped,
	        ",direction=\"out\",reason=\"too-large\"", why },
	{ offsetof(struct figures, dropped_stale), EDGED_COUNTER, dropped,
	        ",direction=\"out\",reason=\"no-rule\"", why },
	{ offsetof(struct figures, dropped_out_loop), EDGED_COUNTER, dropped,
	        ",direction=\"out\",reason=\"loop\"", why },
	{ offsetof(struct figures, dropped_in_loop), EDGED_COUNTER, dropped,
	        ",direction=\"in\",reason=\"loop\"", why },
	{ offsetof(struct figures, dropped_unmapped), EDGED_COUNTER, dropped,
	        ",direction=\"in\",reason=\"no-rule\"", why },
	{ offsetof(struct figures, dropped_local), EDGED_COUNTER, dropped,
	        ",direction=\"in\",reason=\"not-allowed\"", why },
};

static const struct words_kind kind = { "bridge", sizeof(struct figures), rows,
	sizeof(rows) / sizeof(rows[0]) };

struct figures *figures_get(
        struct words **all, struct edged_host *host, const struct edged_metrics_1 *metrics, const char *name)
{
	return words_get(all, &kind, host, metrics, name);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /pubsub/v1/trace: the packets of one client, or the messages of the topics that match a filter, as server-sent events,
 * for a bounded time and at a bounded rate.
 */
#ifndef BROKER_TRACE_H
#define BROKER_TRACE_H

#include <jansson.h>
#include "broker.h"

int trace_new(struct broker *broker, struct trace **ret); /* -ENOMEM */
void trace_free(struct trace *trace);
/* Ends all streams. */
void trace_stop(struct trace *trace);
/* The route. Main loop. */
int trace_open(void *self, edged_handle request);

/* What one event tells; absent members are empty, NULL or below zero. */
struct event {
	struct edged_slice client, topic, payload;
	const char *direction, *packet, *by, *why;
	json_t *more; /* an object with further members */
	int id, qos, reason;
	bool dup, retain, message;
};

/* Gives it to the traces that it concerns. Any loop. */
void trace_show(const struct broker *broker, const struct event *event);

#endif

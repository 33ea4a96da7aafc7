/* SPDX-License-Identifier: Apache-2.0 */
/* GET /pubsub/v1/subscribe: messages as server-sent events. Main loop. */
#ifndef BROKER_SSE_H
#define BROKER_SSE_H

#include "broker.h"

int sse_new(struct broker *broker, struct sse **ret);
void sse_free(struct sse *sse);
/* Ends all streams. */
void sse_stop(struct sse *sse);
int sse_open(struct sse *sse, edged_handle request);

#endif

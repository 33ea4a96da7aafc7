/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP data plane of AWS IoT Core (API reference, "AWS IoT data plane": Publish, GetRetainedMessage,
 * ListRetainedMessages, DeleteConnection), for devices and tools as well as for operators: its routes are open
 * (EDGED_ROUTE_OPEN), and who asks is judged first (plugins/shadow/gate.h). Errors are in AWS's shape. Main loop.
 */
#ifndef BROKER_DATAPLANE_H
#define BROKER_DATAPLANE_H

#include "broker.h"

struct dataplane;

int dataplane_new(struct broker *broker, struct dataplane **ret);
/* Questions that are open are dropped. */
void dataplane_stop(struct dataplane *dataplane);
void dataplane_free(struct dataplane *dataplane); /* NULL is fine */

/* REST handlers; self is struct broker. */
int dataplane_publish(void *self, edged_handle request);
int dataplane_get_retained(void *self, edged_handle request);
int dataplane_list_retained(void *self, edged_handle request);
int dataplane_disconnect(void *self, edged_handle request);

#endif

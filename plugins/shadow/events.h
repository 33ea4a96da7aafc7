/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /shadow/v1/things/{thing}/events: a shadow as server-sent events. First what it is (`document`, or `absent`), then each
 * change (`update`: the documents before and after), each difference (`delta`) and each deletion (`delete`), as on its
 * topics; and when its thing comes or goes (`connected`, `disconnected`). A reader that falls behind is waited for as an MQTT client is; what it lost is told (`lost`). Main loop.
 */
#ifndef SHADOW_EVENTS_H
#define SHADOW_EVENTS_H

#include "edged/cap_http.h"
#include "edged/cap_metrics.h"
#include "gate.h"
#include "service.h"

struct events;

int events_new(const struct service_deps *deps, const struct gate *gate, struct service *service,
        unsigned limit, struct events **ret); /* -ENOMEM */
void events_free(struct events *events);
/* Ends all streams. */
void events_stop(struct events *events);
/* Answers the request. */
int events_open(struct events *events, edged_handle request, const struct shadow_name *name,
        struct edged_identity *identity);
/* Rights have changed: streams of those who may no longer get the shadow end. */
void events_judge(struct events *events);

#endif

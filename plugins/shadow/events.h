/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /shadow/v1/things/{thing}/events: a shadow as server-sent events. First what it is (`document`, or `absent`), then each
 * change (`update`: the documents before and after), each difference (`delta`) and each deletion (`delete`), as on its
 * topics; and when its thing comes or goes (`connected`, `disconnected`). Main loop.
 */
#ifndef SHADOW_EVENTS_H
#define SHADOW_EVENTS_H

#include "feed.h"
#include "service.h"

/* Answers the request. */
int events_open(struct feeds *feeds, struct service *service, edged_handle request,
        const struct shadow_name *name, struct edged_identity *identity);

#endif

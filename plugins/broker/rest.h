/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REST: publishing and reading retained messages as AWS IoT does it, and what the broker has right now. Main loop.
 * The functions here also serve listing.c, admin.c and sse.c.
 */
#ifndef BROKER_REST_H
#define BROKER_REST_H

#include <jansson.h>
#include "broker.h"

extern const struct edged_route rest_routes[];

/* Answers with the JSON value, which is given. */
int rest_reply(struct broker *broker, edged_handle request, int status, json_t *body);
/* {"message", "traceId"} as AWS IoT answers; type: of the error, or NULL. */
int rest_aws_reply(
        struct broker *broker, edged_handle request, int status, const char *type, const char *message);
/* The `limit` and number parameters: absent gives def; false when it is no number within 1..max, and a problem was sent. */
bool rest_number(struct broker *broker, edged_handle request, const char *name, uint64_t def, uint64_t max,
        uint64_t *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shadows over REST: as the AWS IoT data plane has them (GET, POST and DELETE /things/{thing}/shadow[?name=],
 * GET /api/things/shadow/ListNamedShadowsForThing/{thing}; errors in AWS's shape: x-amzn-errortype and {"message", "traceId"}),
 * and what that lacks, below /shadow/v1/things (errors are problem documents).
 */
#ifndef SHADOW_REST_H
#define SHADOW_REST_H

#include "edged/cap_http.h"
#include "events.h"
#include "list.h"
#include "service.h"

struct rest {
	struct edged_host *host;
	const struct edged_http_1 *http;
	const struct edged_pubsub_1 *pubsub;
	struct service *service;
	struct lists *lists;
	struct events *events;
};

int rest_get(struct rest *rest, edged_handle request);
int rest_update(struct rest *rest, edged_handle request);
int rest_delete(struct rest *rest, edged_handle request);
int rest_list(struct rest *rest, edged_handle request);

int rest_things(struct rest *rest, edged_handle request);
int rest_thing(struct rest *rest, edged_handle request);
int rest_patch(struct rest *rest, edged_handle request);
int rest_events(struct rest *rest, edged_handle request);

#endif

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
#include "gate.h"
#include "list.h"
#include "service.h"

struct rest {
	struct edged_host *host;
	const struct edged_http_1 *http;
	const struct edged_pubsub_1 *pubsub;
	struct service *service;
	struct lists *lists;
	struct feeds *feeds;
	struct gate *gate;
};

/* What follows once the gate has said who asks; self is a struct rest. */
gate_done rest_get, rest_update, rest_delete, rest_list;
gate_done rest_things, rest_thing, rest_patch, rest_events;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shadows over REST, as the AWS IoT data plane has them: GET, POST and DELETE /things/{thing}/shadow[?name=]
 * and GET /api/things/shadow/ListNamedShadowsForThing/{thing}. Errors are in AWS's shape: x-amzn-errortype
 * and
 * {"message", "traceId"}.
 */
#ifndef SHADOW_REST_H
#define SHADOW_REST_H

#include "edged/cap_http.h"
#include "service.h"

struct rest {
	struct edged_host *host;
	const struct edged_http_1 *http;
	struct service *service;
};

int rest_get(struct rest *rest, edged_handle request);
int rest_update(struct rest *rest, edged_handle request);
int rest_delete(struct rest *rest, edged_handle request);
int rest_list(struct rest *rest, edged_handle request);

#endif

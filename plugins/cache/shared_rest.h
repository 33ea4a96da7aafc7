/* SPDX-License-Identifier: Apache-2.0 */
/* What the shared cache has, over REST. Main loop. */
#ifndef CACHE_SHARED_REST_H
#define CACHE_SHARED_REST_H

#include "edged/cap_http.h"
#include "shared.h"

struct shared_rest {
	struct edged_host *host;
	const struct edged_http_1 *http;
	struct shared *shared;
};

/* A page of those whose URIs begin with `prefix`, by URI. */
int shared_rest_list(const struct shared_rest *rest, edged_handle request);
/* Forgets those whose URIs begin with `prefix`. */
int shared_rest_purge(const struct shared_rest *rest, edged_handle request);

#endif

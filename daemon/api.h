/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's own REST paths: health, metrics, /openapi.json, /edge/v1/{node,services,plugins,config,events}. */
#ifndef API_H
#define API_H

#include <stdbool.h>
#include "base/buf.h"
#include "base/err.h"

struct api;
struct conf;
struct events;
struct metrics;
struct plugins;
struct requests;
struct router;

/* Borrowed, outlives the api. */
struct api_deps {
	struct requests *requests;
	struct router *router;
	struct conf *conf;
	struct plugins *plugins;
	struct metrics *metrics;
	struct events *events;
	/* Appends the node's own members (no braces) for /edge/v1/node. */
	int (*node_json)(void *arg, struct buf *out);
	/* Is the daemon itself ready? Appends reasons why not as JSON array elements. */
	bool (*ready)(void *arg, struct buf *reasons);
	void *arg;
};

EDGED_MUST_CHECK int api_new(const struct api_deps *deps, struct api **ret, struct err *err);
void api_free(struct api *api); /* takes its routes back */

#endif

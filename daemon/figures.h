/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's own figures in /metrics: streams, requests, store, loops, process, cluster. They cost nothing until asked for. */
#ifndef FIGURES_H
#define FIGURES_H

#include "base/err.h"

struct figures;
struct mesh;
struct metrics;
struct http_server;
struct requests;
struct store;

struct figures_deps {
	struct metrics *metrics;
	struct requests *requests;
	struct store *store;
	const struct mesh *mesh;
	const struct http_server *http;
};

EDGED_MUST_CHECK int figures_new(const struct figures_deps *deps, struct figures **ret);
void figures_free(struct figures *figures); /* before the metrics */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A route without function. */
#include "edged/plugin.h"

static const struct edged_route routes[] = { { .method = "GET", .path = "/bad-route/v1" }, { 0 } };
#define NAME "bad-route"
#define MORE .routes = routes,
#include "probe.h"

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The router: which route serves a request. Templates are those of edged/plugin.h; a literal segment beats a
 * {parameter}, and a parameter beats a {rest...}. Pure.
 */
#ifndef CORE_ROUTER_H
#define CORE_ROUTER_H

#include "core/request.h"

/* Of the daemon's own routes: those who ask for a WebSocket may have one there; elsewhere they get 400. */
#define ROUTE_WEBSOCKET 0x80000000u

struct router;

/* Whose routes: the daemon itself or one plugin. */
struct route_owner {
	const char *name;  /* for people, /openapi.json and logs */
	const void *owner; /* identity, see requests_abandon() */
	void *self;        /* first argument of serve() */
	bool core;         /* may use the daemon's own paths */
};

EDGED_MUST_CHECK int router_new(struct requests *requests, struct router **ret);
void router_free(struct router *router);
/* -EEXIST (the sentence names the other owner), -EINVAL (malformed template), -EACCES (the daemon's path).
 * Routes must live until removed. All or nothing: routes up to the one whose method is NULL; route_size as in
 * edged_plugin. */
EDGED_MUST_CHECK int router_add(struct router *router, const struct route_owner *owner,
        const struct edged_route *routes, uint32_t route_size, struct err *err);
void router_remove(struct router *router, const void *owner);
/* Serves one request: 404 (with a hint when a stopped plugin had served that path), 405 with Allow, 403 when
 * the route's scope excludes the peer; HEAD is served by GET, OPTIONS by the router. */
void router_dispatch(struct router *router, edged_handle request);

/* Would the request go to a route that judges its clients itself (EDGED_ROUTE_OPEN)? Segments as in core/target.h. */
bool router_is_open(const struct router *router, struct edged_slice method, struct edged_slice segments);

/* Would it go to a route that reads bodies as they come (EDGED_ROUTE_STREAMED_BODY)? Others get a request once its body is
 * whole. */
bool router_streams_body(const struct router *router, struct edged_slice method, struct edged_slice segments);

/* Walks all routes in order of path and method, for /openapi.json. */
void router_each(const struct router *router,
        void (*each)(void *arg, const struct route_owner *owner, const struct edged_route *route), void *arg);

/* Called around each serve(): the app charges the time to the owner. May be NULL. */
void router_set_around(struct router *router, void (*enter)(void *arg, const char *owner),
        void (*leave)(void *arg), void *arg);

#endif

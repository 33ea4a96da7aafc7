/* SPDX-License-Identifier: Apache-2.0 */
#include "core/router.h"

#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "core/template.h"

enum { ALLOW_LEN = 256, FORMER_LIMIT = 16 };

/* One served route. */
struct entry {
	struct list all;  /* in router->all, by path and method */
	struct list near; /* in its bucket, in the order of matching */
	struct route_owner owner;
	const struct edged_route *route;
};

/* Routes whose first segment is the same, in the order of matching. */
struct bucket {
	struct list entries;
};

/* What a plugin served that has stopped: for the hint in a 404. */
struct former {
	struct list link; /* newest first */
	char name[40];
	struct buf templates; /* each with its NUL */
};

struct router {
	struct requests *requests;
	struct map buckets; /* first literal segment -> struct bucket */
	struct bucket wild; /* routes that begin with a parameter */
	struct list all;
	struct list former;
	unsigned former_count;
	void (*enter)(void *arg, const char *owner);
	void (*leave)(void *arg);
	void *around_arg;
};

int router_new(struct requests *requests, struct router **ret)
{
	struct router *router = calloc(1, sizeof(*router));
	if (!router)
		return -ENOMEM;
	router->requests = requests;
	map_init(&router->buckets);
	list_init(&router->wild.entries);
	list_init(&router->all);
	list_init(&router->former);
	*ret = router;
	return 0;
}

static void former_free(struct router *router, struct former *former)
{
	list_remove(&former->link);
	router->former_count--;
	buf_fini(&former->templates);
	free(former);
}

static void entry_free(struct entry *entry)
{
	list_remove(&entry->all);
	list_remove(&entry->near);
	free(entry);
}

void router_free(struct router *router)
{
	if (!router)
		return;
	list_each_safe (node, &router->all)
		entry_free(list_entry(node, struct entry, all));
	list_each_safe (node, &router->former)
		former_free(router, list_entry(node, struct former, link));
	for (struct map_entry *e = map_first(&router->buckets); e; e = map_next(&router->buckets, e))
		free(map_value(e));
	map_fini(&router->buckets);
	free(router);
}

void router_set_around(struct router *router, void (*enter)(void *arg, const char *owner),
        void (*leave)(void *arg), void *arg)
{
	router->enter = enter;
	router->leave = leave;
	router->around_arg = arg;
}

/* --- adding and removing
 * -------------------------------------------------------------------------------------- */

static bool any_method(const struct entry *entry)
{
	return strcmp(entry->route->method, "*") == 0;
}

static int method_compare(const struct entry *a, const struct entry *b)
{
	if (any_method(a) != any_method(b))
		return any_method(a) ? 1 : -1;
	return strcmp(a->route->method, b->route->method);
}

/* By template, then by method with "*" last. */
static int entry_compare(const struct entry *a, const struct entry *b)
{
	int r = template_compare(a->route->path, b->route->path);
	return r ? r : method_compare(a, b);
}

static int entry_compare_text(const struct entry *a, const struct entry *b)
{
	int r = strcmp(a->route->path, b->route->path);
	return r ? r : method_compare(a, b);
}

static struct bucket *bucket_of(struct router *router, const char *template)
{
	struct edged_slice first = template_first(template);
	return first.ptr ? map_get(&router->buckets, first) : &router->wild;
}

static int bucket_make(struct router *router, const char *template, struct bucket **ret)
{
	*ret = bucket_of(router, template);
	if (*ret)
		return 0;
	struct bucket *bucket = malloc(sizeof(*bucket));
	if (!bucket)
		return -ENOMEM;
	list_init(&bucket->entries);
	int r = map_add(&router->buckets, template_first(template), bucket);
	if (r)
		free(bucket);
	else
		*ret = bucket;
	return r;
}

static void bucket_drop_if_empty(struct router *router, struct edged_slice first)
{
	struct bucket *bucket = first.ptr ? map_get(&router->buckets, first) : NULL;
	if (bucket && list_empty(&bucket->entries))
		free(map_remove(&router->buckets, first));
}

/* The route that is there already and would make this one ambiguous. */
static const struct entry *conflict(struct router *router, const struct entry *entry)
{
	struct bucket *bucket = bucket_of(router, entry->route->path);
	if (!bucket)
		return NULL;
	list_each (node, &bucket->entries) {
		const struct entry *other = list_entry(node, struct entry, near);
		if (template_compare(other->route->path, entry->route->path) != 0)
			continue;
		bool foreign = other->owner.owner != entry->owner.owner;
		if (strcmp(other->route->method, entry->route->method) == 0 ||
		        (foreign && (any_method(other) || any_method(entry))))
			return other;
	}
	return NULL;
}

/* The first segment of a plugin's path must be its own: not one of the daemon's, and no parameter, which
 * would match the daemon's. */
static bool reserved(const char *template)
{
	static const char *const names[] = { "edge", "mds", "nodes", "any", "healthz", "readyz", "metrics",
		"openapi.json", "mqtt" };
	struct edged_slice first = template_first(template);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (edged_slice_is(first, names[i]))
			return true;
	return first.ptr == NULL;
}

static int check_route(struct router *router, const struct entry *entry, struct err *err)
{
	const struct edged_route *route = entry->route;
	const char *name = entry->owner.name;
	if (!route->path || !route->serve)
		return err_set(err, -EINVAL, "a route of %s has no path or no function", name);
	for (const char *c = route->method; *c; c++)
		if ((*c < 'A' || *c > 'Z') && *c != '-' && strcmp(route->method, "*") != 0)
			return err_set(
			        err, -EINVAL, "a route of %s has the method '%s'", name, route->method);
	if (!*route->method || strlen(route->method) > 16)
		return err_set(err, -EINVAL, "a route of %s has an unusable method", name);
	int r = template_check(route->path, err);
	if (r)
		return r;
	if (!entry->owner.core && reserved(route->path))
		return err_set(err, -EACCES, "%s %s of %s: the path belongs to the daemon", route->method,
		        route->path, name);
	const struct entry *other = conflict(router, entry);
	if (other)
		return err_set(err, -EEXIST, "%s %s of %s is served already by %s (%s %s)", route->method,
		        route->path, name, other->owner.name, other->route->method, other->route->path);
	return 0;
}

static void insert(struct router *router, struct bucket *bucket, struct entry *entry)
{
	struct list *place = bucket->entries.next;
	while (place != &bucket->entries && entry_compare(list_entry(place, struct entry, near), entry) < 0)
		place = place->next;
	list_insert_before(place, &entry->near);
	place = router->all.next;
	while (place != &router->all && entry_compare_text(list_entry(place, struct entry, all), entry) < 0)
		place = place->next;
	list_insert_before(place, &entry->all);
}

static int add_one(struct router *router, const struct route_owner *owner, const struct edged_route *route,
        struct err *err)
{
	struct entry candidate = { .owner = *owner, .route = route };
	int r = check_route(router, &candidate, err);
	if (r)
		return r;
	struct bucket *bucket = NULL;
	struct entry *entry = malloc(sizeof(*entry));
	r = entry ? bucket_make(router, route->path, &bucket) : -ENOMEM;
	if (r) {
		free(entry);
		return err_set(err, r, "no memory for the routes of %s", owner->name);
	}
	*entry = candidate;
	insert(router, bucket, entry);
	return 0;
}

static void remove_entry(struct router *router, struct entry *entry)
{
	struct edged_slice first = template_first(entry->route->path);
	entry_free(entry);
	bucket_drop_if_empty(router, first);
}

static void remove_route(struct router *router, const struct edged_route *route)
{
	list_each_safe (node, &router->all) {
		struct entry *entry = list_entry(node, struct entry, all);
		if (entry->route == route)
			remove_entry(router, entry);
	}
}

/* The i-th row of a table whose rows may be longer than ours. */
static const struct edged_route *row(const struct edged_route *routes, uint32_t route_size, size_t i)
{
	return (const struct edged_route *)(const void *)((const char *)routes + i * route_size);
}

static void forget_former(struct router *router, const char *name)
{
	list_each_safe (node, &router->former) {
		struct former *former = list_entry(node, struct former, link);
		if (strcmp(former->name, name) == 0)
			former_free(router, former);
	}
}

int router_add(struct router *router, const struct route_owner *owner, const struct edged_route *routes,
        uint32_t route_size, struct err *err)
{
	if (!routes)
		return 0;
	if (route_size < sizeof(*routes) || route_size % sizeof(void *))
		return err_set(
		        err, -EINVAL, "the route table of %s has rows of %u bytes", owner->name, route_size);
	for (size_t i = 0; row(routes, route_size, i)->method; i++) {
		int r = add_one(router, owner, row(routes, route_size, i), err);
		if (!r)
			continue;
		while (i-- > 0)
			remove_route(router, row(routes, route_size, i));
		return r;
	}
	forget_former(router, owner->name);
	return 0;
}

/* What is missing for lack of memory is missed by a hint only. */
static struct former *remember(struct router *router, const char *name)
{
	struct former *former = calloc(1, sizeof(*former));
	if (!former)
		return NULL;
	snprintf(former->name, sizeof(former->name), "%s", name);
	buf_init(&former->templates, 0);
	list_prepend(&router->former, &former->link);
	if (++router->former_count > FORMER_LIMIT)
		former_free(router, list_entry(router->former.prev, struct former, link));
	return former;
}

void router_remove(struct router *router, const void *owner)
{
	struct former *former = NULL;
	bool tried = false;
	list_each_safe (node, &router->all) {
		struct entry *entry = list_entry(node, struct entry, all);
		if (entry->owner.owner != owner)
			continue;
		if (!tried && !entry->owner.core) {
			forget_former(router, entry->owner.name);
			former = remember(router, entry->owner.name);
		}
		tried = true;
		if (former)
			buf_add(&former->templates, entry->route->path, strlen(entry->route->path) + 1);
		remove_entry(router, entry);
	}
}

void router_each(const struct router *router,
        void (*each)(void *arg, const struct route_owner *owner, const struct edged_route *route), void *arg)
{
	list_each (node, &router->all) {
		const struct entry *entry = list_entry(node, struct entry, all);
		each(arg, &entry->owner, entry->route);
	}
}

/* --- finding
 * -------------------------------------------------------------------------------------------------- */

/* One search. */
struct search {
	struct edged_slice method, segments;
	const struct entry *found;
	struct template_match match; /* of found */
	char allow[ALLOW_LEN];       /* methods of all that match the path; empty: none does */
};

static void allow(struct search *search, const char *method)
{
	char padded[24];
	snprintf(padded, sizeof(padded), ", %s,", method);
	char all[ALLOW_LEN + 8];
	snprintf(all, sizeof(all), ", %s,", search->allow);
	size_t used = strlen(search->allow);
	if (strstr(all, padded) || used + strlen(method) + 3 > sizeof(search->allow))
		return;
	snprintf(search->allow + used, sizeof(search->allow) - used, "%s%s", used ? ", " : "", method);
}

static void allow_entry(struct search *search, const struct entry *entry)
{
	if (any_method(entry))
		return;
	allow(search, entry->route->method);
	if (strcmp(entry->route->method, "GET") == 0)
		allow(search, "HEAD");
}

/* 2: it is for this method; 1: it will do; 0: it is not for it. */
static int fitness(const struct entry *entry, struct edged_slice method)
{
	if (edged_slice_is(method, entry->route->method))
		return 2;
	bool head = edged_slice_is(method, "HEAD") && strcmp(entry->route->method, "GET") == 0;
	return head || any_method(entry);
}

static void search_bucket(struct search *search, const struct bucket *bucket)
{
	int best = 0;
	list_each (node, &bucket->entries) {
		const struct entry *entry = list_entry(node, struct entry, near);
		if (search->found && template_compare(search->found->route->path, entry->route->path) != 0)
			return;
		struct template_match match;
		if (!template_matches(entry->route->path, search->segments, &match))
			continue;
		allow_entry(search, entry);
		int fit = fitness(entry, search->method);
		if (fit <= best)
			continue;
		best = fit;
		search->found = entry;
		search->match = match;
	}
}

static struct edged_slice first_segment(struct edged_slice segments)
{
	const char *from = segments.ptr + 1;
	return edged_slice(from, strnlen(from, segments.len - 1));
}

static void search_all(const struct router *router, struct search *search)
{
	if (search->segments.len == 0 || search->segments.ptr[0] != '\0')
		return;
	const struct bucket *bucket = map_get(&router->buckets, first_segment(search->segments));
	if (bucket)
		search_bucket(search, bucket);
	if (!search->found)
		search_bucket(search, &router->wild);
}

bool router_is_open(const struct router *router, struct edged_slice method, struct edged_slice segments)
{
	struct search search = { .method = method, .segments = segments };
	search_all(router, &search);
	return search.found && (search.found->route->flags & EDGED_ROUTE_OPEN);
}

bool router_streams_body(const struct router *router, struct edged_slice method, struct edged_slice segments)
{
	struct search search = { .method = method, .segments = segments };
	search_all(router, &search);
	return search.found && (search.found->route->flags & EDGED_ROUTE_STREAMED_BODY);
}

/* --- answering for itself
 * ------------------------------------------------------------------------------------- */

static const struct former *find_former(const struct router *router, struct edged_slice segments)
{
	list_each (node, &router->former) {
		const struct former *former = list_entry(node, struct former, link);
		const char *at = former->templates.ptr, *end = at + former->templates.len;
		for (struct template_match match; at < end; at += strlen(at) + 1)
			if (template_matches(at, segments, &match))
				return former;
	}
	return NULL;
}

/* Would the path be served with its last '/' taken away, or with one more? */
static bool served_with_other_slash(const struct router *router, struct edged_slice segments)
{
	char other[TEMPLATE_LEN + 2];
	if (segments.len < 2 || segments.len > TEMPLATE_LEN)
		return false;
	memcpy(other, segments.ptr, segments.len);
	other[segments.len] = '\0';
	size_t len = segments.ptr[segments.len - 1] == '\0' ? segments.len - 1 : segments.len + 1;
	struct search search = { .method = edged_str("GET"), .segments = edged_slice(other, len) };
	search_all(router, &search);
	return search.found != NULL || search.allow[0];
}

static void answer_404(struct router *router, edged_handle handle)
{
	struct requests *requests = router->requests;
	struct edged_slice segments = request_segments(requests, handle);
	const struct former *former = find_former(router, segments);
	if (former)
		request_problemf(requests, handle, 404, "service-stopped", "Service not running",
		        "The plugin '%s' served this path, but does not run now. GET /edge/v1/plugins says "
		        "why.",
		        former->name);
	else if (served_with_other_slash(router, segments))
		request_problem(requests, handle, 404, "no-route", "No such path",
		        segments.ptr[segments.len - 1] == '\0'
		                ? "Nothing is served here; it is without the '/' at the end."
		                : "Nothing is served here; it is with a '/' at the end.");
	else
		request_problem(requests, handle, 404, "no-route", "No such path",
		        "No service of this node serves this path. GET /openapi.json lists all that are "
		        "served.");
}

static void answer_other_method(struct router *router, edged_handle handle, struct search *search)
{
	struct requests *requests = router->requests;
	allow(search, "OPTIONS");
	request_set_header(requests, handle, "Allow", search->allow);
	if (edged_slice_is(search->method, "OPTIONS"))
		request_reply(requests, handle, 204, NULL, edged_slice(NULL, 0));
	else
		request_problemf(requests, handle, 405, "method-not-allowed", NULL,
		        "This path is not served for %.*s, but for: %s.", EDGED_SLICE_FMT(search->method),
		        search->allow);
}

static bool is_asterisk(struct edged_slice segments)
{
	return edged_slice_is(segments, "*");
}

static void answer_asterisk(struct router *router, edged_handle handle, struct search *search)
{
	struct requests *requests = router->requests;
	if (!edged_slice_is(search->method, "OPTIONS")) {
		request_problem(
		        requests, handle, 400, "bad-request", NULL, "The target '*' is for OPTIONS only.");
		return;
	}
	request_set_header(requests, handle, "Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
	request_reply(requests, handle, 204, NULL, edged_slice(NULL, 0));
}

/* --- serving
 * -------------------------------------------------------------------------------------------------- */

/* Clients of this node have been admitted by the front end. Nodes of the same account are trusted by their
 * certificates; a foreign node may use what is offered to its network or vicinity, the former only by itself
 * and not on behalf of a node behind it. A device whose key could be a node's is for the route to judge, when
 * that is open and the device comes by itself. */
static bool in_scope(const struct edged_route *route, const struct edged_peer *peer, unsigned hops)
{
	bool node = peer && peer->node_id && *peer->node_id;
	if (!node || (hops == 0 && route->flags & EDGED_ROUTE_OPEN))
		return true;
	switch (route->scope) {
	case EDGED_SCOPE_ACCOUNT:
		return peer->trusted;
	case EDGED_SCOPE_NODE:
		return false;
	case EDGED_SCOPE_LINK_LOCAL:
		return peer->trusted || hops <= 1;
	case EDGED_SCOPE_PROXIMITY:
		return true;
	}
	return false;
}

static void dispatch_whole(void *arg, edged_handle handle)
{
	router_dispatch(arg, handle);
}

static void serve(struct router *router, edged_handle handle, const struct search *search)
{
	struct requests *requests = router->requests;
	if (!(search->found->route->flags & EDGED_ROUTE_STREAMED_BODY) &&
	        request_body_comes(requests, handle)) {
		request_collect_body(requests, handle, dispatch_whole, router);
		return;
	}
	const struct entry *entry = search->found;
	for (size_t i = 0; i < search->match.count; i++) {
		const struct template_param *param = &search->match.params[i];
		int r = request_add_param(requests, handle, param->name, param->offset, param->len);
		if (r)
			return;
	}
	request_set_owner(requests, handle, entry->owner.owner);
	/* the entry may go while it serves: a request can stop a plugin */
	void (*leave)(void *arg) = router->leave;
	if (router->enter)
		router->enter(router->around_arg, entry->owner.name);
	int r = entry->route->serve(entry->owner.self, handle);
	if (leave)
		leave(router->around_arg);
	if (r < 0)
		request_fail(requests, handle, r);
}

void router_dispatch(struct router *router, edged_handle handle)
{
	struct requests *requests = router->requests;
	struct search search = { .method = request_method(requests, handle),
		.segments = request_segments(requests, handle) };
	if (!search.segments.ptr)
		return;
	search_all(router, &search);
	if (is_asterisk(search.segments)) {
		answer_asterisk(router, handle, &search);
		return;
	}
	if (!search.found && search.allow[0]) {
		answer_other_method(router, handle, &search);
		return;
	}
	if (!search.found) {
		answer_404(router, handle);
		return;
	}
	const struct edged_peer *peer = request_peer(requests, handle);
	if (request_is_websocket(requests, handle) && !(search.found->route->flags & ROUTE_WEBSOCKET))
		request_problem(requests, handle, 400, "no-websocket", "No WebSocket here",
		        "This path is served, but not as a WebSocket. MQTT over WebSocket is at /mqtt.");
	else if (!in_scope(search.found->route, peer, request_hops(requests, handle)))
		request_problem(requests, handle, 403, "out-of-scope", NULL,
		        "This service is not offered to the node that asks. Its owner may offer it to more "
		        "nodes.");
	else
		serve(router, handle, &search);
}

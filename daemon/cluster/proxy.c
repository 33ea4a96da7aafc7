/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/proxy.h"

#include <errno.h>
#include <string.h>
#include "cluster/identity.h"
#include "cluster/proxy_answer.h"
#include "cluster/proxy_ask.h"
#include "io/loop.h"

bool proxy_is_self(const struct proxy *proxy, struct edged_slice id)
{
	return edged_slice_is(id, "self") || edged_slice_is(id, identity_node_id(proxy->deps.identity));
}

static void proxied_free(struct proxied *proxied)
{
	proxied->proxy->counts.open--;
	proxied->proxy->counts.tunnels -= proxied->websocket;
	tunnel_leave(proxied->tunnel);
	list_remove(&proxied->node);
	deferred_cancel(&proxied->later);
	proxy_exchange_fini(&proxied->exchange);
	proxy_head_fini(&proxied->head);
	buf_fini(&proxied->body);
	free(proxied->detour);
	free(proxied);
}

static void free_later(struct deferred *deferred)
{
	proxied_free(CONTAINER_OF(deferred, struct proxied, later));
}

/* --- which node --- */

/* False: answered. */
static bool find_target(const struct proxy *proxy, edged_handle request, struct node_record *ret)
{
	struct requests *requests = proxy->deps.requests;
	struct edged_slice id = request_param(requests, request, "id");
	bool ambiguous = false;
	*ret = (struct node_record){ .self = proxy_is_self(proxy, id) };
	if (ret->self || proxy->deps.find(proxy->deps.arg, id, ret, &ambiguous)) {
		ret->self |= proxy_is_self(proxy, edged_str(ret->id));
		return true;
	}
	if (ambiguous)
		(void)request_problemf(requests, request, 409, "node-ambiguous", "Several nodes fit",
		        "More than one node is called %.*s. Use more characters of its id; GET /mds/v1/nodes "
		        "lists them.",
		        (int)(id.len < 64 ? id.len : 64), id.ptr);
	else
		(void)request_problemf(requests, request, 404, "node-unknown", "No such node",
		        "No node of id or name %.*s is known here%s. GET /mds/v1/nodes?clusters=linkLocal "
		        "lists those that are.",
		        (int)(id.len < 64 ? id.len : 64), id.ptr,
		        id.len == NODE_ID_LEN && !node_id_valid(id)
		                ? " (it is mistyped: its check characters are wrong)"
		                : "");
	return false;
}

static bool may_pass(const struct proxy *proxy, edged_handle request, const struct node_record *target)
{
	struct requests *requests = proxy->deps.requests;
	const char *account = identity_account_id(proxy->deps.identity);
	if (request_hops(requests, request) >= PROXY_HOPS) {
		(void)request_problemf(requests, request, 508, "too-many-hops", "The request goes in circles",
		        "It has been passed on by %d nodes already. Address the node itself: /nodes/{id}/...",
		        PROXY_HOPS);
		return false;
	}
	if (!target->self && request_is_websocket(requests, request) &&
	        proxy->counts.tunnels >= proxy->deps.tunnels) {
		(void)request_problemf(requests, request, 503, "limit-reached",
		        "Too many WebSockets to other nodes",
		        "%u go through this node already (cluster.websockets). Connect to node %s (%s) "
		        "itself, or "
		        "try again later.",
		        proxy->deps.tunnels, target->id, target->name);
		return false;
	}
	if (target->self || (account[0] && (!target->account[0] || strcmp(account, target->account) == 0)))
		return true;
	(void)request_problemf(requests, request, 403, "node-not-trusted",
	        "That node is not of this node's account",
	        "Node %s (%s) belongs to %s, this node to %s. Join both to one account: edgectl invite on "
	        "one, "
	        "edgectl join TOKEN on the other.",
	        target->id, target->name, target->account[0] ? target->account : "no account",
	        account[0] ? account : "none");
	return false;
}

/* On the same handle: this node's own services see the client itself. */
static int serve_self(struct proxy *proxy, edged_handle request, struct edged_slice target)
{
	struct requests *requests = proxy->deps.requests;
	proxy->counts.local++;
	int r = request_retarget(requests, request, target);
	if (!r)
		router_dispatch(proxy->deps.router, request);
	return r;
}

static int proxied_new(
        struct proxy *proxy, edged_handle request, struct edged_slice target, struct proxied **ret)
{
	struct requests *requests = proxy->deps.requests;
	struct proxied *proxied = calloc(1, sizeof(*proxied));
	if (!proxied)
		return -ENOMEM;
	proxied->proxy = proxy;
	proxied->request = request;
	proxied->websocket = request_is_websocket(requests, request);
	proxy->counts.tunnels += proxied->websocket;
	proxied->is_head = edged_slice_is(request_method(requests, request), "HEAD");
	deferred_init(&proxied->later, free_later);
	list_append(&proxy->open, &proxied->node);
	proxy->counts.open++;
	proxy->counts.total++;
	int r = proxy_head_make(
	        &proxied->head, requests, request, target, identity_node_id(proxy->deps.identity));
	if (!r)
		r = request_on_gone(requests, request, proxied_gone, proxied);
	if (r)
		proxied_free(proxied);
	else
		*ret = proxied;
	return r;
}

/* What the request is for, to the cache. */
enum uri { URI_OF_NODE, URI_OF_SERVICE };

static int pass_on(struct proxy *proxy, edged_handle request, const struct node_record *target,
        struct edged_slice path, enum uri uri, bool names_node)
{
	struct proxied *proxied;
	int r = proxied_new(proxy, request, path, &proxied);
	if (r)
		return r;
	proxied->target = *target;
	proxied->names_node = names_node;
	proxied_ask(proxied, uri == URI_OF_NODE ? target->id : NULL);
	return 0;
}

int proxy_pass(struct proxy *proxy, edged_handle request, const char *node_id)
{
	struct requests *requests = proxy->deps.requests;
	struct node_record target;
	if (!proxy->deps.find(proxy->deps.arg, edged_str(node_id), &target, NULL))
		return -ENOENT;
	if (!may_pass(proxy, request, &target))
		return 0;
	request_set_owner(requests, request, proxy);
	return pass_on(proxy, request, &target, request_target(requests, request), URI_OF_NODE, true);
}

static int serve_nodes(void *self, edged_handle request)
{
	struct proxy *proxy = self;
	struct node_record target;
	if (!find_target(proxy, request, &target) || !may_pass(proxy, request, &target))
		return 0;
	struct edged_slice rest = proxy_rest(request_target(proxy->deps.requests, request), 2);
	return target.self ? serve_self(proxy, request, rest)
	                   : pass_on(proxy, request, &target, rest, URI_OF_NODE, false);
}

/* Without the query. */
static struct edged_slice path_of(struct edged_slice target)
{
	const char *query = memchr(target.ptr, '?', target.len);
	return query ? edged_slice(target.ptr, (size_t)(query - target.ptr)) : target;
}

/* Another node than this one. */
static bool find_holder(const struct proxy *proxy, struct edged_slice service, struct edged_slice rest,
        struct node_record *ret)
{
	char id[NODE_ID_LEN + 1];
	return proxy->deps.holder(proxy->deps.arg, service, path_of(rest), id) &&
	       !proxy_is_self(proxy, edged_str(id)) &&
	       proxy->deps.find(proxy->deps.arg, edged_str(id), ret, NULL);
}

static int serve_any(void *self, edged_handle request)
{
	struct proxy *proxy = self;
	struct requests *requests = proxy->deps.requests;
	struct edged_slice service = request_param(requests, request, "service"),
	                   rest = proxy_rest(request_target(requests, request), 1);
	const struct node_record own = { .self = true };
	struct node_record holder;
	struct proxied *proxied;
	if (!may_pass(proxy, request, &own))
		return 0;
	if (find_holder(proxy, service, rest, &holder))
		return pass_on(proxy, request, &holder, rest, URI_OF_SERVICE, true);
	if (proxy->deps.serves(proxy->deps.arg, service))
		return serve_self(proxy, request, rest);
	if (service.len >= sizeof(proxied->service))
		return request_problem(requests, request, 404, "service-unknown", "No node has this service",
		        "Names of services have less than 64 characters.");
	int r = proxied_new(proxy, request, rest, &proxied);
	if (r)
		return r;
	memcpy(proxied->service, service.ptr, service.len);
	proxied->names_node = true;
	proxied_ask(proxied, NULL);
	return 0;
}

static const struct edged_route routes[] = {
	{ "*", "/nodes/{id}/{rest...}", serve_nodes, "The same path on another node, by id or name", NULL,
	        EDGED_SCOPE_ACCOUNT, EDGED_ROUTE_STREAMED_BODY | ROUTE_WEBSOCKET },
	{ "*", "/any/{service}/{rest...}", serve_any, "/{service}/... on a node that has the service", NULL,
	        EDGED_SCOPE_ACCOUNT, EDGED_ROUTE_STREAMED_BODY | ROUTE_WEBSOCKET },
	{ 0 },
};

int proxy_new(const struct proxy_deps *deps, struct proxy **ret, struct err *err)
{
	struct proxy *proxy = calloc(1, sizeof(*proxy));
	if (!proxy)
		return err_set(err, -ENOMEM, "no memory for the proxy");
	proxy->deps = *deps;
	list_init(&proxy->open);
	proxy_cache_init(&proxy->cache);
	const struct route_owner owner = { .name = "edged", .owner = proxy, .self = proxy, .core = true };
	int r = router_add(deps->router, &owner, routes, sizeof(routes[0]), err);
	if (r) {
		free(proxy);
		return r;
	}
	*ret = proxy;
	return 0;
}

void proxy_free(struct proxy *proxy)
{
	if (!proxy)
		return;
	router_remove(proxy->deps.router, proxy);
	requests_abandon(proxy->deps.requests, proxy);
	for (struct proxied *proxied; (proxied = list_first(&proxy->open, struct proxied, node));)
		proxied_free(proxied);
	free(proxy);
}

int proxy_set_cache(
        struct proxy *proxy, const char *owner, const struct edged_proxy_cache *functions, void *self)
{
	if (functions)
		return proxy_cache_set(&proxy->cache, owner, functions, self);
	proxy_cache_unset(&proxy->cache);
	return 0;
}

struct proxy_counts proxy_counts(const struct proxy *proxy)
{
	struct proxy_counts counts = proxy->counts;
	counts.avoided = health_count(&proxy->health, loop_now(proxy->deps.loop));
	return counts;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/proxy_ask.h"

#include <string.h>
#include <sys/random.h>
#include "cluster/identity.h"
#include "cluster/proxy_answer.h"
#include "io/loop.h"

/* At the end, behind the callbacks that it gives the link. */
static bool ask_node(struct proxied *proxied, struct link_failure *ret_failure);

static uint64_t now_of(const struct proxied *proxied)
{
	return loop_now(proxied->proxy->deps.loop);
}

/* --- any node --- */

static bool was_tried(const struct proxied *proxied, const char *id)
{
	for (unsigned i = 0; i < proxied->tries; i++)
		if (strcmp(proxied->tried[i], id) == 0)
			return true;
	return false;
}

static unsigned draw(unsigned below)
{
	uint32_t number = 0;
	/* without random numbers it is always the same one: no worse */
	return getrandom(&number, sizeof(number), GRND_NONBLOCK) < 0 ? 0 : number % below;
}

struct choice {
	const struct proxied *proxied;
	char id[NODE_ID_LEN + 1]; /* "": none */
	uint64_t least;           /* how long it is avoided still */
	unsigned well, known;
};

/* One of those that are well, by lot; when none is, the one that is avoided for the shortest time still. */
static void consider(void *arg, const char *id, bool there)
{
	struct choice *choice = arg;
	const struct proxied *proxied = choice->proxied;
	choice->known++;
	if (!there || was_tried(proxied, id))
		return;
	uint64_t avoided = health_avoided(&proxied->proxy->health, id, now_of(proxied));
	bool better = avoided ? !choice->well && avoided < choice->least : draw(++choice->well) == 0;
	if (!better)
		return;
	choice->least = avoided;
	memcpy(choice->id, id, NODE_ID_LEN + 1);
}

static struct choice choose(const struct proxied *proxied)
{
	const struct proxy *proxy = proxied->proxy;
	struct choice choice = { .proxied = proxied, .least = UINT64_MAX };
	proxy->deps.offering(proxy->deps.arg, edged_str(proxied->service), consider, &choice);
	return choice;
}

/* False: there is no other one, or as many as may be have been tried; then the last failure is the answer. */
static bool ask_next(struct proxied *proxied)
{
	const struct proxy *proxy = proxied->proxy;
	struct link_failure failure;
	while (proxied->tries < PROXY_TRIES) {
		struct choice choice = choose(proxied);
		if (!choice.id[0])
			return false;
		proxied->proxy->counts.retried += proxied->tries > 0;
		memcpy(proxied->tried[proxied->tries++], choice.id, sizeof(choice.id));
		if (proxy->deps.find(proxy->deps.arg, edged_str(choice.id), &proxied->target, NULL) &&
		        ask_node(proxied, &failure))
			return true;
	}
	return false;
}

void proxied_answer_nobody(struct proxied *proxied)
{
	bool known = choose(proxied).known > 0;
	proxied->proxy->counts.failed++;
	(void)request_problemf(proxied_requests(proxied), proxied->request, known ? 503 : 404,
	        known ? "service-unavailable" : "service-unknown",
	        known ? "No node that has the service can be asked" : "No node has this service",
	        "%s service %s. GET /mds/v1/nodes?clusters=account lists the nodes with their services.",
	        known ? "None of the nodes can be reached now that have"
	              : "No node of the account is known to have",
	        proxied->service);
	proxied_done(proxied);
}

/* --- the cache --- */

/* True: answered. */
static bool ask_cache(struct proxied *proxied, const char *node_id)
{
	struct proxy *proxy = proxied->proxy;
	const struct proxy_ask ask = { proxy->deps.requests, proxied->request, &proxied->head,
		identity_account_id(proxy->deps.identity), node_id };
	struct edged_proxy_answer cached;
	if (!proxy_exchange_begin(&proxied->exchange, &proxy->cache, &ask, &cached))
		return false;
	proxied_answer_cached(proxied, &cached);
	return true;
}

static bool give_stale(struct proxied *proxied)
{
	struct edged_proxy_answer cached;
	if (!proxy_exchange_failed(&proxied->exchange, &cached))
		return false;
	proxied_answer_cached(proxied, &cached);
	return true;
}

static bool find_cache(const struct proxied *proxied, struct node_record *ret)
{
	const struct proxy *proxy = proxied->proxy;
	char id[NODE_ID_LEN + 1];
	return proxy->deps.holder(
	               proxy->deps.arg, edged_str("cache"), buf_slice(&proxied->exchange.uri), id) &&
	       !proxy_is_self(proxy, edged_str(id)) && strcmp(id, proxied->target.id) != 0 &&
	       !health_avoided(&proxy->health, id, now_of(proxied)) &&
	       proxy->deps.find(proxy->deps.arg, edged_str(id), ret, NULL);
}

/* False: there was none, or the node that it is for cannot be asked. */
static bool leave_detour(struct proxied *proxied)
{
	const struct detour *detour = proxied->detour;
	if (!detour || detour->failed)
		return false;
	proxied->target = detour->target;
	proxied->head.target = detour->path;
	free(TAKE(proxied->detour));
	return true;
}

/* For a client of this node, so that it goes no further. failure: of the node that it is for; NULL: that has not been asked.
 * True: it is under way. */
static bool ask_holder(struct proxied *proxied, const struct link_failure *failure)
{
	struct node_record holder;
	struct link_failure again;
	if (proxied->holder_asked || !proxied->exchange.cache || !proxied->exchange.is_retrieval ||
	        request_hops(proxied_requests(proxied), proxied->request) > 0 ||
	        !find_cache(proxied, &holder))
		return false;
	proxied->detour = malloc(sizeof(*proxied->detour));
	if (!proxied->detour)
		return false;
	*proxied->detour = (struct detour){
		.target = proxied->target, .path = proxied->head.target, .failed = failure != NULL
	};
	if (failure)
		proxied->detour->failure = *failure;
	proxied->holder_asked = true;
	proxied->target = holder;
	proxied->head.target = buf_slice(&proxied->exchange.uri);
	proxied->proxy->counts.by_holder++;
	if (ask_node(proxied, &again))
		return true;
	(void)leave_detour(proxied);
	return false;
}

/* --- one way after the other --- */

/* Is it about the node, and was it soon known? */
static bool is_away(const struct link_failure *failure)
{
	return failure->cause == LINK_NO_ADDRESS || failure->cause == LINK_UNREACHABLE ||
	       failure->cause == LINK_WRONG_NODE || failure->cause == LINK_BROKEN ||
	       (failure->cause == LINK_TIMEOUT && !failure->sent);
}

/* True: under way. On failure no node is the one that it is for, and the failure is that of none. */
static bool ask_any(struct proxied *proxied)
{
	if (ask_next(proxied))
		return true;
	proxied->target = (struct node_record){ .self = false };
	return false;
}

static void ask_origin(struct proxied *proxied)
{
	struct link_failure failure = { .cause = LINK_UNREACHABLE };
	bool any = proxied->service[0];
	if ((any ? ask_any(proxied) : ask_node(proxied, &failure)) || give_stale(proxied) ||
	        (is_away(&failure) && ask_holder(proxied, &failure)))
		return;
	if (any)
		proxied_answer_nobody(proxied);
	else
		proxied_answer_problem(proxied, &failure);
}

void proxied_ask(struct proxied *proxied, const char *node_id)
{
	if (!ask_cache(proxied, node_id) && !(proxied->exchange.shared && ask_holder(proxied, NULL)))
		ask_origin(proxied);
}

static bool is_idempotent(struct edged_slice method)
{
	static const char *const names[] = { "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (edged_slice_is(method, names[i]))
			return true;
	return false;
}

/* True: it was taken to another node. */
static bool retry(struct proxied *proxied, const struct link_failure *failure)
{
	if (!proxied->service[0] || proxied->detour || proxied->phase != PHASE_WAITING || proxied->reading ||
	        failure->cause == LINK_STOPPED || failure->cause == LINK_REJECTED)
		return false;
	if (failure->sent && !is_idempotent(request_method(proxied_requests(proxied), proxied->request)))
		return false;
	return ask_next(proxied);
}

/* True: answered, or on another way. */
static bool go_on(struct proxied *proxied, const struct link_failure *failure)
{
	if (proxied->phase != PHASE_WAITING)
		return false;
	if (failure->cause == LINK_TIMEOUT && give_stale(proxied))
		return true; /* there is no time left for others */
	if (leave_detour(proxied)) {
		ask_origin(proxied);
		return true;
	}
	return retry(proxied, failure) || give_stale(proxied) ||
	       (is_away(failure) && ask_holder(proxied, failure));
}

/* --- the other node --- */

/* What this node itself cannot do is no other's failure. */
static void note_failure(struct proxied *proxied, const struct link_failure *failure)
{
	if (failure->cause != LINK_STOPPED && failure->cause != LINK_REJECTED)
		health_failed(&proxied->proxy->health, proxied->target.id, now_of(proxied));
}

/* Did the node fail? Not when a device behind it did. */
static bool is_failure(const struct link_message *answer)
{
	return answer->status >= 502 && answer->status <= 504 &&
	       !proxy_is_of_device(answer->headers, answer->header_count);
}

/* The node that holds the cache role has passed on what another one says, and is well whatever that is. */
static void note_answer(struct proxied *proxied, const struct link_message *answer)
{
	if (is_failure(answer) && !proxied->detour)
		health_failed(&proxied->proxy->health, proxied->target.id, now_of(proxied));
	else
		health_succeeded(&proxied->proxy->health, proxied->target.id);
}

/* What the holder of the cache role says itself, as that it cannot reach the node either. */
static void skip_detour(struct proxied *proxied)
{
	if (leave_detour(proxied)) {
		link_call_cancel(TAKE(proxied->call));
		ask_origin(proxied);
	} else {
		proxied_answer_problem(proxied, &proxied->detour->failure);
	}
}

/* True: it is not passed on. */
static bool kept_back(struct proxied *proxied, const struct link_message *answer, const char *node_id,
        struct edged_proxy_answer *ret_added)
{
	static const struct link_failure stopped = { .cause = LINK_BROKEN,
		.why = "its answer was for the cache of this node, which has just stopped" };
	if (proxied->detour && !proxy_is_from_cache(answer)) {
		skip_detour(proxied);
		return true;
	}
	if (proxy_exchange_head(&proxied->exchange, answer, node_id, ret_added)) {
		proxied_answer_cached(proxied, ret_added);
		return true;
	}
	if (answer->status != 304 || !proxied->exchange.conditional)
		return false;
	proxied_answer_problem(proxied, &stopped);
	return true;
}

/* Whom the answer is to name, unless it does already: the holder of the cache role says which node had the service. */
static const char *giver(const struct proxied *proxied)
{
	if (!proxied->names_node)
		return NULL;
	if (!proxied->detour)
		return proxied->target.id;
	return edged_slice_starts(buf_slice(&proxied->exchange.uri), "/nodes/") ? proxied->detour->target.id
	                                                                        : NULL;
}

static void link_head(void *arg, const struct link_message *answer)
{
	struct proxied *proxied = arg;
	const char *node_id = giver(proxied);
	struct edged_proxy_answer added;
	note_answer(proxied, answer);
	if (proxied->phase != PHASE_WAITING || kept_back(proxied, answer, node_id, &added))
		return;
	if (node_id)
		(void)request_set_header(proxied_requests(proxied), proxied->request, "edged-node", node_id);
	if (proxied->websocket && answer->status == 200)
		proxied_begin_tunnel(proxied, answer);
	else
		proxied_answer_head(proxied, answer->status, answer->headers, answer->header_count,
		        answer->length, &added);
}

static void link_data(void *arg, struct edged_slice bytes)
{
	struct proxied *proxied = arg;
	proxy_exchange_data(&proxied->exchange, bytes);
	proxied_answer_data(proxied, bytes);
}

static void link_end(void *arg, const struct link_failure *failure)
{
	struct proxied *proxied = arg;
	proxied->call = NULL;
	if (failure)
		note_failure(proxied, failure);
	else
		proxy_exchange_end(&proxied->exchange, true);
	if (!failure || !go_on(proxied, failure))
		proxied_answer_end(proxied, failure);
}

/* --- the client's body, as it comes --- */

static void on_body(void *arg, struct edged_slice bytes, bool last)
{
	struct proxied *proxied = arg;
	if (!proxied->call || link_call_send(proxied->call, bytes, last) == 0)
		return;
	link_call_cancel(TAKE(proxied->call));
	const struct link_failure failure = { .cause = LINK_BUSY, .why = "this node is short of memory" };
	proxied_answer_end(proxied, &failure);
}

static void link_wanted(void *arg)
{
	struct proxied *proxied = arg;
	if (proxied->websocket)
		return; /* its bytes come once it is one */
	proxied->reading = true;
	(void)request_read_body(
	        proxied_requests(proxied), proxied->request, on_body, proxied); /* else it has gone */
}

/* Only now more may come from the client. */
static void link_sent(void *arg, size_t n)
{
	struct proxied *proxied = arg;
	if (proxied->websocket) {
		proxied->unsent -= n;
		if (proxied->tunnel)
			tunnel_waiting(proxied->tunnel, proxied->unsent);
		return;
	}
	(void)request_body_taken(proxied_requests(proxied), proxied->request, n);
}

static const struct link_reply link_reply = { link_head, link_data, link_end, link_wanted, link_sent };

/* False: *ret_failure says why not. */
static bool ask_node(struct proxied *proxied, struct link_failure *ret_failure)
{
	struct requests *requests = proxied_requests(proxied);
	const struct link_request request = {
		.node_id = proxied->target.id,
		.send = {
			.method = proxied->websocket ? edged_str("CONNECT")
			                             : request_method(requests, proxied->request),
			.protocol = edged_str(proxied->websocket ? "websocket" : ""),
			.target = proxied->head.target,
			.authority = edged_str(proxied->target.id),
			.headers = proxied->head.headers,
			.header_count = proxied->head.count,
			.body = request_body(requests, proxied->request),
			.body_comes = proxied->websocket || request_body_comes(requests, proxied->request),
			.body_length = request_body_length(requests, proxied->request),
			.expects_continue = request_header(requests, proxied->request, "expect").ptr != NULL,
		},
		.answer_ms = proxied->proxy->deps.answer_ms,
		.reply = &link_reply,
		.arg = proxied,
	};
	if (!links_request(proxied->proxy->deps.links, &request, &proxied->call, ret_failure))
		return true;
	proxied->call = NULL;
	note_failure(proxied, ret_failure);
	return false;
}

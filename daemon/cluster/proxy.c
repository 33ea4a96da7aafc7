/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/proxy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include "cluster/health.h"
#include "cluster/identity.h"
#include "cluster/link.h"
#include "cluster/proxy_cache.h"
#include "cluster/proxy_head.h"
#include "cluster/tunnel.h"
#include "io/loop.h"

struct proxy {
	struct proxy_deps deps;
	struct list open;
	struct health health;
	struct proxy_cache cache;
	struct proxy_counts counts;
};

/* How far the answer to the client is. */
enum phase { PHASE_WAITING, PHASE_WHOLE, PHASE_STREAM, PHASE_TUNNEL, PHASE_DONE };

struct proxied {
	struct list node;
	struct proxy *proxy;
	edged_handle request;   /* the client's; 0: answered or gone */
	struct link_call *call; /* at the other node */
	struct deferred later;  /* ends it, when that must not be done at once */
	struct proxy_head head; /* what is sent on */
	enum phase phase;
	int status;
	char type[256]; /* of the answer's content */
	bool has_type;
	struct buf body;   /* PHASE_WHOLE: all so far; PHASE_STREAM: what the client has no room for yet */
	size_t unconsumed; /* bytes of the answer that still count against the link's window */
	int64_t length;    /* of the answer to HEAD */
	bool full, ended, is_head;
	bool reading; /* the client's body, bit by bit */
	bool websocket;
	struct tunnel *tunnel; /* PHASE_TUNNEL, until its stream has ended */
	size_t unsent;         /* bytes of that stream that have not left */
	struct node_record target;
	bool names_node;  /* in its answer */
	char service[64]; /* "": it is for that node */
	char tried[PROXY_TRIES][NODE_ID_LEN + 1];
	unsigned tries;
	struct proxy_exchange exchange; /* with the cache */
	struct detour *detour; /* NULL, unless the holder of the cache role is asked in another's place */
	bool holder_asked;     /* once is enough */
};

/* What it is for while the holder of the cache role is asked. */
struct detour {
	struct node_record target;   /* without an id: any node with the service */
	struct edged_slice path;     /* for that node */
	bool failed;                 /* it has been asked before */
	struct link_failure failure; /* and could not */
};

static struct requests *requests_of(const struct proxied *proxied)
{
	return proxied->proxy->deps.requests;
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

/* The client's request is answered or gone, and what the call borrowed from it goes with it: so the call ends now, and
 * the rest once no callback is on the stack. */
static void client_done(struct proxied *proxied)
{
	proxied->phase = PHASE_DONE;
	proxied->request = 0;
	if (proxied->call)
		link_call_cancel(TAKE(proxied->call));
	proxy_exchange_end(&proxied->exchange, false);
	loop_defer(proxied->proxy->deps.loop, &proxied->later);
}

static uint64_t now_of(const struct proxied *proxied)
{
	return loop_now(proxied->proxy->deps.loop);
}

static bool is_self(const struct proxy *proxy, struct edged_slice id)
{
	return edged_slice_is(id, "self") || edged_slice_is(id, identity_node_id(proxy->deps.identity));
}

/* --- the client's side --- */

static void on_gone(void *arg)
{
	struct proxied *proxied = arg;
	client_done(proxied);
}

static void consume(struct proxied *proxied)
{
	size_t n = proxied->unconsumed;
	proxied->unconsumed = 0;
	if (proxied->call && n)
		link_call_consume(proxied->call, n);
}

static void stream_out(struct proxied *proxied, struct edged_slice bytes)
{
	int r = request_stream_write(requests_of(proxied), proxied->request, bytes);
	if (r < 0) {
		(void)request_stream_abort(requests_of(proxied), proxied->request);
		client_done(proxied);
	} else {
		proxied->full = r == EDGED_HTTP_FULL;
	}
}

static void finish_stream(struct proxied *proxied)
{
	(void)request_stream_end(requests_of(proxied), proxied->request);
	client_done(proxied);
}

static void on_room(void *arg)
{
	struct proxied *proxied = arg;
	proxied->full = false;
	if (proxied->phase != PHASE_STREAM)
		return;
	if (proxied->body.len > 0) {
		stream_out(proxied, buf_slice(&proxied->body));
		buf_clear(&proxied->body);
	}
	if (proxied->phase == PHASE_STREAM && proxied->ended)
		finish_stream(proxied);
	else if (!proxied->full)
		consume(proxied);
}

/* --- the answer --- */

static void answer_nobody(struct proxied *proxied);

static void answer_problem(struct proxied *proxied, const struct link_failure *failure)
{
	const struct detour *detour = proxied->detour;
	bool other = detour && detour->failed;
	if (other && !detour->target.id[0]) {
		answer_nobody(proxied);
		return;
	}
	proxied->proxy->counts.failed++;
	proxy_answer_failure(requests_of(proxied), proxied->request,
	        other ? &detour->target : &proxied->target, other ? &detour->failure : failure);
	client_done(proxied);
}

static void answer_cached(struct proxied *proxied, const struct edged_proxy_answer *answer)
{
	proxied->proxy->counts.cached++;
	proxy_answer_cached(requests_of(proxied), proxied->request, answer);
	client_done(proxied);
}

/* -ENOENT: the client has gone; -ENOSPC: too many headers. */
static int copy_headers(struct proxied *proxied, const struct header *headers, size_t count)
{
	struct edged_slice connection = proxy_connection_header(headers, count);
	for (size_t i = 0; i < count; i++) {
		const struct header *header = &headers[i];
		if (proxy_header_is_type(header)) {
			snprintf(proxied->type, sizeof(proxied->type), "%s", header->value.ptr);
			proxied->has_type = true;
		} else if (!proxy_header_stays(header, connection)) {
			int r = request_set_header(
			        requests_of(proxied), proxied->request, header->name.ptr, header->value.ptr);
			if (r && r != -EINVAL)
				return r;
		}
	}
	return 0;
}

static void answer_head(struct proxied *proxied, int status, const struct header *headers, size_t count,
        int64_t length, const struct edged_proxy_answer *added)
{
	struct requests *requests = requests_of(proxied);
	if (proxied->phase != PHASE_WAITING)
		return;
	int r = copy_headers(proxied, headers, count);
	if (r == -ENOSPC) {
		struct link_failure failure = { .cause = LINK_REJECTED,
			.why = "its answer has too many headers" };
		answer_problem(proxied, &failure);
		return;
	}
	proxy_add_fields(requests, proxied->request, added);
	proxied->status = status;
	proxied->length = length;
	if (proxied->is_head || (length >= 0 && length <= PROXY_WHOLE)) {
		proxied->phase = PHASE_WHOLE;
		return;
	}
	proxied->phase = PHASE_STREAM;
	r = request_stream_begin(requests, proxied->request, status, proxied->has_type ? proxied->type : NULL,
	        on_room, on_gone, proxied);
	if (r)
		client_done(proxied);
}

static void answer_data(struct proxied *proxied, struct edged_slice bytes)
{
	if (bytes.len == 0)
		return;
	if (proxied->tunnel) {
		tunnel_bytes(proxied->tunnel, bytes);
		return;
	}
	if (proxied->phase == PHASE_STREAM && !proxied->full) {
		stream_out(proxied, bytes);
	} else if (proxied->phase == PHASE_STREAM || proxied->phase == PHASE_WHOLE) {
		if (buf_add(&proxied->body, bytes.ptr, bytes.len)) {
			struct link_failure failure = { .cause = LINK_REJECTED,
				.why = "no memory for its answer" };
			if (proxied->phase == PHASE_WHOLE) {
				answer_problem(proxied, &failure);
			} else {
				(void)request_stream_abort(requests_of(proxied), proxied->request);
				client_done(proxied);
			}
			return;
		}
	}
	proxied->unconsumed += bytes.len;
	if (!proxied->full && proxied->call)
		consume(proxied);
}

static void answer_whole(struct proxied *proxied)
{
	/* Of an answer to HEAD the front end tells the length and reads no byte. */
	struct edged_slice body = proxied->is_head && proxied->length > 0
	                                  ? edged_slice(NULL, (size_t)proxied->length)
	                                  : buf_slice(&proxied->body);
	(void)request_reply(requests_of(proxied), proxied->request, proxied->status,
	        proxied->has_type ? proxied->type : NULL, body);
	client_done(proxied);
}

/* failure NULL: all has come. */
static void answer_end(struct proxied *proxied, const struct link_failure *failure)
{
	switch (proxied->phase) {
	case PHASE_WAITING:
	case PHASE_WHOLE:
		if (failure)
			answer_problem(proxied, failure);
		else
			answer_whole(proxied);
		break;
	case PHASE_STREAM:
		proxied->ended = true;
		if (failure) {
			proxied->proxy->counts.failed++;
			(void)request_stream_abort(requests_of(proxied), proxied->request);
			client_done(proxied);
		} else if (proxied->body.len == 0) {
			finish_stream(proxied);
		}
		break;
	case PHASE_TUNNEL:
		if (proxied->tunnel)
			tunnel_end(proxied->tunnel, !failure);
		else
			client_done(proxied);
		break;
	case PHASE_DONE:
		break;
	}
}

/* --- a WebSocket --- */

static ssize_t tunnel_send(void *arg, struct edged_slice bytes)
{
	struct proxied *proxied = arg;
	int r = proxied->call ? link_call_send(proxied->call, bytes, false) : 0;
	if (r)
		return r;
	proxied->unsent += proxied->call ? bytes.len : 0;
	return (ssize_t)proxied->unsent;
}

static void tunnel_taken(void *arg, size_t n)
{
	const struct proxied *proxied = arg;
	if (proxied->call)
		link_call_consume(proxied->call, n);
}

/* In order: the other side hears of it behind what was sent, and ends its side. */
static void tunnel_closed(void *arg, int reason)
{
	struct proxied *proxied = arg;
	tunnel_leave(TAKE(proxied->tunnel));
	if (reason || !proxied->call || link_call_send(proxied->call, edged_slice(NULL, 0), true))
		client_done(proxied);
}

static const struct tunnel_link tunnel_link = { tunnel_send, tunnel_taken, tunnel_closed };

static void begin_tunnel(struct proxied *proxied, const struct link_message *answer)
{
	const struct proxy_deps *deps = &proxied->proxy->deps;
	int r = tunnel_new(deps->loop, deps->window, &tunnel_link, proxied, &proxied->tunnel);
	const struct request_upgrade upgrade = { .handler = &tunnel_handler,
		.self = proxied->tunnel,
		.protocol = proxy_subprotocol(answer->headers, answer->header_count),
		.raw = true };
	if (!r)
		r = request_upgrade(deps->requests, proxied->request, &upgrade);
	if (!r) {
		proxied->request = 0;
		proxied->phase = PHASE_TUNNEL;
		return;
	}
	tunnel_leave(TAKE(proxied->tunnel));
	const struct link_failure failure = { .cause = LINK_BUSY, .why = "this node is short of memory" };
	answer_problem(proxied, &failure);
}

/* --- the other node --- */

static bool is_idempotent(struct edged_slice method)
{
	static const char *const names[] = { "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (edged_slice_is(method, names[i]))
			return true;
	return false;
}

static bool ask_next(struct proxied *proxied);

/* True: it was taken to another node. */
static bool retry(struct proxied *proxied, const struct link_failure *failure)
{
	if (!proxied->service[0] || proxied->detour || proxied->phase != PHASE_WAITING || proxied->reading ||
	        failure->cause == LINK_STOPPED || failure->cause == LINK_REJECTED)
		return false;
	if (failure->sent && !is_idempotent(request_method(requests_of(proxied), proxied->request)))
		return false;
	return ask_next(proxied);
}

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

static void ask_origin(struct proxied *proxied);
static bool leave_detour(struct proxied *proxied);
static bool go_on(struct proxied *proxied, const struct link_failure *failure);

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
		answer_problem(proxied, &proxied->detour->failure);
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
		answer_cached(proxied, ret_added);
		return true;
	}
	if (answer->status != 304 || !proxied->exchange.conditional)
		return false;
	answer_problem(proxied, &stopped);
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
		(void)request_set_header(requests_of(proxied), proxied->request, "edged-node", node_id);
	if (proxied->websocket && answer->status == 200)
		begin_tunnel(proxied, answer);
	else
		answer_head(proxied, answer->status, answer->headers, answer->header_count, answer->length,
		        &added);
}

static void link_data(void *arg, struct edged_slice bytes)
{
	struct proxied *proxied = arg;
	proxy_exchange_data(&proxied->exchange, bytes);
	answer_data(proxied, bytes);
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
		answer_end(proxied, failure);
}

/* --- the client's body, as it comes --- */

static void on_body(void *arg, struct edged_slice bytes, bool last)
{
	struct proxied *proxied = arg;
	if (!proxied->call || link_call_send(proxied->call, bytes, last) == 0)
		return;
	link_call_cancel(TAKE(proxied->call));
	const struct link_failure failure = { .cause = LINK_BUSY, .why = "this node is short of memory" };
	answer_end(proxied, &failure);
}

static void link_wanted(void *arg)
{
	struct proxied *proxied = arg;
	if (proxied->websocket)
		return; /* its bytes come once it is one */
	proxied->reading = true;
	(void)request_read_body(
	        requests_of(proxied), proxied->request, on_body, proxied); /* else it has gone */
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
	(void)request_body_taken(requests_of(proxied), proxied->request, n);
}

static const struct link_reply link_reply = { link_head, link_data, link_end, link_wanted, link_sent };

/* False: *ret_failure says why not. */
static bool ask_node(struct proxied *proxied, struct link_failure *ret_failure)
{
	struct requests *requests = requests_of(proxied);
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
	answer_cached(proxied, &cached);
	return true;
}

static bool give_stale(struct proxied *proxied)
{
	struct edged_proxy_answer cached;
	if (!proxy_exchange_failed(&proxied->exchange, &cached))
		return false;
	answer_cached(proxied, &cached);
	return true;
}

static bool find_cache(const struct proxied *proxied, struct node_record *ret)
{
	const struct proxy *proxy = proxied->proxy;
	char id[NODE_ID_LEN + 1];
	return proxy->deps.holder(
	               proxy->deps.arg, edged_str("cache"), buf_slice(&proxied->exchange.uri), id) &&
	       !is_self(proxy, edged_str(id)) && strcmp(id, proxied->target.id) != 0 &&
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
	        request_hops(requests_of(proxied), proxied->request) > 0 || !find_cache(proxied, &holder))
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

/* Is it about the node, and was it soon known? */
static bool is_away(const struct link_failure *failure)
{
	return failure->cause == LINK_NO_ADDRESS || failure->cause == LINK_UNREACHABLE ||
	       failure->cause == LINK_WRONG_NODE || failure->cause == LINK_BROKEN ||
	       (failure->cause == LINK_TIMEOUT && !failure->sent);
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
		answer_nobody(proxied);
	else
		answer_problem(proxied, &failure);
}

/* `node_id`: whom it is for; NULL: any node with the service. */
static void ask_all(struct proxied *proxied, const char *node_id)
{
	if (!ask_cache(proxied, node_id) && !(proxied->exchange.shared && ask_holder(proxied, NULL)))
		ask_origin(proxied);
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

/* --- which node --- */

/* False: answered. */
static bool find_target(const struct proxy *proxy, edged_handle request, struct node_record *ret)
{
	struct requests *requests = proxy->deps.requests;
	struct edged_slice id = request_param(requests, request, "id");
	bool ambiguous = false;
	*ret = (struct node_record){ .self = is_self(proxy, id) };
	if (ret->self || proxy->deps.find(proxy->deps.arg, id, ret, &ambiguous)) {
		ret->self |= is_self(proxy, edged_str(ret->id));
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
		r = request_on_gone(requests, request, on_gone, proxied);
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
	ask_all(proxied, uri == URI_OF_NODE ? target->id : NULL);
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
	       !is_self(proxy, edged_str(id)) && proxy->deps.find(proxy->deps.arg, edged_str(id), ret, NULL);
}

/* None that is there could be asked. */
static void answer_nobody(struct proxied *proxied)
{
	bool known = choose(proxied).known > 0;
	proxied->proxy->counts.failed++;
	(void)request_problemf(requests_of(proxied), proxied->request, known ? 503 : 404,
	        known ? "service-unavailable" : "service-unknown",
	        known ? "No node that has the service can be asked" : "No node has this service",
	        "%s service %s. GET /mds/v1/nodes?clusters=account lists the nodes with their services.",
	        known ? "None of the nodes can be reached now that have"
	              : "No node of the account is known to have",
	        proxied->service);
	client_done(proxied);
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
	ask_all(proxied, NULL);
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

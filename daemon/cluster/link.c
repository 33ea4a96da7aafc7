/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/link.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/list.h"
#include "base/map.h"
#include "cluster/join.h"
#include "cluster/link_conn.h"
#include "cluster/link_serve.h"
#include "io/dial.h"

enum {
	ADDRESSES = 8,
	CHECK_MS = 1000,
};

struct links {
	struct links_deps deps;
	struct link_server *server;
	struct list links;
	struct map pool; /* node id -> the link that takes new calls */
	struct timer *timer;
	bool checking, stopped;
	struct links_counts counts;
	unsigned count;
};

struct link {
	struct list node; /* in links->links */
	struct links *links;
	char node_id[NODE_ID_LEN + 1];
	char addresses[ADDRESSES][64];
	unsigned address_count;
	bool pooled, single; /* single: for one call, to any account */
	bool stays;          /* it outlives its calls for a while */
	struct dial *dial;   /* while it is dialled */
	struct link_conn conn;
	bool up;
	struct deferred later;       /* what must not be done from within a callback: dial again, or end */
	struct link_failure failure; /* the latest */
	struct list calls;
};

struct link_call {
	struct list node; /* in link->calls */
	struct link *link;
	struct link_request request;
	struct link_stream *stream;     /* NULL: not sent yet */
	uint64_t deadline;              /* 0: the other node need not do anything now */
	bool retried, wanted, answered; /* its body is wanted; the head of the answer has come */
	bool all_given;                 /* of its body */
	bool sent;                      /* the other side may have begun to work on it */
};

/* --- failures --- */

static void fail(struct link_failure *failure, enum link_cause cause, const char *address, const char *format,
        ...) __attribute__((format(printf, 4, 5)));

static void fail(
        struct link_failure *failure, enum link_cause cause, const char *address, const char *format, ...)
{
	va_list args;
	failure->cause = cause;
	failure->sent = false;
	snprintf(failure->address, sizeof(failure->address), "%s", address ? address : "");
	va_start(args, format);
	vsnprintf(failure->why, sizeof(failure->why), format, args);
	va_end(args);
}

static void call_end(struct link_call *call, const struct link_failure *failure)
{
	const struct link_reply *reply = call->request.reply;
	void *arg = call->request.arg;
	struct link_failure told;
	if (failure) {
		told = *failure;
		told.sent = call->sent;
	}
	if (!failure)
		call->link->links->counts.answers++;
	call->link->links->counts.open--;
	list_remove(&call->node);
	free(call);
	reply->end(arg, failure ? &told : NULL);
}

static void fail_calls(struct link *link, const struct link_failure *failure)
{
	for (struct link_call *call; (call = list_first(&link->calls, struct link_call, node));) {
		if (call->stream)
			link_stream_cancel(call->stream);
		call_end(call, failure);
	}
}

/* --- links --- */

static void leave_pool(struct link *link)
{
	if (link->pooled)
		map_remove(&link->links->pool, edged_slice(link->node_id, NODE_ID_LEN));
	link->pooled = false;
}

/* Not from within callbacks of its session or dial. */
static void link_free(struct link *link)
{
	leave_pool(link);
	if (link->dial)
		link->links->deps.dial_cancel(link->dial);
	if (link->up)
		link_conn_fini(&link->conn);
	fail_calls(link, &link->failure);
	deferred_cancel(&link->later);
	list_remove(&link->node);
	link->links->count--;
	free(link);
}

static void later(struct deferred *deferred);
static void move_refused(struct link *link);

static int link_new(struct links *links, const char *node_id, struct link **ret)
{
	if (links->count >= links->deps.limits.dialled)
		return -ENOSPC;
	struct link *link = calloc(1, sizeof(*link));
	if (!link)
		return -ENOMEM;
	link->links = links;
	snprintf(link->node_id, sizeof(link->node_id), "%s", node_id);
	list_init(&link->calls);
	deferred_init(&link->later, later);
	list_append(&links->links, &link->node);
	links->count++;
	*ret = link;
	return 0;
}

/* The one that answered is passed over from now on; so that this ends, be it the first when it is not found. */
static void drop_address(struct link *link, const char *address)
{
	unsigned at = 0;
	for (unsigned i = 0; i < link->address_count; i++)
		if (strcmp(link->addresses[i], address) == 0)
			at = i;
	if (link->address_count == 0)
		return;
	link->address_count--;
	memmove(link->addresses[at], link->addresses[at + 1],
	        (link->address_count - at) * sizeof(link->addresses[0]));
}

/* --- calls on a link that is up --- */

/* The other node has so long for its next sign; as long as it need not give one, when `awaited` is not. */
static void set_deadline(struct link_call *call, bool awaited)
{
	awaited = awaited && !call->answered;
	call->deadline = awaited ? loop_now(call->link->links->deps.loop) + call->request.answer_ms : 0;
}

static void on_head(void *user, const struct link_message *answer)
{
	struct link_call *call = user;
	call->answered = true;
	set_deadline(call, false);
	call->request.reply->head(call->request.arg, answer);
}

static void on_data(void *user, struct edged_slice bytes)
{
	const struct link_call *call = user;
	call->request.reply->data(call->request.arg, bytes);
}

static void on_end(void *user, enum link_end how)
{
	struct link_call *call = user;
	struct link *link = call->link;
	struct link_failure failure;
	const char *address = link->addresses[0];
	call->stream = NULL;
	switch (how) {
	case LINK_END_OK:
		call_end(call, NULL);
		return;
	case LINK_END_REFUSED:
		call->sent = false;
		if (!call->retried && !call->wanted && !link->single) {
			call->retried = true;
			loop_defer(link->links->deps.loop, &link->later);
			return;
		}
		fail(&failure, LINK_BUSY, address, "the node takes no more requests now");
		break;
	case LINK_END_BROKEN:
		fail(&failure, LINK_BROKEN, address, "the node broke the answer off");
		break;
	case LINK_END_LOST:
		fail(&failure, LINK_BROKEN, address, "%s", link->failure.why);
		failure.cause = link->failure.cause;
		break;
	case LINK_END_LIMIT:
		fail(&failure, LINK_REJECTED, address, "the headers of the answer are too large");
		break;
	}
	call_end(call, &failure);
}

static void on_wanted(void *user)
{
	struct link_call *call = user;
	call->wanted = true;
	set_deadline(call, false);
	call->request.reply->wanted(call->request.arg);
}

static void on_sent(void *user, size_t n, size_t waiting)
{
	struct link_call *call = user;
	set_deadline(call, waiting > 0 || call->all_given);
	call->request.reply->sent(call->request.arg, n);
}

static const struct link_call_events call_events = { on_head, on_data, on_end, on_wanted, on_sent };

/* On failure the call is as before. */
static int call_send(struct link_call *call, struct link_failure *failure)
{
	struct link *link = call->link;
	struct link_request *request = &call->request;
	int r = request->prepare ? request->prepare(request->arg, link->conn.stream, &request->send) : 0;
	if (!r)
		r = link_session_call(link->conn.session, &request->send, &call_events, call, &call->stream);
	if (r)
		fail(failure, r == -EPIPE ? LINK_BUSY : LINK_REJECTED, link->addresses[0],
		        "the request cannot be sent: %s", strerror(-r));
	else
		link_conn_touch(&link->conn);
	call->sent = !r;
	return r;
}

static struct link_call *first_unsent(const struct link *link)
{
	list_each (node, &link->calls) {
		struct link_call *call = list_entry(node, struct link_call, node);
		if (!call->stream)
			return call;
	}
	return NULL;
}

/* From the front each time, here and below: whoever hears of an end may cancel other calls. */
static void send_waiting(struct link *link)
{
	struct link_failure failure;
	for (struct link_call *call; (call = first_unsent(link));)
		if (call_send(call, &failure))
			call_end(call, &failure);
}

/* --- the stream of a link --- */

static void judged(const struct links *links, struct edged_stream *stream)
{
	const struct edged_peer *peer = stream_functions.peer(stream);
	if (links->deps.judged && peer->node_id)
		links->deps.judged(
		        links->deps.arg, peer->node_id, peer->trusted, stream_peer_certificate(stream));
}

static void on_served(void *arg, struct edged_stream *stream)
{
	judged(arg, stream);
}

/* Is it the node we want? -EACCES with the reason in link->failure. */
static int check_peer(struct link *link, const struct edged_peer *peer)
{
	if (!peer->node_id || strcmp(peer->node_id, link->node_id) != 0) {
		fail(&link->failure, LINK_WRONG_NODE, peer->address, "another node answers there (%s)",
		        peer->node_id ? peer->node_id : "without id");
		drop_address(link, peer->address);
		return -EACCES;
	}
	if (!peer->trusted && !link->single) {
		fail(&link->failure, LINK_UNTRUSTED, peer->address,
		        "its certificate is not of this node's account, or has run out");
		link->address_count = 0;
		return -EACCES;
	}
	return 0;
}

static int link_open(void *self, struct edged_stream *stream, void **ret_conn)
{
	struct link *link = self;
	struct links *links = link->links;
	const struct edged_peer *peer = stream_functions.peer(stream);
	link->dial = NULL;
	judged(links, stream);
	int r = check_peer(link, peer);
	if (!r) {
		const struct link_conn_options options = { .limits = &links->deps.limits.link,
			.idle_ms = link->stays ? links->deps.limits.idle_ms : CHECK_MS };
		r = link_conn_init(&link->conn, stream, &options);
		if (r)
			fail(&link->failure, LINK_BUSY, peer->address, "no memory for the link");
	}
	if (r) {
		links->counts.failures++;
		loop_defer(links->deps.loop, &link->later);
		return r;
	}
	link->up = true;
	snprintf(link->addresses[0], sizeof(link->addresses[0]), "%s", peer->address);
	fail(&link->failure, LINK_BROKEN, peer->address, "the connection ended");
	send_waiting(link);
	*ret_conn = link;
	return 0;
}

static ssize_t link_data(void *conn, const uint8_t *bytes, size_t n)
{
	struct link *link = conn;
	return link_conn_data(&link->conn, bytes, n);
}

static void link_drained(void *conn)
{
	struct link *link = conn;
	link_conn_drained(&link->conn);
}

static void link_closed(void *conn, int reason)
{
	struct link *link = conn;
	link->conn.stream = NULL;
	if (link->conn.silent)
		fail(&link->failure, LINK_BROKEN, link->addresses[0], "the node has been silent for %d s",
		        LINK_DEAD_MS / 1000);
	else if (reason && link->failure.cause == LINK_BROKEN)
		fail(&link->failure, LINK_BROKEN, link->addresses[0], "the connection ended: %s",
		        strerror(-reason));
	move_refused(link);
	link_free(link);
}

static const struct edged_stream_handler handler = { sizeof(struct edged_stream_handler), link_open,
	link_data, link_drained, link_closed, NULL, NULL };

/* --- dialling --- */

static void dial_failed(void *arg, int error, const char *why)
{
	struct link *link = arg;
	link->dial = NULL;
	link->links->counts.failures++;
	/* That another node answered at some address says more than that nobody did at the others. */
	if (link->failure.cause != LINK_WRONG_NODE)
		fail(&link->failure, error == -ETIMEDOUT ? LINK_TIMEOUT : LINK_UNREACHABLE,
		        link->addresses[0], "%s", why && *why ? why : strerror(-error));
	link->address_count = 0;
	loop_defer(link->links->deps.loop, &link->later);
}

static int link_dial(struct link *link)
{
	struct links *links = link->links;
	const char *addresses[ADDRESSES + 1] = { NULL };
	for (unsigned i = 0; i < link->address_count; i++)
		addresses[i] = link->addresses[i];
	const struct dial_options options = {
		.addresses = addresses,
		.tls = links->deps.tls,
		.alpn = LINK_PROTOCOL,
		.timeout_ms = links->deps.limits.dial_ms,
		.handler = &handler,
		.self = link,
		.failed = dial_failed,
		.arg = link,
	};
	links->counts.dials++;
	int r = links->deps.dial(links->deps.loop, &options, &link->dial);
	if (r) {
		links->counts.failures++;
		fail(&link->failure, LINK_UNREACHABLE, link->addresses[0], "%s", strerror(-r));
	}
	return r;
}

static struct link *get_link(struct links *links, const char *node_id, struct link_failure *failure);

static void move_call(struct link_call *call)
{
	struct link *link = call->link;
	struct link_failure failure;
	struct link *other = get_link(link->links, link->node_id, &failure);
	if (other) {
		list_remove(&call->node);
		call->link = other;
		list_append(&other->calls, &call->node);
	}
	if (!other || (other->up && call_send(call, &failure)))
		call_end(call, &failure);
}

/* Calls that the peer refused go to a link that takes them, be it this one. */
static void move_refused(struct link *link)
{
	if (!link->conn.stream || !link_session_open(link->conn.session))
		leave_pool(link);
	for (struct link_call *call; (call = first_unsent(link));)
		move_call(call);
}

static void later(struct deferred *deferred)
{
	struct link *link = CONTAINER_OF(deferred, struct link, later);
	if (link->up)
		move_refused(link);
	else if (link->address_count == 0 || list_empty(&link->calls) || link_dial(link))
		link_free(link);
}

/* --- finding a link --- */

static int find_addresses(struct link *link, struct link_failure *failure)
{
	struct links *links = link->links;
	struct node_record record;
	if (!links->deps.find(links->deps.arg, edged_str(link->node_id), &record)) {
		fail(failure, LINK_UNKNOWN, NULL, "no node of this id is known");
		return -ENOENT;
	}
	for (unsigned i = 0; i < ADDRESSES && record.addresses[i][0]; i++)
		memcpy(link->addresses[link->address_count++], record.addresses[i],
		        sizeof(link->addresses[0]));
	if (link->address_count == 0) {
		fail(failure, LINK_NO_ADDRESS, NULL, "it announces no secure port");
		return -EHOSTUNREACH;
	}
	return 0;
}

static void give_addresses(struct link *link, const char *const *addresses)
{
	for (; *addresses && link->address_count < ADDRESSES; addresses++)
		snprintf(
		        link->addresses[link->address_count++], sizeof(link->addresses[0]), "%s", *addresses);
}

/* A new link that is being dialled. `addresses` NULL: it is for all, and the node is looked up. */
static struct link *make_link(
        struct links *links, const char *node_id, const char *const *addresses, struct link_failure *failure)
{
	struct link *link;
	if (link_new(links, node_id, &link)) {
		links->counts.refused++;
		fail(failure, LINK_BUSY, NULL, "this node has as many links as it may");
		return NULL;
	}
	int r = 0;
	link->single = addresses != NULL;
	if (addresses)
		give_addresses(link, addresses);
	else
		r = find_addresses(link, failure);
	if (!r) {
		r = link_dial(link);
		*failure = link->failure;
	}
	if (!r && !addresses) {
		r = map_add(&links->pool, edged_slice(link->node_id, NODE_ID_LEN), link);
		link->pooled = r == 0;
		if (r)
			fail(failure, LINK_BUSY, NULL, "no memory for the link");
	}
	if (!r)
		return link;
	link_free(link);
	return NULL;
}

static struct link *get_link(struct links *links, const char *node_id, struct link_failure *failure)
{
	struct link *link = map_get(&links->pool, edged_slice(node_id, NODE_ID_LEN));
	if (link && link->up && !link_session_open(link->conn.session)) {
		leave_pool(link); /* it goes away once what is open has ended */
		link = NULL;
	}
	return link ? link : make_link(links, node_id, NULL, failure);
}

static unsigned count_calls(const struct link *link)
{
	unsigned n = 0;
	list_each (node, &link->calls)
		n++;
	return n;
}

static void busy(void *arg)
{
	struct links *links = arg;
	if (links->checking || links->stopped)
		return;
	links->checking = true;
	timer_set(links->timer, CHECK_MS);
}

static int begin(struct link *link, const struct link_request *request, struct link_call **ret,
        struct link_failure *failure)
{
	if (count_calls(link) >= link->links->deps.limits.calls) {
		link->links->counts.refused++;
		fail(failure, LINK_BUSY, link->addresses[0], "too many requests to that node are open");
		return -ENOSPC;
	}
	struct link_call *call = calloc(1, sizeof(*call));
	if (!call) {
		fail(failure, LINK_BUSY, NULL, "no memory");
		return -ENOMEM;
	}
	call->link = link;
	call->request = *request;
	set_deadline(call, true);
	if (!link->single && !request->brief) {
		link->stays = true;
		link->conn.idle_ms = link->links->deps.limits.idle_ms;
	}
	int r = link->up ? call_send(call, failure) : 0;
	if (r) {
		free(call);
		return r;
	}
	list_append(&link->calls, &call->node);
	link->links->counts.open++;
	*ret = call;
	return 0;
}

int links_request(struct links *links, const struct link_request *request, struct link_call **ret,
        struct link_failure *ret_failure)
{
	if (links->stopped) {
		fail(ret_failure, LINK_STOPPED, NULL, "this node is stopping");
		return -ECANCELED;
	}
	struct link *link = request->addresses
	                            ? make_link(links, request->node_id, request->addresses, ret_failure)
	                            : get_link(links, request->node_id, ret_failure);
	if (!link)
		return -EHOSTUNREACH;
	int r = begin(link, request, ret, ret_failure);
	if (r)
		return r; /* a link without calls ends by itself */
	links->counts.calls++;
	busy(links);
	return 0;
}

void link_call_cancel(struct link_call *call)
{
	struct link *link = call->link;
	if (call->stream)
		link_stream_cancel(call->stream);
	list_remove(&call->node);
	free(call);
	link->links->counts.open--;
	if (!link->up && list_empty(&link->calls)) {
		leave_pool(link);
		if (link->dial)
			link->links->deps.dial_cancel(TAKE(link->dial));
		link->address_count = 0;
		loop_defer(link->links->deps.loop, &link->later);
	}
}

int link_call_send(struct link_call *call, struct edged_slice bytes, bool last)
{
	call->all_given |= last;
	set_deadline(call, true);
	return call->stream ? link_stream_send(call->stream, bytes, last) : -EPIPE;
}

void link_call_consume(struct link_call *call, size_t n)
{
	if (call->stream)
		link_stream_consume(call->stream, n);
}

/* --- every second while something is open --- */

static struct link_call *first_expired(const struct link *link, uint64_t now)
{
	list_each (node, &link->calls) {
		struct link_call *call = list_entry(node, struct link_call, node);
		if (call->deadline && now >= call->deadline)
			return call;
	}
	return NULL;
}

static void expire_calls(struct link *link)
{
	uint64_t now = loop_now(link->links->deps.loop);
	struct link_failure failure;
	fail(&failure, LINK_TIMEOUT, link->up ? link->addresses[0] : NULL, "it did not answer in time");
	for (struct link_call *call; (call = first_expired(link, now));) {
		if (call->stream)
			link_stream_cancel(call->stream);
		call_end(call, &failure);
	}
}

static void check(void *arg)
{
	struct links *links = arg;
	bool again = link_server_check(links->server);
	links->checking = false;
	list_each_safe (node, &links->links) {
		struct link *link = list_entry(node, struct link, node);
		expire_calls(link);
		again |= !list_empty(&link->calls);
		if (link->up)
			link_conn_check(&link->conn);
	}
	if (again)
		busy(links);
}

/* --- all of them --- */

int links_new(const struct links_deps *deps, struct links **ret)
{
	struct links *links = calloc(1, sizeof(*links));
	if (!links)
		return -ENOMEM;
	links->deps = *deps;
	if (!deps->dial) {
		links->deps.dial = dial_start;
		links->deps.dial_cancel = dial_cancel;
	}
	list_init(&links->links);
	map_init(&links->pool);
	const struct link_server_options options = {
		.loop = deps->loop,
		.requests = deps->requests,
		.router = deps->router,
		.limits = deps->limits.link,
		.connections = deps->limits.served,
		.idle_ms = deps->limits.idle_ms * 2,
		.request_ms = deps->limits.request_ms,
		.open_path = JOIN_SIGN_PATH,
		.busy = busy,
		.served = on_served,
		.arg = links,
	};
	int r = link_server_new(&options, &links->server);
	if (!r)
		r = timer_new(deps->loop, check, links, &links->timer);
	if (r) {
		links_free(links);
		return r;
	}
	*ret = links;
	return 0;
}

void links_stop(struct links *links)
{
	links->stopped = true;
	timer_cancel(links->timer);
	list_each_safe (node, &links->links) {
		struct link *link = list_entry(node, struct link, node);
		fail(&link->failure, LINK_STOPPED, NULL, "this node is stopping");
		fail_calls(link, &link->failure);
		leave_pool(link);
		if (link->up && link->conn.stream)
			stream_functions.abort(link->conn.stream);
	}
	link_server_stop(links->server);
}

void links_free(struct links *links)
{
	if (!links)
		return;
	links->stopped = true;
	list_each_safe (node, &links->links) {
		struct link *link = list_entry(node, struct link, node);
		fail(&link->failure, LINK_STOPPED, NULL, "this node is stopping");
		link->conn.stream = NULL;
		link_free(link);
	}
	link_server_free(links->server);
	timer_free(links->timer);
	map_fini(&links->pool);
	free(links);
}

const struct edged_stream_handler *links_handler(void)
{
	return &link_server_handler;
}

void *links_server(struct links *links)
{
	return links->server;
}

void links_reset(struct links *links)
{
	link_server_reset(links->server);
	list_each (node, &links->links) {
		struct link *link = list_entry(node, struct link, node);
		leave_pool(link);
		if (link->up && !link->single)
			link_conn_shutdown(&link->conn);
	}
}

/* As fail_calls() for a link that is given up. */
static void give_up(struct link *link, const char *why)
{
	fail(&link->failure, LINK_UNREACHABLE, link->addresses[0], "%s", why);
	leave_pool(link);
	fail_calls(link, &link->failure);
	if (link->up && link->conn.stream) {
		stream_functions.abort(link->conn.stream);
		return;
	}
	if (link->dial)
		link->links->deps.dial_cancel(TAKE(link->dial));
	link->address_count = 0;
	loop_defer(link->links->deps.loop, &link->later);
}

void links_drop(struct links *links, const char *node_id, const char *why)
{
	list_each_safe (node, &links->links) {
		struct link *link = list_entry(node, struct link, node);
		if (strcmp(link->node_id, node_id) == 0 && !link->single)
			give_up(link, why);
	}
}

struct edged_stream *links_stream_of(const struct links *links, const struct edged_peer *peer)
{
	return link_server_stream(links->server, peer);
}

uint64_t links_held(const struct links *links)
{
	uint64_t held = link_server_held(links->server);
	list_each (node, &links->links) {
		const struct link *link = list_entry(node, struct link, node);
		held += link->up ? link_session_held(link->conn.session) : 0;
	}
	return held;
}

struct links_counts links_counts(const struct links *links)
{
	struct links_counts counts = links->counts;
	counts.dialled = links->count;
	counts.served = link_server_count(links->server);
	counts.refused += link_server_refused(links->server);
	return counts;
}

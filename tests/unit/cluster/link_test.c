/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links, joining and the proxy between nodes in one process: real TLS over socket pairs; only dialling is a fake, which
 * connects "node:N" to node N's server.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "cluster/identity.h"
#include "cluster/join.h"
#include "cluster/link.h"
#include "cluster/proxy.h"
#include "cluster/token.h"
#include "io/dial.h"
#include "io/tls.h"

enum { NODES = 3 };

/* A client of a node: the front end of one request. */
struct client {
	edged_handle request;
	struct requests *requests;
	struct edged_peer peer;
	int status;
	int64_t length;
	char type[64], caller[512];
	struct buf body;
	bool ended, ok, stuck; /* stuck: sends nothing on */
	size_t waiting;
};

struct node {
	struct world *world;
	unsigned index;
	char folder[96];
	struct identity *identity;
	struct tls_context *tls;
	struct requests *requests;
	struct router *router;
	struct links *links;
	struct join *join;
	struct proxy *proxy;
	struct edged_stream *server_stream; /* the latest that it accepted */
	/* what its test service saw */
	edged_handle held;
	unsigned served, gone;
	char method[16], target[128], caller[512], custom[64], authorization[64];
	unsigned hops;
	bool peer_trusted;
	char peer_id[64];
	size_t body_len;
	bool full, room;
	size_t streamed;
};

struct world {
	char root[64];
	struct loops *loops;
	struct loop *loop;
	struct node node[NODES];
	struct client client[8];
	unsigned dials;
	bool refuse_dial;
	int address_of[NODES]; /* who answers at "node:N" */
	uint64_t ms;           /* added to the clock of invites */
	bool (*until)(struct world *w);
	struct timer *poll;
	uint64_t give_up;
};

static struct world *the_world; /* for the fake dial, which has no argument of ours */

/* --- the fake dial --- */

struct dial {
	struct deferred later;
	struct dial_options options;
	char address[64];
	bool alive;
};

static int choose_server(void *arg, struct edged_stream *stream, struct edged_slice alpn,
        struct edged_slice first, const struct edged_stream_handler **ret_handler, void **ret_self)
{
	struct node *node = arg;
	(void)first;
	if (!edged_slice_is(alpn, LINK_PROTOCOL))
		return -ENOPROTOOPT;
	node->server_stream = stream;
	*ret_handler = links_handler();
	*ret_self = links_server(node->links);
	return 0;
}

static struct dial dials[32];

static int choose_client(void *arg, struct edged_stream *stream, struct edged_slice alpn,
        struct edged_slice first, const struct edged_stream_handler **ret_handler, void **ret_self)
{
	struct dial *dial = arg;
	(void)stream;
	(void)first;
	assert_true(edged_slice_is(alpn, LINK_PROTOCOL));
	if (!dial->alive)
		return -ECANCELED;
	dial->alive = false;
	*ret_handler = dial->options.handler;
	*ret_self = dial->options.self;
	return 0;
}

static void connect_pair(struct dial *dial, struct node *server)
{
	int fds[2];
	struct world *w = the_world;
	struct stream_chooser to_server = { .choose = choose_server, .arg = server },
	                      to_client = { .choose = choose_client, .arg = dial };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	const struct stream_origin origin = { .fd = fds[0],
		.tls = server->tls,
		.listener = "tls=test",
		.address = "192.0.2.99:1234",
		.uid = -1,
		.handshake_ms = 5000 };
	assert_int_equal(stream_new(w->loop, &origin, &to_server, NULL), 0);
	const struct stream_origin client = { .fd = fds[1],
		.tls = dial->options.tls,
		.client = true,
		.listener = "dial",
		.address = dial->address,
		.alpn = dial->options.alpn,
		.uid = -1,
		.handshake_ms = 5000 };
	assert_int_equal(stream_new(w->loop, &client, &to_client, NULL), 0);
}

static void dial_now(struct deferred *deferred)
{
	struct dial *dial = CONTAINER_OF(deferred, struct dial, later);
	struct world *w = the_world;
	if (w->refuse_dial) {
		dial->alive = false;
		dial->options.failed(dial->options.arg, -ECONNREFUSED, "connection refused");
		return;
	}
	/* in tests the port of an address is the number of the node */
	unsigned port = (unsigned)atoi(strrchr(dial->address, ':') + 1);
	assert_in_range(port, 1, NODES);
	connect_pair(dial, &w->node[w->address_of[port - 1]]);
}

int dial_start(struct loop *loop, const struct dial_options *options, struct dial **ret)
{
	struct dial *dial = &dials[the_world->dials++ % ARRAY_LEN(dials)];
	assert_false(dial->alive);
	dial->options = *options;
	dial->alive = true;
	snprintf(dial->address, sizeof(dial->address), "%s", options->addresses[0]);
	deferred_init(&dial->later, dial_now);
	loop_defer(loop, &dial->later);
	*ret = dial;
	return 0;
}

void dial_cancel(struct dial *dial)
{
	dial->alive = false;
	deferred_cancel(&dial->later);
}

/* --- the service of a node --- */

static void copy_header(struct node *node, edged_handle request, const char *name, char *to, size_t size)
{
	struct edged_slice value = request_header(node->requests, request, name);
	snprintf(to, size, "%.*s", EDGED_SLICE_FMT(value));
}

static void note(struct node *node, edged_handle request)
{
	const struct edged_peer *peer = request_peer(node->requests, request);
	struct edged_slice method = request_method(node->requests, request),
	                   target = request_target(node->requests, request);
	node->served++;
	snprintf(node->method, sizeof(node->method), "%.*s", EDGED_SLICE_FMT(method));
	snprintf(node->target, sizeof(node->target), "%.*s", EDGED_SLICE_FMT(target));
	copy_header(node, request, "edged-caller", node->caller, sizeof(node->caller));
	copy_header(node, request, "x-custom", node->custom, sizeof(node->custom));
	copy_header(node, request, "authorization", node->authorization, sizeof(node->authorization));
	node->hops = request_hops(node->requests, request);
	node->peer_trusted = peer->trusted;
	snprintf(node->peer_id, sizeof(node->peer_id), "%s", peer->node_id ? peer->node_id : "");
	node->body_len = request_body(node->requests, request).len;
}

static int serve_hello(void *self, edged_handle request)
{
	struct node *node = self;
	char text[32];
	note(node, request);
	snprintf(text, sizeof(text), "hello from %u", node->index);
	assert_int_equal(request_set_header(node->requests, request, "X-Answer", "yes"), 0);
	return request_reply(node->requests, request, 200, "text/plain", edged_str(text));
}

static void on_gone(void *arg)
{
	((struct node *)arg)->gone++;
}

static void on_room(void *arg)
{
	((struct node *)arg)->room = true;
}

static int serve_hold(void *self, edged_handle request)
{
	struct node *node = self;
	note(node, request);
	node->held = request;
	return request_on_gone(node->requests, request, on_gone, node);
}

static int serve_stream(void *self, edged_handle request)
{
	struct node *node = self;
	note(node, request);
	node->held = request;
	return request_stream_begin(
	        node->requests, request, 200, "text/event-stream", on_room, on_gone, node);
}

static int serve_big(void *self, edged_handle request)
{
	struct node *node = self;
	static char block[300000];
	memset(block, 'b', sizeof(block));
	note(node, request);
	return request_reply(node->requests, request, 200, NULL, edged_slice(block, sizeof(block)));
}

static const struct edged_route routes[] = {
	{ "*", "/hello/v1/{rest...}", serve_hello, NULL, NULL, 0, 0 },
	{ "*", "/hold", serve_hold, NULL, NULL, 0, 0 },
	{ "GET", "/stream", serve_stream, NULL, NULL, 0, 0 },
	{ "GET", "/big", serve_big, NULL, NULL, 0, 0 },
	{ 0 },
};

/* --- nodes --- */

static bool find_node(void *arg, struct edged_slice id, struct node_record *ret, bool *ambiguous)
{
	struct world *w = ((struct node *)arg)->world;
	if (ambiguous)
		*ambiguous = edged_slice_is(id, "twins");
	for (unsigned i = 0; i < NODES; i++) {
		const struct identity *identity = w->node[i].identity;
		char name[8];
		snprintf(name, sizeof(name), "n%u", i);
		if (!edged_slice_is(id, identity_node_id(identity)) && !edged_slice_is(id, name))
			continue;
		*ret = (struct node_record){ .reachable = true };
		snprintf(ret->id, sizeof(ret->id), "%s", identity_node_id(identity));
		snprintf(ret->name, sizeof(ret->name), "%s", name);
		snprintf(ret->account, sizeof(ret->account), "%s", identity_account_id(identity));
		snprintf(ret->addresses[0], sizeof(ret->addresses[0]), "192.0.2.1:%u", i + 1);
		return true;
	}
	return false;
}

static bool find_for_links(void *arg, struct edged_slice id, struct node_record *ret)
{
	return find_node(arg, id, ret, NULL);
}

static unsigned addresses(void *arg, char (*ret)[64], unsigned max)
{
	const struct node *node = arg;
	(void)max;
	/* The first is of a network where somebody else has this address. */
	snprintf(ret[0], 64, "192.0.2.1:%u", node->index == 0 ? 3u : node->index + 1);
	snprintf(ret[1], 64, "192.0.2.1:%u", node->index + 1);
	return 2;
}

static uint64_t invite_time(void *arg)
{
	struct world *w = ((struct node *)arg)->world;
	return loop_now(w->loop) + w->ms;
}

static uint64_t mono(void *arg)
{
	(void)arg;
	return clock_mono_ms();
}

static void identity_changed(void *arg)
{
	struct node *node = arg;
	struct err err;
	assert_int_equal(tls_context_replace(node->tls, identity_certificate_pem(node->identity),
	                         identity_key_pem(node->identity), &err),
	        0);
	links_reset(node->links);
}

static void make_tls(struct node *node)
{
	static const char *const alpn[] = { LINK_PROTOCOL, NULL };
	struct err err = { "" };
	const struct tls_options options = {
		.certificate_pem = identity_certificate_pem(node->identity),
		.key_pem = identity_key_pem(node->identity),
		.alpn = alpn,
		.min_version = 0x0304,
		.judge = identity_judge,
		.judge_arg = node->identity,
	};
	if (tls_context_new(&options, &node->tls, &err))
		fail_msg("%s", err.text);
}

static void make_services(struct node *node)
{
	struct loop *loop = node->world->loop;
	struct err err = { "" };
	const struct links_deps links = { loop, node->requests, node->router, node->tls, find_for_links, node,
		LINKS_LIMITS_DEFAULT };
	const struct join_deps join = { loop, node->identity, NULL, node->requests, node->router, addresses,
		node, invite_time };
	const struct proxy_deps proxy = { loop, node->identity, NULL, node->requests, node->router, find_node,
		node, 5000 };
	assert_int_equal(links_new(&links, &node->links), 0);
	struct join_deps join_deps = join;
	join_deps.links = node->links;
	struct proxy_deps proxy_deps = proxy;
	proxy_deps.links = node->links;
	assert_int_equal(join_new(&join_deps, &node->join, &err), 0);
	assert_int_equal(proxy_new(&proxy_deps, &node->proxy, &err), 0);
	const struct route_owner owner = { "test", node, node, true };
	assert_int_equal(router_add(node->router, &owner, routes, sizeof(routes[0]), &err), 0);
}

static void make_node(struct world *w, unsigned i)
{
	struct node *node = &w->node[i];
	struct err err = { "" };
	node->world = w;
	node->index = i;
	w->address_of[i] = (int)i;
	snprintf(node->folder, sizeof(node->folder), "%.60s/%u", the_world->root, i);
	assert_int_equal(identity_open(node->folder, &node->identity, &err), 0);
	make_tls(node);
	const struct request_limits limits = { 100, 50, 30000, 64 * 1024, 256 * 1024 };
	assert_int_equal(requests_new(&limits, mono, NULL, &node->requests), 0);
	assert_int_equal(router_new(node->requests, &node->router), 0);
	make_services(node);
	identity_on_change(node->identity, identity_changed, node);
}

static void stop_node(struct node *node)
{
	requests_abandon(node->requests, NULL);
	proxy_free(node->proxy);
	join_free(node->join);
	links_stop(node->links);
}

static void free_node(struct node *node)
{
	links_free(node->links);
	router_free(node->router);
	requests_free(node->requests);
	tls_context_free(node->tls);
	identity_free(node->identity);
}

static int setup(void **state)
{
	log_set_level(EDGED_ERROR);
	struct world *w = calloc(1, sizeof(*w));
	the_world = w;
	memset(dials, 0, sizeof(dials));
	snprintf(w->root, sizeof(w->root), "/tmp/edged-link-XXXXXX");
	assert_non_null(mkdtemp(w->root));
	assert_int_equal(loops_new(1, &w->loops), 0);
	w->loop = loops_at(w->loops, 0);
	for (unsigned i = 0; i < NODES; i++)
		make_node(w, i);
	*state = w;
	return 0;
}

static void run_until(struct world *w, bool (*until)(struct world *w));

static bool no_streams(struct world *w)
{
	(void)w;
	return stream_counts().open == 0;
}

static int teardown(void **state)
{
	static const char *const names[] = { "node.pem", "account.json", "ca.pem", "peers" };
	struct world *w = *state;
	for (unsigned i = 0; i < NODES; i++)
		stop_node(&w->node[i]);
	run_until(w, no_streams);
	for (unsigned i = 0; i < ARRAY_LEN(w->client); i++)
		buf_fini(&w->client[i].body);
	for (unsigned i = 0; i < NODES; i++)
		free_node(&w->node[i]);
	timer_free(w->poll);
	loops_free(w->loops);
	for (unsigned i = 0; i < NODES; i++) {
		for (size_t n = 0; n < ARRAY_LEN(names); n++) {
			char path[256];
			snprintf(path, sizeof(path), "%s/%s", w->node[i].folder, names[n]);
			unlink(path);
		}
		rmdir(w->node[i].folder);
	}
	int r = rmdir(w->root);
	free(w);
	return r;
}

/* --- running --- */

static void poll_now(void *arg)
{
	struct world *w = arg;
	if (w->until(w) || clock_mono_ms() > w->give_up)
		loops_stop(w->loops);
	else
		timer_set(w->poll, 1);
}

static void run_until(struct world *w, bool (*until)(struct world *w))
{
	if (!w->poll)
		assert_int_equal(timer_new(w->loop, poll_now, w, &w->poll), 0);
	w->until = until;
	w->give_up = clock_mono_ms() + 5000;
	timer_set(w->poll, 0);
	assert_int_equal(loops_run(w->loops), 0);
	assert_true(until(w));
}

static unsigned turns_left;

static bool turns_over(struct world *w)
{
	(void)w;
	return turns_left == 0 || --turns_left == 0;
}

/* Lets things that should not happen happen. */
static void run_a_while(struct world *w)
{
	turns_left = 30;
	run_until(w, turns_over);
}

/* --- clients --- */

static void client_head(void *front, int status, const struct header *headers, size_t count, int64_t length)
{
	struct client *client = front;
	client->status = status;
	client->length = length;
	for (size_t i = 0; i < count; i++)
		if (edged_slice_is(headers[i].name, "Content-Type"))
			snprintf(client->type, sizeof(client->type), "%.*s",
			        EDGED_SLICE_FMT(headers[i].value));
}

static size_t client_body(void *front, struct edged_slice bytes)
{
	struct client *client = front;
	assert_int_equal(buf_add(&client->body, bytes.ptr, bytes.len), 0);
	if (client->stuck)
		client->waiting += bytes.len;
	return client->waiting;
}

static void client_end(void *front, bool ok)
{
	struct client *client = front;
	client->ended = true;
	client->ok = ok;
}

static const struct request_front client_front = { client_head, client_body, client_end };

static struct client *ask_with(struct world *w, unsigned n, unsigned node, const char *method,
        const char *target, struct edged_slice body, const struct header *headers, size_t count,
        unsigned hops)
{
	struct client *client = &w->client[n];
	buf_fini(&client->body);
	*client = (struct client){ .requests = w->node[node].requests };
	client->peer = (struct edged_peer){ .struct_size = sizeof(struct edged_peer),
		.address = "127.0.0.1:5\"5",
		.uid = -1,
		.loopback = true,
		.trusted = true };
	const struct request_init init = { edged_str(method), edged_str(target), headers, count, body,
		&client->peer, &client_front, client, hops };
	assert_int_equal(requests_open(client->requests, &init, &client->request), 0);
	router_dispatch(w->node[node].router, client->request);
	return client;
}

static struct client *ask(
        struct world *w, unsigned n, unsigned node, const char *method, const char *target, const char *body)
{
	return ask_with(w, n, node, method, target, edged_str(body), NULL, 0, 0);
}

static bool first_ended(struct world *w)
{
	return w->client[0].ended;
}

static struct client *ask_and_wait(
        struct world *w, unsigned node, const char *method, const char *target, const char *body)
{
	struct client *client = ask(w, 0, node, method, target, body);
	run_until(w, first_ended);
	return client;
}

static void assert_problem(const struct client *client, int status, const char *type)
{
	assert_true(client->ended);
	if (client->status != status || !strstr(client->body.ptr, type))
		fail_msg("%d: %s", client->status, client->body.ptr);
}

/* The value of a member of the JSON in the client's body. */
static char *member(const struct client *client, const char *name, char *ret, size_t size)
{
	char key[64];
	snprintf(key, sizeof(key), "\"%s\":\"", name);
	const char *at = strstr(client->body.ptr, key);
	assert_non_null(at);
	at += strlen(key);
	snprintf(ret, size, "%.*s", (int)strcspn(at, "\""), at);
	return ret;
}

/* --- joining --- */

static void invite(struct world *w, unsigned node, const char *body, char token[TOKEN_TEXT_MAX])
{
	struct client *client = ask(w, 0, node, "POST", "/edge/v1/invites", body);
	assert_true(client->ended);
	if (client->status != 201)
		fail_msg("%d: %s", client->status, client->body.ptr);
	member(client, "token", token, TOKEN_TEXT_MAX);
}

static struct client *join(struct world *w, unsigned node, const char *token)
{
	char body[TOKEN_TEXT_MAX + 32];
	snprintf(body, sizeof(body), "{\"token\":\"%s\"}", token);
	return ask_and_wait(w, node, "POST", "/edge/v1/join", body);
}

static void join_ok(struct world *w, unsigned inviter, unsigned node)
{
	char token[TOKEN_TEXT_MAX];
	invite(w, inviter, "", token);
	struct client *client = join(w, node, token);
	if (client->status != 200)
		fail_msg("%d: %s", client->status, client->body.ptr);
}

static void a_node_joins_by_token(void **state)
{
	struct world *w = *state;
	char account[64];
	join_ok(w, 0, 1);
	assert_string_equal(member(&w->client[0], "account", account, sizeof(account)),
	        identity_account_id(w->node[0].identity));
	assert_string_equal(
	        identity_account_id(w->node[0].identity), identity_account_id(w->node[1].identity));
	/* at the first address another node answered, which was passed over */
	assert_int_equal(w->dials, 2);
	assert_int_equal(w->node[2].served, 0);
	assert_int_equal(join_counts(w->node[0].join).joined, 1);
}

static void a_token_works_once(void **state)
{
	struct world *w = *state;
	char token[TOKEN_TEXT_MAX];
	invite(w, 0, "", token);
	assert_int_equal(join(w, 1, token)->status, 200);
	struct client *client = join(w, 2, token);
	assert_problem(client, 403, "inviter-refused");
	assert_non_null(strstr(client->body.ptr, "has been used"));
	assert_string_equal(identity_account_id(w->node[2].identity), "");
}

static void an_expired_token_is_refused(void **state)
{
	struct world *w = *state;
	char token[TOKEN_TEXT_MAX];
	invite(w, 0, "{\"for\": 30}", token);
	w->ms = 30001;
	assert_problem(join(w, 1, token), 403, "inviter-refused");
	w->ms = 0;
	assert_int_equal(join(w, 1, token)->status, 200);
}

static void rewrite(const char *token, void (*change)(struct join_token *token), char ret[TOKEN_TEXT_MAX])
{
	struct join_token parts;
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	assert_int_equal(token_read(edged_str(token), &parts, NULL), 0);
	change(&parts);
	assert_int_equal(token_write(&parts, &text), 0);
	snprintf(ret, TOKEN_TEXT_MAX, "%s", text.ptr);
}

static void change_secret(struct join_token *token)
{
	token->secret[3] ^= 1;
}

static void change_account(struct join_token *token)
{
	snprintf(token->account_id, sizeof(token->account_id), "%s", token->node_id);
}

static void change_node(struct join_token *token)
{
	snprintf(token->node_id, sizeof(token->node_id), "%s", token->account_id);
}

static void tampered_tokens_are_refused(void **state)
{
	struct world *w = *state;
	char token[TOKEN_TEXT_MAX], bad[TOKEN_TEXT_MAX];
	invite(w, 0, "", token);
	snprintf(bad, sizeof(bad), "%s", token);
	bad[40] = bad[40] == 'A' ? 'B' : 'A';
	assert_problem(join(w, 1, bad), 400, "bad-token");
	rewrite(token, change_secret, bad);
	assert_problem(join(w, 1, bad), 403, "inviter-refused");
	rewrite(token, change_node, bad);
	assert_problem(join(w, 1, bad), 502, "inviter-unreachable");
	assert_non_null(strstr(w->client[0].body.ptr, "another node answers"));
	assert_int_equal(join_counts(w->node[0].join).refused, 1);
	/* the inviter's own CA is not the one that the token pins */
	rewrite(token, change_account, bad);
	assert_problem(join(w, 1, bad), 502, "wrong-account");
	assert_string_equal(identity_account_id(w->node[1].identity), "");
}

static void five_wrong_proofs_shut_the_door(void **state)
{
	struct world *w = *state;
	char token[TOKEN_TEXT_MAX], bad[TOKEN_TEXT_MAX];
	invite(w, 0, "", token);
	rewrite(token, change_secret, bad);
	for (int i = 0; i < JOIN_TRIES; i++)
		assert_problem(join(w, 1, bad), 403, "inviter-refused");
	struct client *client = join(w, 1, token);
	assert_problem(client, 502, "inviter-refused");
	assert_non_null(strstr(client->body.ptr, "429"));
	w->ms = JOIN_PENALTY_MS;
	invite(w, 0, "", token);
	assert_int_equal(join(w, 1, token)->status, 200);
}

static void only_the_holder_of_the_key_invites(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	struct client *client = ask(w, 0, 1, "POST", "/edge/v1/invites", "");
	assert_problem(client, 409, "account-key-elsewhere");
	assert_non_null(strstr(client->body.ptr, identity_node_id(w->node[0].identity)));
}

static void who_belongs_to_an_account_does_not_join(void **state)
{
	struct world *w = *state;
	char token[TOKEN_TEXT_MAX];
	join_ok(w, 0, 1);
	invite(w, 2, "", token);
	assert_problem(ask(w, 0, 1, "POST", "/edge/v1/join", "{}"), 409, "account-exists");
	(void)token;
}

static void invites_are_counted_and_checked(void **state)
{
	struct world *w = *state;
	char token[TOKEN_TEXT_MAX];
	assert_problem(ask(w, 0, 0, "POST", "/edge/v1/invites", "{\"for\": 0}"), 400, "bad-duration");
	assert_problem(ask(w, 0, 0, "POST", "/edge/v1/invites", "{\"for\": \"1h\"}"), 400, "bad-duration");
	assert_problem(ask(w, 0, 0, "POST", "/edge/v1/invites", "[1]"), 400, "bad-json");
	for (int i = 0; i < JOIN_INVITES; i++)
		invite(w, 0, "", token);
	assert_problem(ask(w, 0, 0, "POST", "/edge/v1/invites", ""), 429, "too-many-invites");
	assert_problem(ask(w, 0, 1, "POST", "/edge/v1/join", "{\"token\": 7}"), 400, "bad-token");
	assert_problem(ask(w, 0, 0, "POST", "/edge/v1/account/sign", "{}"), 400, "wrong-way");
}

static bool renewed(struct world *w)
{
	return join_counts(w->node[1].join).renewals == 1;
}

static uint64_t five_days_on(void *arg)
{
	(void)arg;
	return clock_wall_ms() + UINT64_C(5) * 24 * 3600 * 1000;
}

static void certificates_are_renewed_over_a_link(void **state)
{
	struct world *w = *state;
	struct err err;
	join_ok(w, 0, 1);
	char *before = strdup(identity_certificate_pem(w->node[1].identity));
	for (int i = 0; i < 2; i++)
		identity_set_clock(w->node[i].identity, five_days_on, NULL);
	/* begun anew, it looks at the certificate at once */
	join_free(w->node[1].join);
	const struct join_deps deps = { w->loop, w->node[1].identity, w->node[1].links, w->node[1].requests,
		w->node[1].router, addresses, &w->node[1], NULL };
	assert_int_equal(join_new(&deps, &w->node[1].join, &err), 0);
	run_until(w, renewed);
	assert_string_not_equal(before, identity_certificate_pem(w->node[1].identity));
	free(before);
}

/* --- links and proxy --- */

static void a_request_reaches_the_other_node(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	static const struct header headers[] = { { { "X-Custom", 8 }, { "kept", 4 } },
		{ { "Connection", 10 }, { "x-hop", 5 } }, { { "X-Hop", 5 }, { "gone", 4 } },
		{ { "Authorization", 13 }, { "Bearer secret", 13 } },
		{ { "Edged-Caller", 12 }, { "forged", 6 } }, { { "Edged-Hops", 10 }, { "0", 1 } } };
	struct client *client = ask_with(w, 0, 0, "POST", "/nodes/n1/hello/v1/a%2Fb?c=%20d",
	        edged_str("body"), headers, ARRAY_LEN(headers), 0);
	run_until(w, first_ended);
	assert_int_equal(client->status, 200);
	assert_string_equal(client->body.ptr, "hello from 1");
	assert_string_equal(client->type, "text/plain");
	assert_true(client->ok);
	const struct node *node = &w->node[1];
	assert_string_equal(node->method, "POST");
	assert_string_equal(node->target, "/hello/v1/a%2Fb?c=%20d");
	assert_int_equal(node->body_len, 4);
	assert_string_equal(node->custom, "kept");
	assert_string_equal(node->authorization, "");
	assert_int_equal(node->hops, 1);
	assert_true(node->peer_trusted);
	assert_string_equal(node->peer_id, identity_node_id(w->node[0].identity));
	char caller[256];
	snprintf(caller, sizeof(caller), "node=\"%s\"; address=\"127.0.0.1:5\\\"5\"",
	        identity_node_id(w->node[0].identity));
	assert_string_equal(node->caller, caller);
	/* the next request takes the same link */
	unsigned dials_before = w->dials;
	assert_int_equal(ask_and_wait(w, 0, "HEAD", "/nodes/n1/hello/v1/", "")->status, 200);
	assert_int_equal(w->client[0].length, 12);
	assert_int_equal(w->client[0].body.len, 0);
	assert_int_equal(w->dials, dials_before);
}

static void own_id_is_served_here(void **state)
{
	struct world *w = *state;
	char target[256];
	assert_int_equal(ask(w, 0, 0, "GET", "/nodes/self/hello/v1/x", "")->status, 200);
	assert_string_equal(w->client[0].body.ptr, "hello from 0");
	snprintf(target, sizeof(target), "/nodes/%s/nodes/n0/hello/v1/x",
	        identity_node_id(w->node[0].identity));
	assert_int_equal(ask(w, 0, 0, "GET", target, "")->status, 200);
	assert_string_equal(w->node[0].target, "/hello/v1/x");
	assert_problem(
	        ask(w, 0, 0, "GET", "/nodes/self/nodes/self/nodes/self/nodes/self/nodes/self/hello/v1/x", ""),
	        508, "too-many-hops");
	assert_problem(ask(w, 0, 0, "GET", "/nodes/self", ""), 404, "");
}

static void circles_end(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	assert_problem(
	        ask_and_wait(w, 0, "GET", "/nodes/n1/nodes/n0/nodes/n1/nodes/n0/nodes/n1/hello/v1/", ""), 508,
	        "too-many-hops");
	assert_int_equal(ask_and_wait(w, 0, "GET", "/nodes/n1/nodes/n0/hello/v1/", "")->status, 200);
	assert_int_equal(w->node[0].hops, 2);
	/* who asked first is passed on */
	assert_non_null(strstr(w->node[0].caller, identity_node_id(w->node[0].identity)));
}

static void unknown_and_foreign_nodes_are_refused(void **state)
{
	struct world *w = *state;
	assert_problem(ask(w, 0, 0, "GET", "/nodes/nobody/x", ""), 404, "node-unknown");
	assert_problem(ask(w, 0, 0, "GET", "/nodes/twins/x", ""), 409, "node-ambiguous");
	assert_problem(ask(w, 0, 0, "GET", "/nodes/n1/hello/v1/", ""), 403, "node-not-trusted");
	join_ok(w, 0, 1);
	char token[TOKEN_TEXT_MAX];
	invite(w, 2, "", token); /* node 2 has an account of its own */
	assert_problem(ask(w, 0, 0, "GET", "/nodes/n2/hello/v1/", ""), 403, "node-not-trusted");
	assert_int_equal(w->node[2].served, 0);
}

static const struct link_reply no_reply;
static struct link_failure last_failure;
static bool failed;
static int answered;

static void note_head(void *arg, const struct link_message *answer)
{
	(void)arg;
	answered = answer->status;
}

static void note_data(void *arg, struct edged_slice bytes)
{
	(void)arg;
	(void)bytes;
}

static void note_end(void *arg, const struct link_failure *failure)
{
	(void)arg;
	failed = true;
	if (failure)
		last_failure = *failure;
}

static bool call_over(struct world *w)
{
	(void)w;
	return failed;
}

static int bare_call(struct world *w, unsigned from, unsigned to, const char *target, const char *const *at)
{
	static const struct link_reply reply = { note_head, note_data, note_end };
	struct link_call *call;
	const struct link_request request = { .node_id = identity_node_id(w->node[to].identity),
		.send = { edged_str("GET"), edged_str(target), edged_str("x"), NULL, 0, edged_str("") },
		.answer_ms = 5000,
		.reply = &reply,
		.addresses = at };
	(void)no_reply;
	failed = false;
	answered = 0;
	last_failure = (struct link_failure){ .cause = LINK_UNKNOWN };
	return links_request(w->node[from].links, &request, &call, &last_failure);
}

static void strangers_get_nothing_on_either_side(void **state)
{
	struct world *w = *state;
	static const char *const at[] = { "192.0.2.1:2", NULL };
	/* the client refuses a server that is not of its account */
	assert_int_equal(bare_call(w, 0, 1, "/hello/v1/", NULL), 0);
	run_until(w, call_over);
	assert_int_equal(last_failure.cause, LINK_UNTRUSTED);
	/* and the server a client, but for the one path */
	assert_int_equal(bare_call(w, 0, 1, "/hello/v1/", at), 0);
	run_until(w, call_over);
	assert_int_equal(answered, 403);
	assert_int_equal(w->node[1].served, 0);
	assert_int_equal(bare_call(w, 0, 1, JOIN_SIGN_PATH, at), 0);
	run_until(w, call_over);
	assert_int_equal(answered, 405);
}

static void unreachable_nodes_are_named(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	w->refuse_dial = true;
	struct client *client = ask_and_wait(w, 0, "GET", "/nodes/n1/hello/v1/", "");
	assert_problem(client, 502, "node-unreachable");
	assert_non_null(strstr(client->body.ptr, identity_node_id(w->node[1].identity)));
	assert_non_null(strstr(client->body.ptr, "192.0.2.1:2"));
	assert_non_null(strstr(client->body.ptr, "connection refused"));
	w->refuse_dial = false;
	w->address_of[1] = 2;
	assert_problem(ask_and_wait(w, 0, "GET", "/nodes/n1/hello/v1/", ""), 502, "Another node answers");
	w->address_of[1] = 1;
	assert_int_equal(ask_and_wait(w, 0, "GET", "/nodes/n1/hello/v1/", "")->status, 200);
}

static bool service_holds(struct world *w)
{
	return w->node[1].held != 0;
}

static bool service_gone(struct world *w)
{
	return w->node[1].gone == 1;
}

static bool two_events(struct world *w)
{
	return w->client[0].body.len == 14;
}

static void events_stream_through(void **state)
{
	struct world *w = *state;
	struct node *node = &w->node[1];
	join_ok(w, 0, 1);
	struct client *client = ask(w, 0, 0, "GET", "/nodes/n1/stream", "");
	run_until(w, service_holds);
	for (int i = 0; i < 2; i++)
		assert_int_equal(request_stream_write(node->requests, node->held, edged_str("event\n\n")), 0);
	run_until(w, two_events);
	assert_string_equal(client->type, "text/event-stream");
	assert_false(client->ended);
	assert_int_equal(request_stream_end(node->requests, node->held), 0);
	run_until(w, first_ended);
	assert_true(client->ok);
	assert_int_equal(proxy_counts(w->node[0].proxy).open, 0);
}

static void a_client_that_leaves_cancels_at_the_other_node(void **state)
{
	struct world *w = *state;
	static const char *const targets[] = { "/nodes/n1/stream", "/nodes/n1/hold" };
	join_ok(w, 0, 1);
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		w->node[1].held = 0;
		w->node[1].gone = 0;
		struct client *client = ask(w, 0, 0, "GET", targets[i], "");
		run_until(w, service_holds);
		run_a_while(w);
		requests_gone(client->requests, client->request);
		run_until(w, service_gone);
		assert_false(client->ended);
	}
	/* also one that leaves before the link is there */
	links_reset(w->node[0].links);
	struct client *client = ask(w, 0, 0, "GET", "/nodes/n1/hello/v1/", "");
	requests_gone(client->requests, client->request);
	run_a_while(w);
	assert_int_equal(w->node[1].served, 2);
	assert_int_equal(proxy_counts(w->node[0].proxy).open, 0);
}

static void a_node_that_dies_breaks_the_answer_off(void **state)
{
	struct world *w = *state;
	struct node *node = &w->node[1];
	join_ok(w, 0, 1);
	struct client *client = ask(w, 0, 0, "GET", "/nodes/n1/stream", "");
	run_until(w, service_holds);
	assert_int_equal(
	        request_stream_write(node->requests, node->held, edged_str("event\n\nevent\n\n")), 0);
	run_until(w, two_events);
	stream_functions.abort(node->server_stream);
	run_until(w, first_ended);
	assert_false(client->ok);
	assert_int_equal(node->gone, 1);
	/* before the head it is a problem document */
	node->held = 0;
	ask(w, 0, 0, "GET", "/nodes/n1/hold", "");
	run_until(w, service_holds);
	stream_functions.abort(node->server_stream);
	run_until(w, first_ended);
	assert_problem(client, 502, "node-lost");
	/* and the next request finds its way again */
	assert_int_equal(ask_and_wait(w, 0, "GET", "/nodes/n1/hello/v1/", "")->status, 200);
}

static void a_death_that_the_cluster_found_ends_calls(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	ask(w, 0, 0, "GET", "/nodes/n1/hold", "");
	run_until(w, service_holds);
	links_drop(w->node[0].links, identity_node_id(w->node[1].identity));
	run_until(w, first_ended);
	assert_problem(&w->client[0], 502, "node-unreachable");
}

static void big_answers_come_whole(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	struct client *client = ask_and_wait(w, 0, "GET", "/nodes/n1/big", "");
	assert_int_equal(client->status, 200);
	assert_true(client->ok);
	assert_int_equal(client->body.len, 300000);
}

/* The service writes while there is room. */
static bool writer_stuck(struct world *w)
{
	struct node *node = &w->node[1];
	static char block[10000];
	if (!node->held)
		return false;
	if (node->room)
		node->full = node->room = false;
	if (node->full)
		return node->streamed > 0 && turns_over(w);
	turns_left = 30;
	int r = request_stream_write(node->requests, node->held, edged_slice(block, sizeof(block)));
	assert_true(r >= 0);
	node->streamed += sizeof(block);
	node->full = r == EDGED_HTTP_FULL;
	return false;
}

static bool all_arrived(struct world *w)
{
	return w->client[0].body.len == w->node[1].streamed;
}

static void a_slow_client_holds_the_writer_back(void **state)
{
	struct world *w = *state;
	struct node *node = &w->node[1];
	join_ok(w, 0, 1);
	struct client *client = ask(w, 0, 0, "GET", "/nodes/n1/stream", "");
	client->stuck = true;
	turns_left = 30;
	run_until(w, writer_stuck);
	/* what a window and the marks of both ends take, and no more */
	assert_in_range(node->streamed, 200000, 500000);
	assert_true(client->body.len < 100000);
	/* others go on over the same link */
	ask(w, 1, 0, "GET", "/nodes/n1/hello/v1/", "");
	run_a_while(w);
	assert_string_equal(w->client[1].body.ptr, "hello from 1");
	client->stuck = false;
	client->waiting = 0;
	requests_room(client->requests, client->request, 0);
	run_until(w, all_arrived);
	request_stream_end(node->requests, node->held);
	run_until(w, first_ended);
	assert_true(client->ok);
}

static void many_requests_at_once_share_a_link(void **state)
{
	struct world *w = *state;
	join_ok(w, 0, 1);
	unsigned before = w->dials;
	for (unsigned i = 1; i < 8; i++)
		ask(w, i, 0, "GET", "/nodes/n1/hello/v1/", "");
	ask_and_wait(w, 0, "GET", "/nodes/n1/hello/v1/", "");
	run_a_while(w);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(w->client[i].status, 200);
	assert_int_equal(w->dials, before + 1);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_node_joins_by_token),
		T(a_token_works_once),
		T(an_expired_token_is_refused),
		T(tampered_tokens_are_refused),
		T(five_wrong_proofs_shut_the_door),
		T(only_the_holder_of_the_key_invites),
		T(who_belongs_to_an_account_does_not_join),
		T(invites_are_counted_and_checked),
		T(certificates_are_renewed_over_a_link),
		T(a_request_reaches_the_other_node),
		T(own_id_is_served_here),
		T(circles_end),
		T(unknown_and_foreign_nodes_are_refused),
		T(strangers_get_nothing_on_either_side),
		T(unreachable_nodes_are_named),
		T(events_stream_through),
		T(a_client_that_leaves_cancels_at_the_other_node),
		T(a_node_that_dies_breaks_the_answer_off),
		T(a_death_that_the_cluster_found_ends_calls),
		T(big_answers_come_whole),
		T(a_slow_client_holds_the_writer_back),
		T(many_requests_at_once_share_a_link),
	};
	cmocka_set_test_filter(getenv("CMOCKA_FILTER")); /* NULL: all */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

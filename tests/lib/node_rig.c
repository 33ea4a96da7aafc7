/* SPDX-License-Identifier: Apache-2.0 */
#include "node_rig.h"

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

#include "base/clock.h"
#include "base/log.h"
#include "cluster/cert.h"
#include "cluster/pair_exchange.h"
#include "io/dial.h"

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
	node->server_stream = stream;
	if (edged_slice_is(alpn, PAIR_PROTOCOL)) {
		*ret_handler = &pairing_handler;
		*ret_self = node->pairing;
		return 0;
	}
	if (!edged_slice_is(alpn, LINK_PROTOCOL))
		return -ENOPROTOOPT;
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
	assert_true(edged_slice_is(alpn, dial->options.alpn));
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
	unsigned port = (unsigned)(strrchr(dial->address, ':')[1] - '0');
	assert_in_range(port, 1, NODES);
	connect_pair(dial, &w->node[w->address_of[port - 1]]);
}

static int fake_dial(struct loop *loop, const struct dial_options *options, struct dial **ret)
{
	struct dial *dial = &dials[the_world->dials++ % ARRAY_LEN(dials)];
	assert_false(dial->alive);
	dial->options = *options;
	dial->alive = true;
	snprintf(dial->address, sizeof(dial->address), "%s", options->addresses[0]);
	deferred_init(&dial->later, dial_now);
	if (the_world->dials != the_world->hold_dial)
		loop_defer(loop, &dial->later);
	*ret = dial;
	return 0;
}

static void fake_cancel(struct dial *dial)
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

static int serve_services(void *self, edged_handle request)
{
	struct node *node = self;
	node->services_asked++;
	return request_reply(node->requests, request, node->services_status, "application/json",
	        edged_str(node->services));
}

static const struct edged_route routes[] = {
	{ "GET", "/edge/v1/services", serve_services, NULL, NULL, 0, 0 },
	{ "*", "/hello/v1/{rest...}", serve_hello, NULL, NULL, 0, 0 },
	{ "*", "/hold", serve_hold, NULL, NULL, 0, 0 },
	{ "GET", "/stream", serve_stream, NULL, NULL, 0, 0 },
	{ "GET", "/big", serve_big, NULL, NULL, 0, 0 },
	{ "GET", "/nearby", serve_hello, NULL, NULL, EDGED_SCOPE_PROXIMITY, 0 },
	{ 0 },
};

/* --- nodes --- */

bool find_node(void *arg, struct edged_slice id, struct node_record *ret, bool *ambiguous)
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

unsigned secure_addresses(void *arg, char (*ret)[64], unsigned max)
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
	(void)peers_account_changed(node->peers);
}

static void judged(void *arg, const char *node_id, bool trusted, struct edged_slice certificate)
{
	const struct node *node = arg;
	peers_judged(node->peers, node_id, trusted, certificate);
}

static void offering(void *arg, struct edged_slice service,
        void (*each)(void *each_arg, const char *node_id, bool there), void *each_arg)
{
	peers_offering(((struct node *)arg)->peers, service, each, each_arg);
}

static bool role_holder(
        void *arg, struct edged_slice service, struct edged_slice path, char ret_id[NODE_ID_LEN + 1])
{
	const struct node *node = arg;
	const struct node *holder = edged_slice_is(service, "hello")   ? node->hello_holder
	                            : edged_slice_is(service, "cache") ? node->cache_holder
	                                                               : NULL;
	(void)path;
	if (!holder)
		return false;
	memcpy(ret_id, identity_node_id(holder->identity), NODE_ID_LEN + 1);
	return true;
}

static bool serves(void *arg, struct edged_slice service)
{
	return ((struct node *)arg)->serves_hello && edged_slice_is(service, "hello");
}

static void make_tls(struct node *node)
{
	static const char *const alpn[] = { LINK_PROTOCOL, PAIR_PROTOCOL, NULL };
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
	const struct links_deps links = { loop, node->requests, node->router, node->tls, find_for_links,
		judged, node, LINKS_LIMITS_DEFAULT, fake_dial, fake_cancel };
	const struct join_deps join = { loop, node->identity, NULL, node->requests, node->router,
		secure_addresses, node, invite_time, JOIN_LIMITS_DEFAULT };
	const struct proxy_deps proxy = { loop, node->identity, NULL, node->requests, node->router, find_node,
		offering, role_holder, serves, node, 5000, 10, 128 * 1024 };
	assert_int_equal(links_new(&links, &node->links), 0);
	const struct peers_deps peers = { loop, node->links, node->identity, 1000 };
	assert_int_equal(peers_new(&peers, &node->peers), 0);
	node->services = "{\"data\":[{\"id\":\"edged-hello\"}]}";
	node->services_status = 200;
	struct join_deps join_deps = join;
	join_deps.links = node->links;
	struct proxy_deps proxy_deps = proxy;
	proxy_deps.links = node->links;
	assert_int_equal(join_new(&join_deps, &node->join, &err), 0);
	const struct pairing_deps pairing = { loop, node->identity, node->join, node->requests, node->router,
		node->tls, find_node, node, invite_time, PAIRING_LIMITS_DEFAULT, fake_dial, fake_cancel };
	assert_int_equal(pairing_new(&pairing, &node->pairing, &err), 0);
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
	const struct request_limits limits = { .open = 100,
		.streams = 50,
		.answer_ms = 30000,
		.stream_mark = 64 * 1024,
		.stream_limit = 256 * 1024,
		.body = 1024 * 1024,
		.bodies = 8 * 1024 * 1024 };
	assert_int_equal(requests_new(&limits, mono, NULL, &node->requests), 0);
	assert_int_equal(router_new(node->requests, &node->router), 0);
	make_services(node);
	identity_on_change(node->identity, identity_changed, node);
}

static void stop_node(struct node *node)
{
	requests_abandon(node->requests, NULL);
	proxy_free(node->proxy);
	if (node->pairing)
		pairing_stop(node->pairing);
	join_free(node->join);
	peers_free(node->peers);
	links_stop(node->links);
}

static void free_node(struct node *node)
{
	links_free(node->links);
	pairing_free(node->pairing);
	router_free(node->router);
	requests_free(node->requests);
	tls_context_free(node->tls);
	identity_free(node->identity);
}

int rig_setup(void **state)
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

static bool no_streams(struct world *w)
{
	(void)w;
	return stream_counts().open == 0;
}

int rig_teardown(void **state)
{
	static const char *const names[] = { "node.pem", "account.json", "ca.pem", "peers", "removed",
		"signer.pem" };
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

void run_until(struct world *w, bool (*until)(struct world *w))
{
	if (!w->poll)
		assert_int_equal(timer_new(w->loop, poll_now, w, &w->poll), 0);
	w->until = until;
	w->give_up = clock_mono_ms() + 5000;
	timer_set(w->poll, 0);
	assert_int_equal(loops_run(w->loops), 0);
	assert_true(until(w));
}

bool turns_over(struct world *w)
{
	return w->turns_left == 0 || --w->turns_left == 0;
}

/* Lets things that should not happen happen. */
void run_a_while(struct world *w)
{
	w->turns_left = 30;
	run_until(w, turns_over);
}

/* --- clients --- */

static void client_head(void *front, int status, const struct header *headers, size_t count, int64_t length)
{
	struct client *client = front;
	client->status = status;
	client->length = length;
	const struct {
		const char *name;
		char *to;
		size_t size;
	} kept[] = { { "Content-Type", client->type, sizeof(client->type) },
		{ "Cache-Status", client->cache_status, sizeof(client->cache_status) },
		{ "edged-node", client->node, sizeof(client->node) } };
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < ARRAY_LEN(kept); k++)
			if (edged_slice_is(headers[i].name, kept[k].name))
				snprintf(kept[k].to, kept[k].size, "%.*s", EDGED_SLICE_FMT(headers[i].value));
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

static const struct request_front client_front = {
	.head = client_head, .body = client_body, .end = client_end
};

struct client *ask_with(struct world *w, unsigned n, unsigned node, const char *method, const char *target,
        struct edged_slice body, const struct header *headers, size_t count, unsigned hops)
{
	struct client *client = &w->client[n];
	buf_fini(&client->body);
	*client = (struct client){ .requests = w->node[node].requests };
	client->peer = (struct edged_peer){ .struct_size = sizeof(struct edged_peer),
		.address = "127.0.0.1:5\"5",
		.uid = -1,
		.loopback = !w->from_afar,
		.tls = w->from_afar,
		.trusted = true };
	const struct request_init init = { .method = edged_str(method),
		.target = edged_str(target),
		.headers = headers,
		.header_count = count,
		.body = body,
		.peer = &client->peer,
		.front = &client_front,
		.front_data = client,
		.hops = hops };
	assert_int_equal(requests_open(client->requests, &init, &client->request), 0);
	router_dispatch(w->node[node].router, client->request);
	return client;
}

struct client *ask(
        struct world *w, unsigned n, unsigned node, const char *method, const char *target, const char *body)
{
	return ask_with(w, n, node, method, target, edged_str(body), NULL, 0, 0);
}

bool first_ended(struct world *w)
{
	return w->client[0].ended;
}

struct client *ask_and_wait(
        struct world *w, unsigned node, const char *method, const char *target, const char *body)
{
	struct client *client = ask(w, 0, node, method, target, body);
	run_until(w, first_ended);
	return client;
}

void assert_problem(const struct client *client, int status, const char *type)
{
	assert_true(client->ended);
	if (client->status != status || !strstr(client->body.ptr, type))
		fail_msg("%d: %s", client->status, client->body.ptr);
}

/* The value of a member of the JSON in the client's body. */
char *member(const struct client *client, const char *name, char *ret, size_t size)
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

void invite(struct world *w, unsigned node, const char *body, char token[TOKEN_TEXT_MAX])
{
	struct client *client = ask(w, 0, node, "POST", "/edge/v1/invites", body);
	assert_true(client->ended);
	if (client->status != 201)
		fail_msg("%d: %s", client->status, client->body.ptr);
	member(client, "token", token, TOKEN_TEXT_MAX);
}

struct client *join(struct world *w, unsigned node, const char *token)
{
	char body[TOKEN_TEXT_MAX + 32];
	snprintf(body, sizeof(body), "{\"token\":\"%s\"}", token);
	return ask_and_wait(w, node, "POST", "/edge/v1/join", body);
}

void join_ok(struct world *w, unsigned inviter, unsigned node)
{
	char token[TOKEN_TEXT_MAX];
	invite(w, inviter, "", token);
	struct client *client = join(w, node, token);
	if (client->status != 200)
		fail_msg("%d: %s", client->status, client->body.ptr);
}

/* --- who a node is, and whom it believes --- */

struct identity *identity_of(const struct world *w, unsigned i)
{
	return w->node[i].identity;
}

const char *id_of(const struct world *w, unsigned i)
{
	return identity_node_id(identity_of(w, i));
}

bool judge(const struct world *w, unsigned who, unsigned whom)
{
	CLEANUP(X509_freep) X509 *certificate = NULL, *issuer = NULL;
	char id[NODE_ID_LEN + 1];
	const char *pem = identity_certificate_pem(identity_of(w, whom));
	assert_int_equal(cert_read_chain(edged_str(pem), &certificate, &issuer), 0);
	return identity_judge(identity_of(w, who), certificate, issuer, id);
}

int take_removed(const struct world *w, unsigned i, unsigned from)
{
	return identity_take_removed(identity_of(w, i), identity_removed_text(identity_of(w, from)));
}

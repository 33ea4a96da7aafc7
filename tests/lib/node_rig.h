/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three nodes in one process, with identity, links, joining and proxy: real TLS over socket pairs; only dialling is a
 * fake, which connects "192.0.2.1:N" to node N - 1. Clients are front ends of the test's own.
 *
 * Each node serves /hello/v1/..., /hold (answers when the test does), /stream, /big, /nearby (for any node) and
 * /edge/v1/services.
 */
#ifndef TESTS_NODE_RIG_H
#define TESTS_NODE_RIG_H

#include "base/buf.h"
#include "cluster/identity.h"
#include "cluster/join.h"
#include "cluster/link.h"
#include "cluster/pairing.h"
#include "cluster/peers.h"
#include "cluster/proxy.h"
#include "cluster/removal.h"
#include "cluster/token.h"
#include "io/loop.h"
#include "io/tls.h"

enum { NODES = 3 };

/* A client of a node: the front end of one request. */
struct client {
	edged_handle request;
	struct requests *requests;
	struct edged_peer peer;
	int status;
	int64_t length;
	char type[64], caller[512], cache_status[64], node[64];
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
	struct peers *peers;
	struct join *join;
	struct pairing *pairing;
	struct proxy *proxy;
	struct edged_stream *server_stream; /* the latest that it accepted */
	const char *services;               /* what it answers to GET /edge/v1/services */
	int services_status;
	unsigned services_asked;
	bool serves_hello;               /* /any/hello is for itself */
	const struct node *hello_holder; /* holds a role of that name */
	const struct node *cache_holder;
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
	bool from_afar; /* clients come over TLS and have shown the access key */
	bool refuse_dial;
	unsigned hold_dial;    /* the number of the one that nobody answers; 0: none */
	int address_of[NODES]; /* who answers at "node:N" */
	unsigned turns_left;
	uint64_t ms; /* added to the clock of invites and pairing codes */
	bool (*until)(struct world *w);
	struct timer *poll;
	uint64_t give_up;
};

/* cmocka's set-up and tear-down; *state is the world. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* Runs the loop until `until` says so; fails after a while. */
void run_until(struct world *w, bool (*until)(struct world *w));
bool first_ended(struct world *w); /* the request of client 0 is over */
/* Lets things that should not happen happen. */
void run_a_while(struct world *w);
bool turns_over(struct world *w); /* counts w->turns_left down */

/* Client n asks a node. */
struct client *ask_with(struct world *w, unsigned n, unsigned node, const char *method, const char *target,
        struct edged_slice body, const struct header *headers, size_t count, unsigned hops);
struct client *ask(
        struct world *w, unsigned n, unsigned node, const char *method, const char *target, const char *body);
/* Client 0, until it is answered. */
struct client *ask_and_wait(
        struct world *w, unsigned node, const char *method, const char *target, const char *body);
void assert_problem(const struct client *client, int status, const char *type);
/* The value of a text member of the JSON in the client's body. */
char *member(const struct client *client, const char *name, char *ret, size_t size);

/* What the nodes give to links, proxy and joining. */
bool find_node(void *arg, struct edged_slice id, struct node_record *ret, bool *ambiguous);
unsigned secure_addresses(void *arg, char (*ret)[64], unsigned max);

/* Node `node` joins by that token; the token of an invite; both with success. */
struct client *join(struct world *w, unsigned node, const char *token);
void invite(struct world *w, unsigned node, const char *body, char token[TOKEN_TEXT_MAX]);
void join_ok(struct world *w, unsigned inviter, unsigned node);

/* --- who a node is, and whom it believes --- */
struct identity *identity_of(const struct world *world, unsigned node);
const char *id_of(const struct world *world, unsigned node);
/* Does `who` believe the chain of certificates that `whom` shows? */
bool judge(const struct world *world, unsigned who, unsigned whom);
/* The node gets the list of removed nodes that `from` has: as identity_take_removed(). */
int take_removed(const struct world *world, unsigned node, unsigned from);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/peers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <jansson.h>
#include "base/list.h"
#include "base/map.h"
#include "cluster/cert.h"
#include "cluster/identity.h"
#include "cluster/link.h"
#include "cluster/trust.h"
#include "io/loop.h"

enum {
	SPREAD_MS = 10,        /* for each peer: not all ask at once */
	WAKE_MAX_MS = 3600000, /* wall clocks jump: look again after an hour at the latest */
};

struct peers {
	struct peers_deps deps;
	struct list all;
	struct map by_id;
	struct timer *timer;
	char account[NODE_ID_LEN + 1];
	size_t bytes;
	unsigned asking;
	struct peers_counts counts;
};

struct peer {
	struct list node;
	struct peers *peers;
	char id[NODE_ID_LEN + 1];
	bool present, kin;     /* kin: it says that it is of our account */
	uint64_t proven_until; /* wall clock, of the certificate; 0: not proven */
	uint64_t judged_ms;    /* when it was, by identity_mono() */
	uint64_t wanted;       /* hash of its services, as it tells */
	uint64_t asked;        /* the same, when it was asked */
	uint64_t has;          /* of those kept here */
	bool fetched;          /* `has` holds */
	char *services;        /* JSON array; NULL: none kept */
	size_t len;
	struct buf names;       /* of them */
	struct link_call *call; /* NULL: it is not being asked */
	int status;             /* of its answer */
	struct buf answer;
	unsigned failures; /* in a row */
	uint64_t due_ms;   /* loop time, when it may be asked */
};

static uint64_t now_of(const struct peers *peers)
{
	return loop_now(peers->deps.loop);
}

/* --- the table --- */

static struct peer *find(const struct peers *peers, const char *node_id)
{
	return map_get(&peers->by_id, edged_str(node_id));
}

static void drop_services(struct peer *peer)
{
	peer->peers->bytes -= peer->len;
	free(TAKE(peer->services));
	buf_fini(&peer->names);
	peer->len = 0;
	peer->fetched = false;
}

static void stop_asking(struct peer *peer)
{
	if (!peer->call)
		return;
	link_call_cancel(TAKE(peer->call));
	peer->peers->asking--;
}

static void peer_free(struct peer *peer)
{
	stop_asking(peer);
	drop_services(peer);
	buf_fini(&peer->answer);
	(void)map_remove(&peer->peers->by_id, edged_str(peer->id));
	list_remove(&peer->node);
	free(peer);
}

/* NULL: as many as there may be, or no memory. */
static struct peer *add(struct peers *peers, const char *node_id)
{
	struct peer *peer = peers->by_id.count < PEERS_MAX ? calloc(1, sizeof(*peer)) : NULL;
	if (!peer || map_add(&peers->by_id, edged_str(node_id), peer)) {
		free(peer);
		peers->counts.refused++;
		return NULL;
	}
	peer->peers = peers;
	snprintf(peer->id, sizeof(peer->id), "%s", node_id);
	buf_init(&peer->answer, PEERS_LIST);
	list_append(&peers->all, &peer->node);
	return peer;
}

/* --- names of services --- */

static int add_name(struct buf *ret, const char *name, size_t n)
{
	if (n == 0 || memchr(name, '\n', n))
		return 0;
	int r = ret->len ? 0 : buf_add_str(ret, "\n");
	if (!r)
		r = buf_add(ret, name, n);
	return r ? r : buf_add_str(ret, "\n");
}

int services_names(struct edged_slice list, struct buf *ret)
{
	size_t i;
	const json_t *service;
	json_t *json = json_loadb(list.ptr ? list.ptr : "", list.len, 0, NULL);
	int r = 0;
	json_array_foreach(json, i, service)
	{
		const char *name = json_string_value(json_object_get(service, "name")),
		           *path = json_string_value(json_object_get(service, "self"));
		if (name && !r)
			r = add_name(ret, name, strlen(name));
		if (path && path[0] == '/' && !r)
			r = add_name(ret, path + 1, strcspn(path + 1, "/"));
	}
	json_decref(json);
	return r;
}

bool services_offered(struct edged_slice names, struct edged_slice service)
{
	const char *at = names.ptr, *end = at + names.len;
	while (service.len && at && (size_t)(end - at) >= service.len + 2) {
		if (at[0] == '\n' && at[service.len + 1] == '\n' && !memcmp(at + 1, service.ptr, service.len))
			return true;
		at = memchr(at + 1, '\n', (size_t)(end - at) - 1);
	}
	return false;
}

/* --- the answer --- */

/* Keeps what the answer lists, in a form of our own: nobody's text gets into our documents unread. */
static void keep_services(struct peer *peer)
{
	struct peers *peers = peer->peers;
	json_t *json = json_loadb(peer->answer.ptr ? peer->answer.ptr : "", peer->answer.len, 0, NULL);
	const json_t *list = json_object_get(json, "data");
	char *text = json_is_array(list) ? json_dumps(list, JSON_COMPACT) : NULL;
	json_decref(json);
	drop_services(peer);
	size_t len = text ? strlen(text) : 0;
	if (!text || peers->bytes + len > peers->deps.bytes) {
		peers->counts.refused++;
		free(text);
	} else {
		peer->services = text;
		peer->len = len;
		peers->bytes += len;
		if (services_names(edged_slice(text, len), &peer->names))
			buf_fini(&peer->names); /* no memory: it is not chosen for them */
	}
	peer->has = peer->asked;
	peer->fetched = true;
}

static void schedule(struct peers *peers);

static void on_head(void *arg, const struct link_message *answer)
{
	struct peer *peer = arg;
	peer->status = answer->status;
}

static void on_data(void *arg, struct edged_slice bytes)
{
	struct peer *peer = arg;
	/* What is too long cannot be read below: the limit of the buffer is enough. */
	(void)buf_add(&peer->answer, bytes.ptr, bytes.len);
	link_call_consume(peer->call, bytes.len);
}

static bool proof_is_stale(const struct peer *peer)
{
	return identity_time(peer->peers->deps.identity) > peer->proven_until;
}

static void retry_later(struct peer *peer)
{
	uint64_t wait = (uint64_t)PEERS_RETRY_MS << (peer->failures < 16 ? peer->failures : 16);
	peer->failures++;
	peer->peers->counts.failures++;
	peer->due_ms = now_of(peer->peers) + (wait < PEERS_RETRY_MAX ? wait : PEERS_RETRY_MAX);
}

static void on_end(void *arg, const struct link_failure *failure)
{
	struct peer *peer = arg;
	peer->call = NULL;
	peer->peers->asking--;
	if (failure || peer->status >= 500) {
		retry_later(peer);
	} else {
		peer->failures = 0;
		keep_services(peer);
		/* believed beyond its end: it will have a new one when it reaches who signs them */
		peer->due_ms = proof_is_stale(peer) ? now_of(peer->peers) + WAKE_MAX_MS : 0;
	}
	buf_fini(&peer->answer);
	schedule(peer->peers);
}

/* --- asking --- */

static bool ask(struct peer *peer)
{
	static const struct link_reply reply = { .head = on_head, .data = on_data, .end = on_end };
	struct peers *peers = peer->peers;
	struct link_failure failure;
	const struct link_request request = {
		.node_id = peer->id,
		.send = { .method = edged_str("GET"),
		        .target = edged_str("/edge/v1/services"),
		        .authority = edged_str(peer->id) },
		.answer_ms = PEERS_ANSWER_MS,
		.reply = &reply,
		.arg = peer,
		.brief = true,
	};
	peer->asked = peer->wanted;
	peer->status = 0;
	peers->counts.questions++;
	if (links_request(peers->deps.links, &request, &peer->call, &failure)) {
		retry_later(peer);
		return false;
	}
	peers->asking++;
	return true;
}

static bool wants_asking(const struct peer *peer)
{
	return peer->present && peer->kin && !peer->call &&
	       (!peer->fetched || peer->has != peer->wanted || proof_is_stale(peer));
}

/* When to look at it again, should nothing happen; UINT64_MAX: never. */
static uint64_t next_look(const struct peer *peer)
{
	if (!peer->present || !peer->kin || peer->call)
		return UINT64_MAX;
	if (wants_asking(peer))
		return peer->due_ms;
	uint64_t rest = peer->proven_until - identity_time(peer->peers->deps.identity);
	return now_of(peer->peers) + (rest < WAKE_MAX_MS ? rest + 1 : WAKE_MAX_MS);
}

/* Asks those that are due, and sets the timer for the next. */
static void schedule(struct peers *peers)
{
	uint64_t now = now_of(peers), next = UINT64_MAX;
	list_each (node, &peers->all) {
		struct peer *peer = list_entry(node, struct peer, node);
		if (peers->asking < PEERS_ASKED && wants_asking(peer) && peer->due_ms <= now)
			(void)ask(peer);
		/* one that waits for its turn is looked at when another one ends */
		uint64_t at = next_look(peer);
		if (at > now && at < next)
			next = at;
	}
	if (next == UINT64_MAX)
		timer_cancel(peers->timer);
	else
		timer_set(peers->timer, next - now);
}

static void on_timer(void *arg)
{
	schedule(arg);
}

/* --- what is heard of them --- */

/* Where many nodes hear of one change at once, they ask one after the other. */
static uint64_t spread(const struct peers *peers)
{
	uint32_t number = 0;
	if (peers->by_id.count < 2 || getrandom(&number, sizeof(number), GRND_NONBLOCK) < 0)
		return 0;
	return number % (SPREAD_MS * peers->by_id.count);
}

void peers_seen(struct peers *peers, const char *node_id, const char *account, uint64_t services)
{
	struct peer *peer = find(peers, node_id);
	bool kin = *account && strcmp(account, peers->account) == 0;
	if (!peer && (!kin || !(peer = add(peers, node_id))))
		return;
	if (!peer->present || peer->kin != kin || peer->wanted != services) {
		peer->failures = 0;
		peer->due_ms = now_of(peers) + spread(peers);
	}
	peer->present = true;
	peer->kin = kin;
	peer->wanted = services;
	schedule(peers);
}

void peers_gone(struct peers *peers, const char *node_id)
{
	struct peer *peer = find(peers, node_id);
	if (!peer)
		return;
	stop_asking(peer);
	peer->present = false;
	schedule(peers);
}

void peers_forget(struct peers *peers, const char *node_id)
{
	struct peer *peer = find(peers, node_id);
	if (peer)
		peer_free(peer);
	schedule(peers);
}

void peers_judged(struct peers *peers, const char *node_id, bool trusted, struct edged_slice certificate)
{
	CLEANUP(X509_freep) X509 *read = NULL;
	struct peer *peer = find(peers, node_id);
	if (!trusted || cert_read_der(certificate, &read)) {
		if (peer)
			peer->proven_until = 0;
		return;
	}
	if (!peer)
		peer = add(peers, node_id);
	if (!peer)
		return;
	peer->proven_until = cert_until(read);
	peer->judged_ms = identity_mono(peers->deps.identity);
}

/* Our own certificate is a new one: perhaps others have one, too, and they shall see ours. */
static void ask_stale(struct peers *peers)
{
	list_each (node, &peers->all) {
		struct peer *peer = list_entry(node, struct peer, node);
		if (peer->present && peer->kin && proof_is_stale(peer))
			peer->due_ms = now_of(peers) + spread(peers);
	}
	schedule(peers);
}

bool peers_account_changed(struct peers *peers)
{
	const char *account = identity_account_id(peers->deps.identity);
	if (strcmp(account, peers->account) == 0) {
		ask_stale(peers);
		return false;
	}
	snprintf(peers->account, sizeof(peers->account), "%s", account);
	list_each_safe (node, &peers->all)
		peer_free(list_entry(node, struct peer, node));
	return true;
}

/* --- what is known --- */

/* As the certificates of known nodes are judged: a while beyond the end, and as long after the clock was set. */
bool peers_trusted(const struct peers *peers, const char *node_id)
{
	const struct peer *peer = find(peers, node_id);
	struct identity *identity = peers->deps.identity;
	return peer && peer->kin && peer->proven_until &&
	       (identity_time(identity) <= peer->proven_until + TRUST_GRACE_MS ||
	               identity_mono(identity) - peer->judged_ms <= TRUST_GRACE_MS);
}

struct edged_slice peers_services(const struct peers *peers, const char *node_id)
{
	const struct peer *peer = find(peers, node_id);
	bool known = peer && peer->services && peers_trusted(peers, node_id);
	return known ? edged_slice(peer->services, peer->len) : edged_slice(NULL, 0);
}

void peers_each(
        const struct peers *peers, void (*each)(void *arg, const char *node_id, bool there), void *arg)
{
	list_each (node, &peers->all) {
		const struct peer *peer = list_entry(node, struct peer, node);
		if (peers_trusted(peers, peer->id))
			each(arg, peer->id, peer->present);
	}
}

void peers_offering(const struct peers *peers, struct edged_slice service,
        void (*each)(void *arg, const char *node_id, bool there), void *arg)
{
	list_each (node, &peers->all) {
		const struct peer *peer = list_entry(node, struct peer, node);
		if (services_offered(buf_slice(&peer->names), service) && peers_trusted(peers, peer->id))
			each(arg, peer->id, peer->present);
	}
}

struct peers_counts peers_counts(const struct peers *peers)
{
	struct peers_counts counts = peers->counts;
	counts.known = peers->by_id.count;
	counts.asked = peers->asking;
	counts.bytes = peers->bytes;
	list_each (node, &peers->all)
		counts.proven += peers_trusted(peers, list_entry(node, struct peer, node)->id);
	return counts;
}

/* --- life --- */

int peers_new(const struct peers_deps *deps, struct peers **ret)
{
	struct peers *peers = calloc(1, sizeof(*peers));
	if (!peers || timer_new(deps->loop, on_timer, peers, &peers->timer)) {
		free(peers);
		return -ENOMEM;
	}
	peers->deps = *deps;
	list_init(&peers->all);
	map_init(&peers->by_id);
	snprintf(peers->account, sizeof(peers->account), "%s", identity_account_id(deps->identity));
	*ret = peers;
	return 0;
}

void peers_free(struct peers *peers)
{
	if (!peers)
		return;
	list_each_safe (node, &peers->all)
		peer_free(list_entry(node, struct peer, node));
	map_fini(&peers->by_id);
	timer_free(peers->timer);
	free(peers);
}

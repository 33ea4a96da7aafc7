/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cluster/cluster.h"
#include "cluster/elsewhere.h"
#include "cluster/identity.h"
#include "cluster/join.h"
#include "cluster/link.h"
#include "cluster/nodes.h"
#include "cluster/pair_exchange.h"
#include "cluster/pairing.h"
#include "cluster/peers.h"
#include "cluster/proxy.h"
#include "cluster/removals.h"
#include "cluster/signers.h"
#include "conf/conf.h"
#include "events.h"
#include "io/dial.h"
#include "io/listener.h"
#include "io/stream.h"
#include "io/tls.h"
#include "state.h"

#define MESSAGES_PROTOCOL "edged-mesh/1" /* of the plugin mesh */

enum { SEEDS = 64, INTERFACES = 32 };

struct mesh {
	struct mesh_deps deps;
	struct identity *identity;
	struct tls_context *serving, *dialling;
	struct mesh_parts parts;
	const char *seeds[SEEDS + 1], *interfaces[INTERFACES + 1];
	char *folder;            /* of the cluster */
	struct buf services;     /* names of this node's */
	struct deferred granted; /* once the grants of one message have all been taken */
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* --- identity and TLS ------------------------------------------------------------------------------------------------- */

static void replace_certificate(struct mesh *mesh, struct tls_context *tls)
{
	struct err err = { "" };
	if (tls_context_replace(
	            tls, identity_certificate_pem(mesh->identity), identity_key_pem(mesh->identity), &err))
		log_error("cluster", "the new certificate is not in use: %s", err.text);
}

static void see_member(struct mesh *mesh, const struct member *member)
{
	char id[NODE_ID_LEN + 1];
	node_id_format(member->id, id);
	peers_seen(mesh->parts.peers, id, member->record.account, member->record.services);
}

/* Called at the earliest when a request is served: all is there. */
static void identity_changed(void *arg)
{
	struct mesh *mesh = arg;
	const struct members *members = swarm_members(cluster_swarm(mesh->parts.cluster));
	const struct member *m;
	replace_certificate(mesh, mesh->serving);
	replace_certificate(mesh, mesh->dialling);
	links_reset(mesh->parts.links);
	cluster_refresh(mesh->parts.cluster);
	if (peers_account_changed(mesh->parts.peers))
		for (unsigned i = 0; (m = members_at(members, i)); i++)
			if (member_is_live(m))
				see_member(mesh, m);
	cluster_kin_changed(mesh->parts.cluster);
	mesh->deps.peers_changed(mesh->deps.arg);
	removals_look(mesh->parts.removals);
	events_emit(mesh->deps.events, "identityChanged", edged_str("{}"));
}

static int make_tls(struct mesh *mesh, struct err *err)
{
	static const char *const serving[] = { LINK_PROTOCOL, MESSAGES_PROTOCOL, PAIR_PROTOCOL,
		"x-amzn-mqtt-ca", "mqtt", "x-amzn-http-ca", "http/1.1", NULL };
	static const char *const dialling[] = { LINK_PROTOCOL, NULL };
	const char *oldest = conf_string(mesh->deps.conf, "tls.min_version");
	struct tls_options options = {
		.certificate_pem = identity_certificate_pem(mesh->identity),
		.key_pem = identity_key_pem(mesh->identity),
		.alpn = serving,
		.min_version = strcmp(oldest, "1.3") == 0 ? 0x0304 : 0x0303,
		.judge = identity_judge,
		.judge_arg = mesh->identity,
	};
	int r = tls_context_new(&options, &mesh->serving, err);
	options.alpn = dialling;
	options.min_version = 0x0304;
	return r ? r : tls_context_new(&options, &mesh->dialling, err);
}

static int make_identity(struct mesh *mesh, struct err *err)
{
	CLEANUP(free_charp) char *folder = state_path(mesh->deps.state, "identity");
	int r = folder ? identity_open(folder, &mesh->identity, err) : -ENOMEM;
	if (!r)
		r = make_tls(mesh, err);
	if (!r)
		identity_on_change(mesh->identity, identity_changed, mesh);
	return r;
}

/* --- the cluster --------------------------------------------------------------------------------------------------------- */

static int services(void *arg, struct buf *out)
{
	struct mesh *mesh = arg;
	return mesh->deps.services(mesh->deps.arg, out);
}

static void happened(void *arg, const char *type, struct edged_slice json)
{
	struct mesh *mesh = arg;
	log_info("cluster", "%s %.*s", type, EDGED_SLICE_FMT(json));
	events_emit(mesh->deps.events, type, json);
	if (strcmp(type, "roleGranted") == 0)
		loop_defer(loops_at(mesh->deps.loops, 0), &mesh->granted);
}

static void tell_granted(struct deferred *deferred)
{
	const struct mesh *mesh = CONTAINER_OF(deferred, struct mesh, granted);
	mesh->deps.peers_changed(mesh->deps.arg);
}

static unsigned secure_addresses(void *arg, char (*ret)[64], unsigned max)
{
	const struct mesh *mesh = arg;
	struct listener_info info;
	unsigned n = 0;
	for (unsigned i = 0; n < max && listeners_info(mesh->deps.listeners, i, &info); i++)
		if (strcmp(info.protocol, "tls") == 0 && strlen(info.address) < sizeof(*ret))
			memcpy(ret[n++], info.address, strlen(info.address) + 1);
	return n;
}

static bool trusted(void *arg, const char *node_id)
{
	const struct mesh *mesh = arg;
	return peers_trusted(mesh->parts.peers, node_id);
}

static struct edged_slice services_of(void *arg, const char *node_id)
{
	const struct mesh *mesh = arg;
	return peers_services(mesh->parts.peers, node_id);
}

static void on_member(void *arg, enum swarm_event_type what, const struct member *m)
{
	struct mesh *mesh = arg;
	char id[NODE_ID_LEN + 1];
	node_id_format(m->id, id);
	if (what == SWARM_LEFT) {
		links_drop(mesh->parts.links, id,
		        m->state == MEMBER_LEFT ? "it has left the cluster"
		                                : "the cluster found that it does not answer any more");
		peers_gone(mesh->parts.peers, id);
	} else if (what == SWARM_FORGOTTEN) {
		peers_forget(mesh->parts.peers, id);
	} else {
		see_member(mesh, m);
		removals_look(mesh->parts.removals);
	}
	mesh->deps.peers_changed(mesh->deps.arg);
}

static int make_cluster(struct mesh *mesh, struct err *err)
{
	const struct conf *conf = mesh->deps.conf;
	mesh->folder = state_path(mesh->deps.state, "cluster");
	if (!mesh->folder)
		return -ENOMEM;
	for (size_t i = 0; i < SEEDS && conf_strings(conf, "cluster.seeds", i); i++)
		mesh->seeds[i] = conf_strings(conf, "cluster.seeds", i);
	for (size_t i = 0; i < INTERFACES && conf_strings(conf, "cluster.interfaces", i); i++)
		mesh->interfaces[i] = conf_strings(conf, "cluster.interfaces", i);
	struct cluster_options options = cluster_defaults();
	options.enabled = conf_bool(conf, "cluster.enabled");
	options.mdns = strcmp(conf_string(conf, "cluster.discovery"), "mdns") == 0;
	options.name = conf_string(conf, "cluster.name");
	options.seeds = mesh->seeds;
	options.interfaces = mesh->interfaces;
	options.eligible = conf_bool(conf, "cluster.eligible");
	options.pin = (uint8_t)conf_int(conf, "cluster.pin");
	options.swarm.members.probe_ms = (uint32_t)conf_int(conf, "cluster.probe");
	options.swarm.members.suspicion_ms = (uint32_t)conf_int(conf, "cluster.suspicion");
	options.swarm.members.max = (uint16_t)conf_int(conf, "cluster.max_members");
	options.swarm.election.lease_ms = (uint32_t)conf_int(conf, "cluster.lease");
	options.swarm.election.beacon_ms =
	        options.swarm.election.lease_ms * 2 / 7; /* three in a lease, and time to spare */
	const struct cluster_deps deps = {
		.loop = loops_at(mesh->deps.loops, 0),
		.identity = mesh->identity,
		.requests = mesh->deps.requests,
		.router = mesh->deps.router,
		.folder = mesh->folder,
		.arg = mesh,
		.secure_addresses = secure_addresses,
		.services = services,
		.trusted = trusted,
		.services_of = services_of,
		.member = on_member,
		.event = happened,
	};
	return cluster_new(&deps, &options, &mesh->parts.cluster, err);
}

/* --- links and joining ----------------------------------------------------------------------------------------------------- */

static bool find(void *arg, struct edged_slice id, struct node_record *ret)
{
	const struct mesh *mesh = arg;
	return cluster_find(mesh->parts.cluster, id, ret, NULL);
}

static void judged(void *arg, const char *node_id, bool is_trusted, struct edged_slice certificate)
{
	const struct mesh *mesh = arg;
	bool before = peers_trusted(mesh->parts.peers, node_id);
	peers_judged(mesh->parts.peers, node_id, is_trusted, certificate);
	if (peers_trusted(mesh->parts.peers, node_id) == before)
		return;
	cluster_kin_changed(mesh->parts.cluster);
	mesh->deps.peers_changed(mesh->deps.arg);
}

static struct links_limits link_limits(const struct conf *conf)
{
	struct links_limits limits = LINKS_LIMITS_DEFAULT;
	limits.link.streams += (uint32_t)conf_int(conf, "cluster.websockets");
	limits.link.window = (uint32_t)conf_int(conf, "cluster.link_window");
	limits.request_ms = (uint64_t)conf_int(conf, "http.body_time");
	limits.dialled = limits.served = (unsigned)conf_int(conf, "cluster.links");
	limits.calls = (unsigned)conf_int(conf, "cluster.link_requests");
	limits.dial_ms = (uint64_t)conf_int(conf, "cluster.link_dial");
	limits.idle_ms = (uint64_t)conf_int(conf, "cluster.link_idle");
	return limits;
}

static int make_links(struct mesh *mesh, struct err *err)
{
	const struct conf *conf = mesh->deps.conf;
	const struct links_deps deps = {
		.loop = loops_at(mesh->deps.loops, 0),
		.requests = mesh->deps.requests,
		.router = mesh->deps.router,
		.tls = mesh->dialling,
		.find = find,
		.judged = judged,
		.arg = mesh,
		.limits = link_limits(conf),
	};
	int r = links_new(&deps, &mesh->parts.links);
	const struct peers_deps peers = { deps.loop, mesh->parts.links, mesh->identity,
		(size_t)conf_int(conf, "cluster.services") };
	if (!r)
		r = peers_new(&peers, &mesh->parts.peers);
	if (!r)
		r = listeners_serve(mesh->deps.listeners, LINK_PROTOCOL, links_handler(),
		        links_server(mesh->parts.links));
	if (r)
		return r;
	const struct join_deps join = {
		.loop = deps.loop,
		.identity = mesh->identity,
		.links = mesh->parts.links,
		.requests = deps.requests,
		.router = deps.router,
		.secure_addresses = secure_addresses,
		.arg = mesh,
		.limits = { (uint64_t)conf_int(conf, "cluster.invite_life") / 1000,
		        (unsigned)conf_int(conf, "cluster.join_tries"),
		        (uint64_t)conf_int(conf, "cluster.join_penalty") },
	};
	return join_new(&join, &mesh->parts.join, err);
}

static bool find_any(void *arg, struct edged_slice id, struct node_record *ret, bool *ret_ambiguous)
{
	const struct mesh *mesh = arg;
	return cluster_find(mesh->parts.cluster, id, ret, ret_ambiguous);
}

static int make_pairing(struct mesh *mesh, struct err *err)
{
	const struct conf *conf = mesh->deps.conf;
	const struct pairing_deps deps = {
		.loop = loops_at(mesh->deps.loops, 0),
		.identity = mesh->identity,
		.join = mesh->parts.join,
		.requests = mesh->deps.requests,
		.router = mesh->deps.router,
		.tls = mesh->dialling,
		.find = find_any,
		.arg = mesh,
		.limits = { (uint64_t)conf_int(conf, "cluster.pairing_life"),
		        (unsigned)conf_int(conf, "cluster.pairing_tries"),
		        (uint64_t)conf_int(conf, "cluster.pairing_gap") },
	};
	int r = pairing_new(&deps, &mesh->parts.pairing, err);
	return r ? r
	         : listeners_serve(
	                   mesh->deps.listeners, PAIR_PROTOCOL, &pairing_handler, mesh->parts.pairing);
}

/* --- removing ------------------------------------------------------------------------------------------------------------- */

static bool newer_removals(void *arg, uint64_t above, const char *but, char ret_id[NODE_ID_LEN + 1])
{
	const struct mesh *mesh = arg;
	return cluster_newer_removals(mesh->parts.cluster, above, but, ret_id);
}

static void node_removed(void *arg, const char *node_id)
{
	struct mesh *mesh = arg;
	CLEANUP(buf_fini) struct buf json = BUF_EMPTY;
	uint8_t id[32];
	if (!node_id_parse(edged_str(node_id), id))
		return;
	cluster_expel(mesh->parts.cluster, id);
	links_drop(mesh->parts.links, node_id, "it was removed from the account");
	peers_forget(mesh->parts.peers, node_id);
	streams_end_node(mesh->deps.loops, node_id);
	if (!buf_addf(&json, "{\"id\":\"%s\"}", node_id))
		happened(mesh, "nodeRemoved", buf_slice(&json));
}

static void removals_changed(void *arg)
{
	struct mesh *mesh = arg;
	cluster_refresh(mesh->parts.cluster);
	signers_look(mesh->parts.signers);
	join_look(mesh->parts.join);
}

static int make_removals(struct mesh *mesh, struct err *err)
{
	const struct removals_deps deps = {
		.loop = loops_at(mesh->deps.loops, 0),
		.identity = mesh->identity,
		.links = mesh->parts.links,
		.requests = mesh->deps.requests,
		.router = mesh->deps.router,
		.find = find_any,
		.source = newer_removals,
		.removed = node_removed,
		.changed = removals_changed,
		.arg = mesh,
	};
	int r = removals_new(&deps, &mesh->parts.removals, err);
	const struct signers_deps signers = { deps.loop, deps.identity, deps.links, deps.requests,
		deps.router, find_any, mesh };
	return r ? r : signers_new(&signers, &mesh->parts.signers, err);
}

static void offering(void *arg, struct edged_slice service,
        void (*each)(void *each_arg, const char *node_id, bool there), void *each_arg)
{
	const struct mesh *mesh = arg;
	peers_offering(mesh->parts.peers, service, each, each_arg);
}

static void note_services(struct mesh *mesh)
{
	CLEANUP(buf_fini) struct buf list = BUF_EMPTY;
	buf_clear(&mesh->services);
	if (services(mesh, &list) || services_names(buf_slice(&list), &mesh->services))
		log_warning("cluster",
		        "no memory for the names of services: /any does not find those of this node");
}

static bool serves(void *arg, struct edged_slice service)
{
	const struct mesh *mesh = arg;
	return services_offered(buf_slice(&mesh->services), service);
}

struct offer {
	const char *node_id;
	bool found;
};

static void is_it(void *arg, const char *node_id, bool there)
{
	struct offer *offer = arg;
	offer->found |= there && strcmp(node_id, offer->node_id) == 0;
}

static bool holder(
        void *arg, struct edged_slice service, struct edged_slice path, char ret_id[NODE_ID_LEN + 1])
{
	const struct mesh *mesh = arg;
	struct offer offer = { ret_id, false };
	if (!cluster_role_holder(mesh->parts.cluster, service, path, ret_id))
		return false;
	if (strcmp(ret_id, identity_node_id(mesh->identity)) == 0)
		return serves(arg, service);
	peers_offering(mesh->parts.peers, service, is_it, &offer);
	return offer.found;
}

static int make_proxy(struct mesh *mesh, struct err *err)
{
	const struct proxy_deps deps = {
		.loop = loops_at(mesh->deps.loops, 0),
		.identity = mesh->identity,
		.links = mesh->parts.links,
		.requests = mesh->deps.requests,
		.router = mesh->deps.router,
		.find = find_any,
		.offering = offering,
		.holder = holder,
		.serves = serves,
		.arg = mesh,
		/* before this node's own time is over: its answer names the node that is late */
		.answer_ms = (uint64_t)conf_int(mesh->deps.conf, "http.answer_time") * 3 / 4,
		.tunnels = (unsigned)conf_int(mesh->deps.conf, "cluster.websockets"),
		.window = (size_t)conf_int(mesh->deps.conf, "cluster.link_window"),
	};
	int r = proxy_new(&deps, &mesh->parts.proxy, err);
	const struct elsewhere_deps elsewhere = { deps.loop, deps.links, deps.requests, mesh->parts.proxy,
		offering, mesh };
	return r ? r : elsewhere_new(&elsewhere, &mesh->parts.elsewhere);
}

/* --- life ------------------------------------------------------------------------------------------------------------------------ */

int mesh_new(const struct mesh_deps *deps, struct mesh **ret, struct err *err)
{
	struct mesh *mesh = calloc(1, sizeof(*mesh));
	if (!mesh)
		return -ENOMEM;
	mesh->deps = *deps;
	deferred_init(&mesh->granted, tell_granted);
	int r = make_identity(mesh, err);
	if (!r)
		r = make_cluster(mesh, err);
	if (!r)
		r = make_links(mesh, err);
	if (!r)
		r = make_pairing(mesh, err);
	if (!r)
		r = make_removals(mesh, err);
	if (!r)
		r = make_proxy(mesh, err);
	if (r) {
		mesh_free(mesh);
		return r;
	}
	*ret = mesh;
	return 0;
}

int mesh_start(struct mesh *mesh, struct err *err)
{
	note_services(mesh);
	return cluster_start(mesh->parts.cluster, err);
}

static void left(void *arg)
{
	struct mesh *mesh = arg;
	links_stop(mesh->parts.links);
	pairing_stop(mesh->parts.pairing);
	mesh->stopped(mesh->stopped_arg);
}

void mesh_stop(struct mesh *mesh, void (*done)(void *arg), void *arg)
{
	mesh->stopped = done;
	mesh->stopped_arg = arg;
	cluster_leave(mesh->parts.cluster, left, mesh);
}

void mesh_free(struct mesh *mesh)
{
	if (!mesh)
		return;
	deferred_cancel(&mesh->granted);
	elsewhere_free(mesh->parts.elsewhere);
	proxy_free(mesh->parts.proxy);
	signers_free(mesh->parts.signers);
	removals_free(mesh->parts.removals);
	pairing_free(mesh->parts.pairing);
	join_free(mesh->parts.join);
	peers_free(mesh->parts.peers);
	links_free(mesh->parts.links);
	cluster_free(mesh->parts.cluster);
	tls_context_free(mesh->dialling);
	tls_context_free(mesh->serving);
	identity_free(mesh->identity);
	free(mesh->folder);
	buf_fini(&mesh->services);
	free(mesh);
}

const struct mesh_parts *mesh_parts(const struct mesh *mesh)
{
	return &mesh->parts;
}

const struct identity *mesh_identity(const struct mesh *mesh)
{
	return mesh->identity;
}

struct tls_context *mesh_tls(const struct mesh *mesh)
{
	return mesh->serving;
}

void mesh_peers(const struct mesh *mesh, void (*each)(void *arg, const char *node_id, bool there), void *arg)
{
	peers_each(mesh->parts.peers, each, arg);
}

int mesh_dial(const struct mesh *mesh, const char *node_id, struct dial_options *options, struct dial **ret)
{
	struct node_record record;
	const char *addresses[ARRAY_LEN(record.addresses) + 1] = { NULL };
	if (!cluster_find(mesh->parts.cluster, edged_str(node_id), &record, NULL))
		return -ENOENT;
	for (size_t i = 0; i < ARRAY_LEN(record.addresses) && record.addresses[i][0]; i++)
		addresses[i] = record.addresses[i];
	if (!addresses[0])
		return -EHOSTUNREACH;
	options->addresses = addresses;
	options->tls = mesh->dialling;
	return dial_start(loops_at(mesh->deps.loops, 0), options, ret);
}

void mesh_refresh(struct mesh *mesh)
{
	note_services(mesh);
	cluster_refresh(mesh->parts.cluster);
}

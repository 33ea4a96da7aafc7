/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/cluster_api.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cluster/addr.h"
#include "cluster/cluster_json.h"
#include "cluster/roles_api.h"
#include "cluster/trouble.h"
#include "core/election_text.h"

/* --- node records ------------------------------------------------------------------------------------------------------------ */

static void add_addresses(struct json *j, const struct cluster *c, const struct member *m, char url[96])
{
	struct peer_addr addresses[GOSSIP_ADDRESSES];
	unsigned count = cluster_addresses(c, m, addresses, GOSSIP_ADDRESSES);
	*url = '\0';
	json_add(j, ",\"addresses\":[");
	for (unsigned i = 0; i < count; i++) {
		char text[ADDR_TEXT], host[ADDR_TEXT], href[96];
		addr_format(&addresses[i], text);
		addr_format_host(&addresses[i], host);
		snprintf(href, sizeof(href), "https://%s", text);
		json_add(j, i ? ",{\"type\":\"local\",\"url\":{" : "{\"type\":\"local\",\"url\":{");
		json_pair(j, "href", href);
		json_pair(j, "hostname", host);
		json_add(j, "}}");
		if (!i)
			memcpy(url, href, sizeof(href));
	}
	json_add(j, "]");
}

static void add_characteristic(struct json *j, const char *name, const char *value)
{
	if (!*value)
		return;
	json_add(j, j->buf.ptr[j->buf.len - 1] == '[' ? "{" : ",{");
	json_pair(j, "name", name);
	json_pair(j, "value", value);
	json_add(j, "}");
}

static void add_characteristics(struct json *j, const struct node_description *d)
{
	char number[32];
	json_add(j, ",\"attributes\":[");
	add_characteristic(j, "name", d->name);
	json_add(j, "],\"characteristics\":[");
	add_characteristic(j, "cpu", d->cpu);
	snprintf(number, sizeof(number), "%u", d->cores);
	add_characteristic(j, "cores", number);
	add_characteristic(j, "edgeVersion", d->edged);
	add_characteristic(j, "kernelVersion", d->kernel);
	add_characteristic(j, "os", d->os);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)d->memory_mib << 20);
	add_characteristic(j, "totalPhysicalMemory", number);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)d->storage_mib << 20);
	add_characteristic(j, "freeStorage", number);
	json_add(j, "]");
}

static void add_roles(struct json *j, const struct cluster *c, const struct member *m)
{
	const struct role_grant *grant;
	json_add(j, cluster_leads(c, m) ? ",\"rolesInCluster\":[\"superNodeLocalLinkNetwork\""
	                                : ",\"rolesInCluster\":[");
	for (unsigned i = 0; (grant = roles_at(swarm_roles(c->swarm), i)); i++)
		if (cluster_holds(grant, cluster_id_of(c, m)))
			json_addf(j, "%s\"%s\"", j->buf.ptr[j->buf.len - 1] == '[' ? "" : ",",
			        role_name(grant->role));
	json_add(j, "],\"roles\":[");
	if (cluster_leads(c, m)) {
		CLEANUP(buf_fini) struct buf why = BUF_EMPTY;
		j->failed |= election_explain(swarm_election(c->swarm), &why) != 0;
		json_add(j, "{");
		json_pair(j, "role", "supernode");
		json_pair(j, "reason", why.ptr ? why.ptr : "");
		json_add(j, "}");
	}
	for (unsigned i = 0; (grant = roles_at(swarm_roles(c->swarm), i)); i++) {
		if (!cluster_holds(grant, cluster_id_of(c, m)))
			continue;
		json_add(j, j->buf.ptr[j->buf.len - 1] == '[' ? "{" : ",{");
		json_pair(j, "role", role_name(grant->role));
		json_pair(j, "reason", grant->reason);
		json_add(j, "}");
	}
	json_add(j, "]");
}

static bool is_trusted(const struct cluster *c, const struct member *m)
{
	char id[NODE_ID_LEN + 1];
	if (!m)
		return true;
	cluster_member_id(m, id);
	return c->deps.trusted && c->deps.trusted(c->deps.arg, id);
}

/* Other nodes tell theirs to nodes of their account: see peers.h. No field: they are not known here. */
static void add_services(struct json *j, const struct cluster *c, const struct member *m)
{
	char id[NODE_ID_LEN + 1];
	struct edged_slice list = { NULL, 0 };
	if (m) {
		cluster_member_id(m, id);
		if (c->deps.services_of)
			list = c->deps.services_of(c->deps.arg, id);
		if (!list.len)
			return;
	} else if (!c->deps.services) {
		return;
	}
	json_add(j, ",\"services\":");
	j->failed |= (m ? buf_add(&j->buf, list.ptr, list.len) : c->deps.services(c->deps.arg, &j->buf)) != 0;
}

static void add_node(struct json *j, const struct cluster *c, const struct member *m)
{
	const struct node_description *d = cluster_record_of(c, m);
	char url[96];
	bool own = *d->account && !strcmp(d->account, c->record.account);
	json_who(j, c, m);
	json_add(j, ",\"APIVersion\":\"v1\",\"account\":{");
	json_pair(j, "id", d->account);
	json_addf(j, ",\"self\":%s}", own ? "true" : "false");
	add_addresses(j, c, m, url);
	add_characteristics(j, d);
	add_roles(j, c, m);
	add_services(j, c, m);
	json_pair(j, "url", url);
	json_time(j, "lastSeen", m ? cluster_wall_ms(c, m->heard_ms) : clock_wall_ms());
	json_addf(j, ",\"reachable\":%s,\"trusted\":%s,\"self\":%s}",
	        !m || member_is_live(m) ? "true" : "false", is_trusted(c, m) ? "true" : "false",
	        m ? "false" : "true");
}

/* linkLocal and proximity: who is there. account: also those that are away now. */
static bool is_listed(const struct cluster *c, const struct member *m, bool account)
{
	if (!account)
		return member_is_live(m);
	bool known = m->state != MEMBER_HEARD && m->record.version;
	return known && *m->record.account && !strcmp(m->record.account, c->record.account);
}

static int serve_nodes(void *self, edged_handle request)
{
	const struct cluster *c = self;
	struct edged_slice scope = request_query(c->deps.requests, request, "clusters");
	bool account = edged_slice_is(scope, "account");
	if (!scope.len)
		scope = edged_str("linkLocal");
	if (!account && !edged_slice_is(scope, "linkLocal") && !edged_slice_is(scope, "proximity"))
		return request_problem(c->deps.requests, request, 400, "unknown-cluster",
		        "No such kind of cluster",
		        "The parameter clusters is one of linkLocal, account, proximity.");
	struct json j = { BUF_EMPTY, false };
	const struct member *m;
	json_addf(&j, "{\"type\":\"%.*s\",\"data\":[", EDGED_SLICE_FMT(scope));
	add_node(&j, c, NULL);
	for (unsigned i = 0; (m = members_at(cluster_members(c), i)); i++)
		if (is_listed(c, m, account)) {
			json_add(&j, ",");
			add_node(&j, c, m);
		}
	json_add(&j, "]}");
	return json_reply(c, request, &j);
}

/* --- the cluster ----------------------------------------------------------------------------------------------------------------- */

static void add_explanation(struct json *j, const struct cluster *c)
{
	CLEANUP(buf_fini) struct buf why = BUF_EMPTY;
	j->failed |= election_explain(swarm_election(c->swarm), &why) != 0;
	json_pair(j, "phase", election_phase_name(election_phase(swarm_election(c->swarm))));
	json_pair(j, "reason", why.ptr ? why.ptr : "");
}

static void add_member(struct json *j, const struct cluster *c, const struct member *m)
{
	char addr[ADDR_TEXT];
	addr_format(&m->addr, addr);
	json_who(j, c, m);
	json_pair(j, "state", member_state_name(m->state));
	json_pair(j, "address", addr);
	json_time(j, "lastSeen", cluster_wall_ms(c, m->heard_ms));
	json_time(j, "since", cluster_wall_ms(c, m->since_ms));
	json_addf(j, ",\"incarnation\":%u,\"version\":%u,\"failures\":%u}", m->incarnation, m->record.version,
	        m->failures);
}

static void add_counts(struct json *j, const struct cluster *c)
{
	struct members_counts n = members_counts(cluster_members(c));
	struct election_counts e = election_counts(swarm_election(c->swarm));
	struct gossip_counts g = cluster_counts(c);
	json_addf(j,
	        ",\"counts\":{\"received\":%llu,\"sent\":%llu,\"probes\":%llu,\"failedProbes\":%llu,"
	        "\"suspicions\":%llu,"
	        "\"refuted\":%llu,\"deaths\":%llu,\"syncs\":%llu,\"duplicates\":%llu,\"dropped\":%llu,"
	        "\"health\":%u",
	        (unsigned long long)n.received, (unsigned long long)n.sent, (unsigned long long)n.probes,
	        (unsigned long long)n.failed_probes, (unsigned long long)n.suspicions,
	        (unsigned long long)n.refuted, (unsigned long long)n.deaths, (unsigned long long)n.syncs,
	        (unsigned long long)n.duplicates, (unsigned long long)n.dropped, n.health);
	json_addf(j,
	        ",\"elections\":%llu,\"handovers\":%llu,\"resignations\":%llu,\"refusedClaims\":%llu,"
	        "\"forged\":%llu,"
	        "\"replayed\":%llu,\"limited\":%llu,\"malformed\":%llu}",
	        (unsigned long long)e.elections, (unsigned long long)e.handovers,
	        (unsigned long long)e.resignations, (unsigned long long)e.refused,
	        (unsigned long long)g.envelope.forged, (unsigned long long)g.envelope.replayed,
	        (unsigned long long)g.envelope.limited,
	        (unsigned long long)(g.envelope.malformed + swarm_malformed(c->swarm)));
}

static int serve_cluster(void *self, edged_handle request)
{
	const struct cluster *c = self;
	struct json j = { BUF_EMPTY, false };
	const struct member *m;
	bool first = true;
	json_who(&j, c, NULL);
	json_addf(&j, ",\"enabled\":%s,\"port\":%u", c->options.enabled ? "true" : "false", cluster_port(c));
	json_supernode(&j, c);
	add_explanation(&j, c);
	cluster_add_warnings(&j, c);
	json_add(&j, ",\"members\":[");
	for (unsigned i = 0; (m = members_at(cluster_members(c), i)); i++) {
		if (m->state == MEMBER_HEARD)
			continue;
		json_add(&j, first ? "" : ",");
		add_member(&j, c, m);
		first = false;
	}
	json_add(&j, "]");
	add_counts(&j, c);
	json_add(&j, "}");
	return json_reply(c, request, &j);
}

static void add_values(struct json *j, const struct cluster *c, const struct member *m)
{
	struct rank rank = election_rank(swarm_election(c->swarm), m);
	json_who(j, c, m);
	json_addf(j, ",\"self\":%s,\"supernode\":%s", m ? "false" : "true",
	        cluster_leads(c, m) ? "true" : "false");
	json_pair(j, "state", m ? member_state_name(m->state) : "alive");
	json_add(j, ",\"values\":{");
	for (int i = 0; i < RANK_COUNT; i++) {
		enum rank_field field = (enum rank_field)i;
		uint8_t value = rank_value(&rank, field);
		const char *meaning = rank_value_name(field, value);
		json_addf(j, "%s\"%s\":{\"value\":%u", i ? "," : "", rank_field_name(field), value);
		if (meaning)
			json_pair(j, "meaning", meaning);
		json_add(j, "}");
	}
	json_add(j, "}}");
}

static int serve_election(void *self, edged_handle request)
{
	const struct cluster *c = self;
	struct json j = { BUF_EMPTY, false };
	const struct member *m;
	json_addf(&j, "{\"epoch\":%llu", (unsigned long long)election_epoch(swarm_election(c->swarm)));
	json_supernode(&j, c);
	add_explanation(&j, c);
	json_add(&j, ",\"order\":[");
	for (int i = 0; i < RANK_COUNT; i++)
		json_addf(&j, "%s{\"field\":\"%s\",\"text\":\"%s\"}", i ? "," : "",
		        rank_field_name((enum rank_field)i), rank_field_label((enum rank_field)i));
	json_add(&j, ",{\"field\":\"id\",\"text\":\"lowest id\"}],\"nodes\":[");
	add_values(&j, c, NULL);
	for (unsigned i = 0; (m = members_at(cluster_members(c), i)); i++)
		if (member_is_live(m) && m->record.version) {
			json_add(&j, ",");
			add_values(&j, c, m);
		}
	json_add(&j, "]}");
	return json_reply(c, request, &j);
}

#define NODES_OPENAPI                                                                                        \
	"{\"parameters\":[{\"name\":\"clusters\",\"in\":\"query\",\"schema\":{\"enum\":[\"linkLocal\","      \
	"\"account\","                                                                                       \
	"\"proximity\"],\"default\":\"linkLocal\"}}]}"

const struct edged_route *cluster_routes(void)
{
	static const struct edged_route routes[] = {
		{ .method = "GET",
		        .path = "/mds/v1/nodes",
		        .serve = serve_nodes,
		        .summary = "The nodes of a cluster",
		        .openapi = NODES_OPENAPI,
		        .scope = EDGED_SCOPE_ACCOUNT },
		{ .method = "GET",
		        .path = "/mDS/v1/nodes",
		        .serve = serve_nodes,
		        .summary = "The same as /mds/v1/nodes, as clients of mimik's edgeEngine spell it",
		        .openapi = NODES_OPENAPI,
		        .scope = EDGED_SCOPE_ACCOUNT },
		{ .method = "GET",
		        .path = "/edge/v1/cluster",
		        .serve = serve_cluster,
		        .summary = "Members of the local network, as this node sees them",
		        .scope = EDGED_SCOPE_ACCOUNT },
		{ .method = "GET",
		        .path = "/edge/v1/cluster/election",
		        .serve = serve_election,
		        .summary = "Which node is the supernode, and why",
		        .scope = EDGED_SCOPE_ACCOUNT },
		{ .method = "GET",
		        .path = "/edge/v1/roles",
		        .serve = cluster_serve_roles,
		        .summary = "Who does what for the cluster, and why",
		        .scope = EDGED_SCOPE_ACCOUNT },
		{ .method = "PUT",
		        .path = "/edge/v1/roles/{role}",
		        .serve = cluster_serve_wish,
		        .summary = "Pins a role to this node, vetoes it here, or neither: {\"wish\": "
		                   "\"pin\", \"veto\" or \"none\"}",
		        .scope = EDGED_SCOPE_ACCOUNT },
		{ 0 },
	};
	return routes;
}

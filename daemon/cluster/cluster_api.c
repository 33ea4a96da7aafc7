/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/cluster_api.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cluster/addr.h"
#include "cluster/cluster_impl.h"
#include "core/election_text.h"

/* --- pieces: each appends; a failure (no memory) sticks in the buffer's length check at the end ---------------------------- */

struct json {
	struct buf buf;
	bool failed;
};

static void add(struct json *j, const char *text)
{
	j->failed |= buf_add_str(&j->buf, text) != 0;
}

static void __attribute__((format(printf, 2, 3))) addf(struct json *j, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	j->failed |= n < 0 || (size_t)n >= sizeof(text);
	add(j, text);
}

static void add_string(struct json *j, const char *text)
{
	j->failed |= buf_add_json(&j->buf, edged_str(text)) != 0;
}

/* "key":"text", with a comma in front when something is there already */
static void add_pair(struct json *j, const char *key, const char *text)
{
	char last = j->buf.len ? j->buf.ptr[j->buf.len - 1] : '{';
	addf(j, "%s\"%s\":", last == '{' || last == '[' ? "" : ",", key);
	add_string(j, text);
}

static void add_time(struct json *j, const char *key, uint64_t wall_ms)
{
	char text[40];
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm utc;
	gmtime_r(&seconds, &utc);
	size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text + n, sizeof(text) - n, ".%03uZ", (unsigned)(wall_ms % 1000));
	add_pair(j, key, text);
}

static int reply(const struct cluster *c, edged_handle request, struct json *j)
{
	int r = j->failed
	                ? request_problem(c->deps.requests, request, 503, "no-memory", "Out of memory", NULL)
	                : request_reply(
	                          c->deps.requests, request, 200, "application/json", buf_slice(&j->buf));
	buf_fini(&j->buf);
	return r;
}

static const struct members *members_of(const struct cluster *c)
{
	return swarm_members(c->swarm);
}

static const uint8_t *id_of(const struct cluster *c, const struct member *m)
{
	return m ? m->id : members_self_id(members_of(c));
}

static const struct node_description *record_of(const struct cluster *c, const struct member *m)
{
	return m ? &m->record : &c->record;
}

/* {"id":...,"name":... without the end; NULL is this node */
static void add_who(struct json *j, const struct cluster *c, const struct member *m)
{
	char id[NODE_ID_LEN + 1];
	node_id_format(id_of(c, m), id);
	add(j, "{");
	add_pair(j, "id", id);
	add_pair(j, "name", record_of(c, m)->name);
}

static bool is_supernode(const struct cluster *c, const struct member *m)
{
	const uint8_t *leader = election_leader(swarm_election(c->swarm));
	return leader && !memcmp(leader, id_of(c, m), GOSSIP_ID);
}

/* --- node records ------------------------------------------------------------------------------------------------------------ */

static void add_addresses(struct json *j, const struct cluster *c, const struct member *m, char url[96])
{
	struct peer_addr addresses[GOSSIP_ADDRESSES];
	unsigned count = cluster_addresses(c, m, addresses, GOSSIP_ADDRESSES);
	*url = '\0';
	add(j, ",\"addresses\":[");
	for (unsigned i = 0; i < count; i++) {
		char text[ADDR_TEXT], host[ADDR_TEXT], href[96];
		addr_format(&addresses[i], text);
		addr_format_host(&addresses[i], host);
		snprintf(href, sizeof(href), "https://%s", text);
		add(j, i ? ",{\"type\":\"local\",\"url\":{" : "{\"type\":\"local\",\"url\":{");
		add_pair(j, "href", href);
		add_pair(j, "hostname", host);
		add(j, "}}");
		if (!i)
			memcpy(url, href, sizeof(href));
	}
	add(j, "]");
}

static void add_characteristic(struct json *j, const char *name, const char *value)
{
	if (!*value)
		return;
	add(j, j->buf.ptr[j->buf.len - 1] == '[' ? "{" : ",{");
	add_pair(j, "name", name);
	add_pair(j, "value", value);
	add(j, "}");
}

static void add_characteristics(struct json *j, const struct node_description *d)
{
	char number[32];
	add(j, ",\"attributes\":[");
	add_characteristic(j, "name", d->name);
	add(j, "],\"characteristics\":[");
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
	add(j, "]");
}

static bool holds(const struct role_grant *grant, const uint8_t *id)
{
	return grant->held && !memcmp(grant->holder, id, GOSSIP_SHORT);
}

static void add_roles(struct json *j, const struct cluster *c, const struct member *m)
{
	const struct role_grant *grant;
	add(j, is_supernode(c, m) ? ",\"rolesInCluster\":[\"superNodeLocalLinkNetwork\""
	                          : ",\"rolesInCluster\":[");
	for (unsigned i = 0; (grant = roles_at(swarm_roles(c->swarm), i)); i++)
		if (holds(grant, id_of(c, m)))
			addf(j, "%s\"%s\"", j->buf.ptr[j->buf.len - 1] == '[' ? "" : ",",
			        role_name(grant->role));
	add(j, "],\"roles\":[");
	if (is_supernode(c, m)) {
		CLEANUP(buf_fini) struct buf why = BUF_EMPTY;
		j->failed |= election_explain(swarm_election(c->swarm), &why) != 0;
		add(j, "{");
		add_pair(j, "role", "supernode");
		add_pair(j, "reason", why.ptr ? why.ptr : "");
		add(j, "}");
	}
	for (unsigned i = 0; (grant = roles_at(swarm_roles(c->swarm), i)); i++) {
		if (!holds(grant, id_of(c, m)))
			continue;
		add(j, j->buf.ptr[j->buf.len - 1] == '[' ? "{" : ",{");
		add_pair(j, "role", role_name(grant->role));
		add_pair(j, "reason", grant->reason);
		add(j, "}");
	}
	add(j, "]");
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
	add(j, ",\"services\":");
	j->failed |= (m ? buf_add(&j->buf, list.ptr, list.len) : c->deps.services(c->deps.arg, &j->buf)) != 0;
}

static void add_node(struct json *j, const struct cluster *c, const struct member *m)
{
	const struct node_description *d = record_of(c, m);
	char url[96];
	bool own = *d->account && !strcmp(d->account, c->record.account);
	add_who(j, c, m);
	add(j, ",\"APIVersion\":\"v1\",\"account\":{");
	add_pair(j, "id", d->account);
	addf(j, ",\"self\":%s}", own ? "true" : "false");
	add_addresses(j, c, m, url);
	add_characteristics(j, d);
	add_roles(j, c, m);
	add_services(j, c, m);
	add_pair(j, "url", url);
	add_time(j, "lastSeen", m ? cluster_wall_ms(c, m->heard_ms) : clock_wall_ms());
	addf(j, ",\"reachable\":%s,\"trusted\":%s,\"self\":%s}", !m || member_is_live(m) ? "true" : "false",
	        is_trusted(c, m) ? "true" : "false", m ? "false" : "true");
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
	addf(&j, "{\"type\":\"%.*s\",\"data\":[", EDGED_SLICE_FMT(scope));
	add_node(&j, c, NULL);
	for (unsigned i = 0; (m = members_at(members_of(c), i)); i++)
		if (is_listed(c, m, account)) {
			add(&j, ",");
			add_node(&j, c, m);
		}
	add(&j, "]}");
	return reply(c, request, &j);
}

/* --- the cluster ----------------------------------------------------------------------------------------------------------------- */

static void add_supernode(struct json *j, const struct cluster *c)
{
	const struct election *election = swarm_election(c->swarm);
	const uint8_t *leader = election_leader(election);
	const struct member *m = leader ? members_find(members_of(c), leader) : NULL;
	if (!leader || (!m && !election_leads(election))) {
		add(j, ",\"supernode\":null");
		return;
	}
	add(j, ",\"supernode\":");
	add_who(j, c, m);
	addf(j, ",\"self\":%s,\"epoch\":%llu", m ? "false" : "true",
	        (unsigned long long)election_epoch(election));
	add_time(j, "since", cluster_wall_ms(c, election_since(election)));
	add(j, "}");
}

static void add_explanation(struct json *j, const struct cluster *c)
{
	CLEANUP(buf_fini) struct buf why = BUF_EMPTY;
	j->failed |= election_explain(swarm_election(c->swarm), &why) != 0;
	add_pair(j, "phase", election_phase_name(election_phase(swarm_election(c->swarm))));
	add_pair(j, "reason", why.ptr ? why.ptr : "");
}

static void add_member(struct json *j, const struct cluster *c, const struct member *m)
{
	char addr[ADDR_TEXT];
	addr_format(&m->addr, addr);
	add_who(j, c, m);
	add_pair(j, "state", member_state_name(m->state));
	add_pair(j, "address", addr);
	add_time(j, "lastSeen", cluster_wall_ms(c, m->heard_ms));
	add_time(j, "since", cluster_wall_ms(c, m->since_ms));
	addf(j, ",\"incarnation\":%u,\"version\":%u,\"failures\":%u}", m->incarnation, m->record.version,
	        m->failures);
}

static void add_counts(struct json *j, const struct cluster *c)
{
	struct members_counts n = members_counts(members_of(c));
	struct election_counts e = election_counts(swarm_election(c->swarm));
	struct gossip_counts g = cluster_counts(c);
	addf(j,
	        ",\"counts\":{\"received\":%llu,\"sent\":%llu,\"probes\":%llu,\"failedProbes\":%llu,"
	        "\"suspicions\":%llu,"
	        "\"refuted\":%llu,\"deaths\":%llu,\"syncs\":%llu,\"duplicates\":%llu,\"dropped\":%llu,"
	        "\"health\":%u",
	        (unsigned long long)n.received, (unsigned long long)n.sent, (unsigned long long)n.probes,
	        (unsigned long long)n.failed_probes, (unsigned long long)n.suspicions,
	        (unsigned long long)n.refuted, (unsigned long long)n.deaths, (unsigned long long)n.syncs,
	        (unsigned long long)n.duplicates, (unsigned long long)n.dropped, n.health);
	addf(j,
	        ",\"elections\":%llu,\"handovers\":%llu,\"resignations\":%llu,\"refusedClaims\":%llu,"
	        "\"forged\":%llu,"
	        "\"replayed\":%llu,\"limited\":%llu,\"malformed\":%llu}",
	        (unsigned long long)e.elections, (unsigned long long)e.handovers,
	        (unsigned long long)e.resignations, (unsigned long long)e.refused,
	        (unsigned long long)g.envelope.forged, (unsigned long long)g.envelope.replayed,
	        (unsigned long long)g.envelope.limited,
	        (unsigned long long)(g.envelope.malformed + swarm_malformed(c->swarm)));
}

static void add_warnings(struct json *j, const struct cluster *c)
{
	const struct cluster_warning *warning = &c->duplicate;
	bool lasts = *warning->id && loop_now(c->deps.loop) - warning->seen_ms < CLUSTER_WARNED_MS;
	add(j, ",\"warnings\":[");
	if (lasts) {
		add(j, "{");
		add_pair(j, "type", "nodeDuplicate");
		add_pair(j, "id", warning->id);
		add_pair(j, "text", warning->text);
		add_time(j, "since", cluster_wall_ms(c, warning->since_ms));
		add_time(j, "lastSeen", cluster_wall_ms(c, warning->seen_ms));
		add(j, "}");
	}
	add(j, "]");
}

static int serve_cluster(void *self, edged_handle request)
{
	const struct cluster *c = self;
	struct json j = { BUF_EMPTY, false };
	const struct member *m;
	bool first = true;
	add_who(&j, c, NULL);
	addf(&j, ",\"enabled\":%s,\"port\":%u", c->options.enabled ? "true" : "false", cluster_port(c));
	add_supernode(&j, c);
	add_explanation(&j, c);
	add_warnings(&j, c);
	add(&j, ",\"members\":[");
	for (unsigned i = 0; (m = members_at(members_of(c), i)); i++) {
		if (m->state == MEMBER_HEARD)
			continue;
		add(&j, first ? "" : ",");
		add_member(&j, c, m);
		first = false;
	}
	add(&j, "]");
	add_counts(&j, c);
	add(&j, "}");
	return reply(c, request, &j);
}

static void add_values(struct json *j, const struct cluster *c, const struct member *m)
{
	struct rank rank = election_rank(swarm_election(c->swarm), m);
	add_who(j, c, m);
	addf(j, ",\"self\":%s,\"supernode\":%s", m ? "false" : "true", is_supernode(c, m) ? "true" : "false");
	add_pair(j, "state", m ? member_state_name(m->state) : "alive");
	add(j, ",\"values\":{");
	for (int i = 0; i < RANK_COUNT; i++) {
		enum rank_field field = (enum rank_field)i;
		uint8_t value = rank_value(&rank, field);
		const char *meaning = rank_value_name(field, value);
		addf(j, "%s\"%s\":{\"value\":%u", i ? "," : "", rank_field_name(field), value);
		if (meaning)
			add_pair(j, "meaning", meaning);
		add(j, "}");
	}
	add(j, "}}");
}

static int serve_election(void *self, edged_handle request)
{
	const struct cluster *c = self;
	struct json j = { BUF_EMPTY, false };
	const struct member *m;
	addf(&j, "{\"epoch\":%llu", (unsigned long long)election_epoch(swarm_election(c->swarm)));
	add_supernode(&j, c);
	add_explanation(&j, c);
	add(&j, ",\"order\":[");
	for (int i = 0; i < RANK_COUNT; i++)
		addf(&j, "%s{\"field\":\"%s\",\"text\":\"%s\"}", i ? "," : "",
		        rank_field_name((enum rank_field)i), rank_field_label((enum rank_field)i));
	add(&j, ",{\"field\":\"id\",\"text\":\"lowest id\"}],\"nodes\":[");
	add_values(&j, c, NULL);
	for (unsigned i = 0; (m = members_at(members_of(c), i)); i++)
		if (member_is_live(m) && m->record.version) {
			add(&j, ",");
			add_values(&j, c, m);
		}
	add(&j, "]}");
	return reply(c, request, &j);
}

static void add_holder(struct json *j, const struct cluster *c, const struct role_grant *grant)
{
	const struct member *m = members_find_short(members_of(c), grant->holder);
	bool own = holds(grant, members_self_id(members_of(c)));
	if (!grant->held || (!m && !own)) {
		add(j, ",\"holder\":null");
		return;
	}
	add(j, ",\"holder\":");
	add_who(j, c, own ? NULL : m);
	addf(j, ",\"self\":%s}", own ? "true" : "false");
}

static int serve_roles(void *self, edged_handle request)
{
	const struct cluster *c = self;
	struct json j = { BUF_EMPTY, false };
	const struct role_grant *grant;
	addf(&j, "{\"epoch\":%llu", (unsigned long long)election_epoch(swarm_election(c->swarm)));
	add_supernode(&j, c);
	add(&j, ",\"roles\":[");
	for (unsigned i = 0; (grant = roles_at(swarm_roles(c->swarm), i)); i++) {
		add(&j, i ? ",{" : "{");
		add_pair(&j, "role", role_name(grant->role));
		add_pair(&j, "text", role_text(grant->role));
		add_holder(&j, c, grant);
		add_pair(&j, "reason", grant->reason);
		addf(&j, ",\"epoch\":%llu", (unsigned long long)grant->epoch);
		add_time(&j, "since", cluster_wall_ms(c, grant->since_ms));
		add(&j, "}");
	}
	add(&j, "]}");
	return reply(c, request, &j);
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
		        .serve = serve_roles,
		        .summary = "Who does what for the cluster, and why",
		        .scope = EDGED_SCOPE_ACCOUNT },
		{ 0 },
	};
	return routes;
}

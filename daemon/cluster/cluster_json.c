/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/cluster_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void json_add(struct json *j, const char *text)
{
	j->failed |= buf_add_str(&j->buf, text) != 0;
}

void json_addf(struct json *j, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	j->failed |= n < 0 || (size_t)n >= sizeof(text);
	json_add(j, text);
}

void json_string_add(struct json *j, const char *text)
{
	j->failed |= buf_add_json(&j->buf, edged_str(text)) != 0;
}

/* "key":"text", with a comma in front when something is there already */
void json_pair(struct json *j, const char *key, const char *text)
{
	char last = j->buf.len ? j->buf.ptr[j->buf.len - 1] : '{';
	json_addf(j, "%s\"%s\":", last == '{' || last == '[' ? "" : ",", key);
	json_string_add(j, text);
}

void json_time(struct json *j, const char *key, uint64_t wall_ms)
{
	char text[40];
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm utc;
	gmtime_r(&seconds, &utc);
	size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text + n, sizeof(text) - n, ".%03uZ", (unsigned)(wall_ms % 1000));
	json_pair(j, key, text);
}

int json_reply(const struct cluster *c, edged_handle request, struct json *j)
{
	int r = j->failed
	                ? request_problem(c->deps.requests, request, 503, "no-memory", "Out of memory", NULL)
	                : request_reply(
	                          c->deps.requests, request, 200, "application/json", buf_slice(&j->buf));
	buf_fini(&j->buf);
	return r;
}

const struct members *cluster_members(const struct cluster *c)
{
	return swarm_members(c->swarm);
}

const uint8_t *cluster_id_of(const struct cluster *c, const struct member *m)
{
	return m ? m->id : members_self_id(cluster_members(c));
}

const struct node_description *cluster_record_of(const struct cluster *c, const struct member *m)
{
	return m ? &m->record : &c->record;
}

/* {"id":...,"name":... without the end; NULL is this node */
void json_who(struct json *j, const struct cluster *c, const struct member *m)
{
	char id[NODE_ID_LEN + 1];
	node_id_format(cluster_id_of(c, m), id);
	json_add(j, "{");
	json_pair(j, "id", id);
	json_pair(j, "name", cluster_record_of(c, m)->name);
}

bool cluster_leads(const struct cluster *c, const struct member *m)
{
	const uint8_t *leader = election_leader(swarm_election(c->swarm));
	return leader && !memcmp(leader, cluster_id_of(c, m), GOSSIP_ID);
}

bool cluster_holds(const struct role_grant *grant, const uint8_t *id)
{
	return grant->held && !memcmp(grant->holder, id, GOSSIP_SHORT);
}

void json_supernode(struct json *j, const struct cluster *c)
{
	const struct election *election = swarm_election(c->swarm);
	const uint8_t *leader = election_leader(election);
	const struct member *m = leader ? members_find(cluster_members(c), leader) : NULL;
	if (!leader || (!m && !election_leads(election))) {
		json_add(j, ",\"supernode\":null");
		return;
	}
	json_add(j, ",\"supernode\":");
	json_who(j, c, m);
	json_addf(j, ",\"self\":%s,\"epoch\":%llu", m ? "false" : "true",
	        (unsigned long long)election_epoch(election));
	json_time(j, "since", cluster_wall_ms(c, election_since(election)));
	json_add(j, "}");
}

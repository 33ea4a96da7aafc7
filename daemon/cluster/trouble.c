/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/trouble.h"

#include <stdio.h>
#include <string.h>
#include "cluster/removal.h"

enum { NAMED = 3, UNPROVEN_MS = 60000, DOUBT = 3 };

static void begin(struct json *j, const char *type, const char *text)
{
	json_add(j, j->buf.ptr && j->buf.ptr[j->buf.len - 1] == '[' ? "{" : ",{");
	json_pair(j, "type", type);
	json_pair(j, "text", text);
}

static void add_duplicate(struct json *j, const struct cluster *c)
{
	const struct cluster_warning *warning = &c->duplicate;
	if (!*warning->id || loop_now(c->deps.loop) - warning->seen_ms >= CLUSTER_WARNED_MS)
		return;
	begin(j, "nodeDuplicate", warning->text);
	json_pair(j, "id", warning->id);
	json_time(j, "since", cluster_wall_ms(c, warning->since_ms));
	json_time(j, "lastSeen", cluster_wall_ms(c, warning->seen_ms));
	json_add(j, "}");
}

static void add_own_state(struct json *j, const struct cluster *c)
{
	struct identity *identity = c->deps.identity;
	uint64_t now = identity_time(identity), until = identity_certificate_until(identity);
	if (identity_is_removed(identity, members_self_id(cluster_members(c)))) {
		begin(j, "selfRemoved",
		        "this node was removed from its account by its owner; the others refuse it");
		json_add(j, "}");
	}
	if (until && now > until) {
		begin(j, "certificateEnded",
		        "this node's certificate has run out, and neither the node that holds the account's "
		        "key nor a signer could be reached to renew it; others that knew this node before "
		        "believe it for 30 days more");
		json_pair(j, "holder", identity_ca_holder(identity));
		json_time(j, "since", until);
		json_add(j, "}");
	}
	if (members_counts(cluster_members(c)).health >= DOUBT) {
		begin(j, "selfDoubt",
		        "this node hears the others late or not at all while they hear each other: it is "
		        "overloaded, or "
		        "its network loses much");
		json_add(j, "}");
	}
	if (c->started && members_live(cluster_members(c)) && !election_leader(swarm_election(c->swarm)) &&
	        election_phase(swarm_election(c->swarm)) != ELECTION_LISTENING) {
		begin(j, "noSupernode", "there is no supernode now");
		json_add(j, "}");
	}
}

static bool is_kin(const struct cluster *c, const struct member *m)
{
	return c->record.account[0] && strcmp(m->record.account, c->record.account) == 0;
}

/* Text of another node comes cut and quoted. */
static void add_named(struct json *j, const struct cluster *c, const char *type, const char *what,
        bool (*fits)(const struct cluster *c, const struct member *m))
{
	char text[400];
	const struct member *m;
	size_t n = 0;
	unsigned count = 0;
	for (unsigned i = 0; (m = members_at(cluster_members(c), i)); i++) {
		char id[NODE_ID_LEN + 1];
		if (!is_kin(c, m) || !fits(c, m) || count++ >= NAMED)
			continue;
		cluster_member_id(m, id);
		n += (size_t)snprintf(
		        text + n, sizeof(text) - n, "%s%.40s (%.8s)", n ? ", " : "", m->record.name, id);
	}
	if (!count)
		return;
	if (count > NAMED)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " and %u more", count - NAMED);
	snprintf(text + n, sizeof(text) - n, " %s", what);
	begin(j, type, text);
	json_addf(j, ",\"count\":%u}", count);
}

static bool is_lost(const struct cluster *c, const struct member *m)
{
	(void)c;
	return m->state == MEMBER_DEAD;
}

static bool is_unproven(const struct cluster *c, const struct member *m)
{
	char id[NODE_ID_LEN + 1];
	cluster_member_id(m, id);
	return member_is_live(m) && loop_now(c->deps.loop) - m->since_ms >= UNPROVEN_MS &&
	       !(c->deps.trusted && c->deps.trusted(c->deps.arg, id));
}

void cluster_add_warnings(struct json *j, const struct cluster *c)
{
	json_add(j, ",\"warnings\":[");
	add_duplicate(j, c);
	add_own_state(j, c);
	add_named(j, c, "nodesLost", "of this account stopped to answer", is_lost);
	add_named(j, c, "nodesUnproven", "claim to be of this account, and have not proven it over a link",
	        is_unproven);
	json_add(j, "]");
}

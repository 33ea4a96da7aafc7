/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/roles_api.h"

#include <string.h>
#include <jansson.h>
#include "base/log.h"
#include "cluster/cluster_json.h"

static void add_holder(struct json *j, const struct cluster *c, const struct role_grant *grant)
{
	const struct member *m = members_find_short(cluster_members(c), grant->holder);
	bool own = cluster_holds(grant, members_self_id(cluster_members(c)));
	if (!grant->held || (!m && !own)) {
		json_add(j, ",\"holder\":null");
		return;
	}
	json_add(j, ",\"holder\":");
	json_who(j, c, own ? NULL : m);
	json_addf(j, ",\"self\":%s}", own ? "true" : "false");
}

/* Nodes whose operators wish it so: as their records say. */
static void add_wishers(
        struct json *j, const struct cluster *c, enum role role, enum wish wish, const char *key)
{
	bool first = true;
	json_addf(j, ",\"%s\":[", key);
	for (unsigned i = 0;; i++) {
		const struct member *m = i ? members_at(cluster_members(c), i - 1) : NULL;
		if (i && !m)
			break;
		const struct node_description *d = cluster_record_of(c, m);
		const struct wishes wishes = { d->roles_pinned, d->roles_vetoed };
		if ((m && !member_is_live(m)) || wish_of(&wishes, role) != wish)
			continue;
		json_add(j, first ? "" : ",");
		json_who(j, c, m);
		json_add(j, "}");
		first = false;
	}
	json_add(j, "]");
}

int cluster_serve_roles(void *self, edged_handle request)
{
	const struct cluster *c = self;
	struct json j = { BUF_EMPTY, false };
	const struct role_grant *grant;
	json_addf(&j, "{\"epoch\":%llu", (unsigned long long)election_epoch(swarm_election(c->swarm)));
	json_supernode(&j, c);
	json_add(&j, ",\"roles\":[");
	for (unsigned i = 0; (grant = roles_at(swarm_roles(c->swarm), i)); i++) {
		json_add(&j, i ? ",{" : "{");
		json_pair(&j, "role", role_name(grant->role));
		json_pair(&j, "text", role_text(grant->role));
		add_holder(&j, c, grant);
		json_pair(&j, "reason", grant->reason);
		json_addf(&j, ",\"epoch\":%llu", (unsigned long long)grant->epoch);
		json_time(&j, "since", cluster_wall_ms(c, grant->since_ms));
		add_wishers(&j, c, grant->role, WISH_PIN, "pinned");
		add_wishers(&j, c, grant->role, WISH_VETO, "vetoed");
		json_add(&j, "}");
	}
	json_add(&j, "]}");
	return json_reply(c, request, &j);
}

/* --- wishes --- */

/* False: answered. */
static bool read_wish(const struct cluster *c, edged_handle request, enum role *ret_role, enum wish *ret)
{
	struct edged_slice body = request_body(c->deps.requests, request),
	                   name = request_param(c->deps.requests, request, "role");
	if (!role_by_name(name, ret_role)) {
		(void)request_problem(c->deps.requests, request, 404, "role-unknown", "No such role",
		        "GET /edge/v1/roles lists the roles.");
		return false;
	}
	json_t *json = json_loadb(body.ptr ? body.ptr : "", body.len, JSON_REJECT_DUPLICATES, NULL);
	const char *wish = json_string_value(json_object_get(json, "wish"));
	int i = 0;
	while (wish && i < WISH_COUNT && strcmp(wish, wish_name((enum wish)i)) != 0)
		i++;
	bool ok = wish && i < WISH_COUNT;
	json_decref(json);
	*ret = ok ? (enum wish)i : WISH_NONE;
	if (!ok)
		(void)request_problem(c->deps.requests, request, 400, "bad-wish", "The wish cannot be read",
		        "Send {\"wish\": \"pin\"}, \"veto\" or \"none\".");
	return ok;
}

int cluster_serve_wish(void *self, edged_handle request)
{
	struct cluster *c = self;
	struct json j = { BUF_EMPTY, false };
	struct err err = { "" };
	enum role role;
	enum wish wish;
	if (!read_wish(c, request, &role, &wish))
		return 0;
	if (cluster_wish(c, role, wish, &err))
		return request_problem(
		        c->deps.requests, request, 500, "not-kept", "The wish was not kept", err.text);
	log_notice("cluster", "role %s on this node: %s", role_name(role),
	        wish == WISH_PIN    ? "pinned by the operator"
	        : wish == WISH_VETO ? "vetoed by the operator"
	                            : "as the supernode decides");
	json_who(&j, c, NULL);
	json_pair(&j, "role", role_name(role));
	json_pair(&j, "wish", wish_name(wish));
	json_add(&j, "}");
	return json_reply(c, request, &j);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/removals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include "base/log.h"
#include "cluster/answer.h"
#include "cluster/identity.h"
#include "cluster/link.h"
#include "cluster/owner.h"
#include "cluster/removal.h"
#include "io/loop.h"

#define LIST_PATH "/edge/v1/account/removed"

enum { ANSWER_MAX = 3 * REMOVALS_TEXT }; /* the text, and what is listed for people */

struct removals {
	struct removals_deps deps;
	struct timer *timer;
	struct link_call *call;       /* NULL: nobody is being asked */
	char source[NODE_ID_LEN + 1]; /* who is being asked, or was last */
	char failed[NODE_ID_LEN + 1]; /* who was last asked in vain, "": nobody */
	int status;                   /* of the answer */
	struct buf answer;
	unsigned failures; /* in a row */
	uint64_t due_ms;   /* loop time, when the next may be asked */
	struct removals_counts counts;
};

static uint64_t now_of(const struct removals *removals)
{
	return loop_now(removals->deps.loop);
}

static uint64_t version_of(const struct removals *removals)
{
	return identity_removed(removals->deps.identity)->version;
}

/* --- what a new list means --- */

static void list_changed(void *arg, const struct removal_list *before, const struct removal_list *now)
{
	struct removals *removals = arg;
	char id[NODE_ID_LEN + 1];
	for (unsigned i = 0; i < now->count; i++) {
		if (removal_find(before, now->removed[i].id) ||
		        !identity_is_removed(removals->deps.identity, now->removed[i].id))
			continue;
		node_id_format(now->removed[i].id, id);
		if (strcmp(id, identity_node_id(removals->deps.identity)) == 0)
			log_warning("cluster", "this node was removed from its account by its owner");
		else
			removals->deps.removed(removals->deps.arg, id);
	}
	removals->deps.changed(removals->deps.arg);
}

/* --- asking others --- */

static void ask(struct removals *removals);

static void retry_later(struct removals *removals, const char *why)
{
	uint64_t wait = (uint64_t)REMOVALS_RETRY_MS << (removals->failures < 16 ? removals->failures : 16);
	wait = wait < REMOVALS_RETRY_MAX ? wait : REMOVALS_RETRY_MAX;
	if (removals->failures++ == 0)
		log_warning("cluster", "the list of removed nodes of node %s was not taken: %s",
		        removals->source, why);
	removals->counts.failures++;
	memcpy(removals->failed, removals->source, sizeof(removals->failed));
	removals->due_ms = now_of(removals) + wait;
	timer_set(removals->timer, wait);
}

static void on_head(void *arg, const struct link_message *answer)
{
	struct removals *removals = arg;
	removals->status = answer->status;
}

static void on_data(void *arg, struct edged_slice bytes)
{
	struct removals *removals = arg;
	/* What is too long is cut, and then no list: the limit of the buffer is enough. */
	(void)buf_add(&removals->answer, bytes.ptr, bytes.len);
	link_call_consume(removals->call, bytes.len);
}

static const char *take(struct removals *removals)
{
	json_t *json =
	        json_loadb(removals->answer.ptr ? removals->answer.ptr : "", removals->answer.len, 0, NULL);
	const char *document = json_string_value(json_object_get(json, "document"));
	int r = document ? identity_take_removed(removals->deps.identity, edged_str(document)) : -EINVAL;
	json_decref(json);
	return r == 0               ? NULL
	       : r == REMOVED_KNOWN ? "it is older than it said"
	       : r == -EBADMSG      ? "it is not signed by the account's key"
	       : r == -ESTALE       ? "it is of another account"
	       : r == -EINVAL       ? "it is no such list"
	                            : strerror(-r);
}

static void on_end(void *arg, const struct link_failure *failure)
{
	struct removals *removals = arg;
	removals->call = NULL;
	const char *why = failure                   ? failure->why
	                  : removals->status != 200 ? "it refuses to tell"
	                                            : take(removals);
	buf_fini(&removals->answer);
	if (why) {
		retry_later(removals, why);
	} else {
		removals->failures = 0;
		removals->failed[0] = '\0';
	}
	removals_look(removals);
}

static void ask(struct removals *removals)
{
	static const struct link_reply reply = { .head = on_head, .data = on_data, .end = on_end };
	struct link_failure failure;
	const struct link_request request = {
		.node_id = removals->source,
		.send = { .method = edged_str("GET"),
		        .target = edged_str(LIST_PATH),
		        .authority = edged_str(removals->source) },
		.answer_ms = REMOVALS_ANSWER_MS,
		.reply = &reply,
		.arg = removals,
		.brief = true,
	};
	buf_init(&removals->answer, ANSWER_MAX);
	removals->status = 0;
	removals->counts.questions++;
	removals->due_ms = now_of(removals) + REMOVALS_GAP_MS;
	if (links_request(removals->deps.links, &request, &removals->call, &failure)) {
		removals->call = NULL;
		retry_later(removals, failure.why);
	}
}

void removals_look(struct removals *removals)
{
	char source[NODE_ID_LEN + 1];
	if (removals->call ||
	        !removals->deps.source(removals->deps.arg, version_of(removals), removals->failed, source))
		return;
	uint64_t now = now_of(removals);
	/* Whoever failed waits its time; others, who may know better, do not. */
	bool again = removals->failures && strcmp(source, removals->failed) == 0;
	if (now < removals->due_ms && (again || !removals->failures)) {
		timer_set(removals->timer, removals->due_ms - now);
		return;
	}
	memcpy(removals->source, source, sizeof(source));
	ask(removals);
}

static void on_timer(void *arg)
{
	removals_look(arg);
}

/* --- routes --- */

static json_t *time_json(uint64_t ms)
{
	char text[32];
	answer_time(ms, text);
	return json_string(text);
}

static json_t *removal_json(const struct removal *removal)
{
	char id[NODE_ID_LEN + 1];
	node_id_format(removal->id, id);
	return json_pack("{s:s,s:o,s:o}", "id", id, "since", time_json(removal->since_ms), "until",
	        time_json(removal->until_ms));
}

static int serve_list(void *self, edged_handle request)
{
	const struct removals *removals = self;
	const struct removal_list *list = identity_removed(removals->deps.identity);
	struct edged_slice text = identity_removed_text(removals->deps.identity);
	json_t *json = json_pack("{s:I,s:[],s:s#}", "version", (json_int_t)list->version, "data", "document",
	        text.ptr ? text.ptr : "", text.len);
	for (unsigned i = 0; json && i < list->count; i++)
		if (json_array_append_new(json_object_get(json, "data"), removal_json(&list->removed[i]))) {
			json_decref(json);
			json = NULL;
		}
	return answer_json(removals->deps.requests, request, 200, json);
}

static int refuse(const struct removals *removals, edged_handle request, const struct node_record *node,
        int error, const char *why)
{
	struct requests *requests = removals->deps.requests;
	const struct identity *identity = removals->deps.identity;
	switch (error) {
	case -EACCES:
		if (!identity_account_id(identity)[0])
			return request_problem(requests, request, 409, "no-account",
			        "This node belongs to no account", "There is nothing to remove nodes from.");
		return owner_key_elsewhere(requests, request, identity,
		        "This node cannot remove others: the account's key is not here", false);
	case -EINVAL:
		return request_problem(requests, request, 409, "account-key-here",
		        "The node that holds the account's key cannot be removed",
		        "If it was stolen, found a new account: the thief could sign certificates of this "
		        "one.");
	case -EALREADY:
		return request_problemf(requests, request, 409, "node-removed", "The node was removed before",
		        "GET " LIST_PATH " lists %s.", node->id);
	case -ENOSPC:
		return request_problemf(requests, request, 409, "too-many-removals",
		        "The list of removed nodes is full",
		        "%d nodes are on it; lines end by themselves 37 days after they were made.",
		        REMOVALS_MAX);
	default: /* of the system */
		return request_problem(
		        requests, request, 500, "not-removed", "The node was not removed", why);
	}
}

static int serve_remove(void *self, edged_handle request)
{
	struct removals *removals = self;
	struct node_record node;
	struct err err = { "" };
	if (!owner_asks(removals->deps.requests, request) ||
	        !owner_names_node(
	                removals->deps.requests, request, removals->deps.find, removals->deps.arg, &node))
		return 0;
	int r = identity_remove(removals->deps.identity, node.id, &err);
	if (r)
		return refuse(removals, request, &node, r, err.text);
	log_notice("cluster", "node %s (%s) was removed from account %s", node.id, node.name,
	        identity_account_id(removals->deps.identity));
	return answer_json(removals->deps.requests, request, 200,
	        json_pack("{s:s,s:s,s:s,s:I}", "id", node.id, "name", node.name, "account",
	                identity_account_id(removals->deps.identity), "version",
	                (json_int_t)version_of(removals)));
}

static const struct edged_route routes[] = {
	{ "GET", LIST_PATH, serve_list,
	        "Nodes that were removed from the account, and the signed list of them", NULL,
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "DELETE", "/mds/v1/nodes/{id}", serve_remove, "Removes a node from the account, for good", NULL,
	        EDGED_SCOPE_NODE, 0 },
	{ 0 },
};

/* --- life --- */

int removals_new(const struct removals_deps *deps, struct removals **ret, struct err *err)
{
	struct removals *removals = calloc(1, sizeof(*removals));
	if (!removals || timer_new(deps->loop, on_timer, removals, &removals->timer)) {
		free(removals);
		return err_set(err, -ENOMEM, "no memory for the list of removed nodes");
	}
	removals->deps = *deps;
	const struct route_owner owner = {
		.name = "edged", .owner = removals, .self = removals, .core = true
	};
	int r = router_add(deps->router, &owner, routes, sizeof(routes[0]), err);
	if (r) {
		timer_free(removals->timer);
		free(removals);
		return r;
	}
	identity_on_removed(deps->identity, list_changed, removals);
	*ret = removals;
	return 0;
}

void removals_free(struct removals *removals)
{
	if (!removals)
		return;
	identity_on_removed(removals->deps.identity, NULL, NULL);
	router_remove(removals->deps.router, removals);
	if (removals->call)
		link_call_cancel(removals->call);
	buf_fini(&removals->answer);
	timer_free(removals->timer);
	free(removals);
}

struct removals_counts removals_counts(const struct removals *removals)
{
	struct removals_counts counts = removals->counts;
	counts.removed = identity_removed(removals->deps.identity)->count;
	return counts;
}

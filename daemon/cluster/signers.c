/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/signers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include "base/log.h"
#include "cluster/answer.h"
#include "cluster/files.h"
#include "cluster/identity.h"
#include "cluster/join.h"
#include "cluster/join_client.h"
#include "cluster/owner.h"
#include "cluster/removal.h"
#include "cluster/signer.h"
#include "cluster/token.h"
#include "io/loop.h"

enum { REQUEST_MAX = 4096 };

struct signers {
	struct signers_deps deps;
	struct timer *timer;
	struct join_client *client; /* NULL: no certificate is being asked for */
	unsigned failures;          /* in a row */
	struct signers_counts counts;
};

/* --- this node as a signer --- */

static void ended(struct signers *signers, const char *why)
{
	if (!why) {
		signers->failures = 0;
		signers->counts.renewals++;
		log_notice("identity", "this node signs for account %s",
		        identity_account_id(signers->deps.identity));
		return;
	}
	uint64_t wait = join_retry_ms(signers->failures);
	if (signers->failures++ == 3)
		log_warning("identity",
		        "this node is to be a signer, has no certificate for it, and tries on and on: %s",
		        why);
	signers->counts.failures++;
	timer_set(signers->timer, wait);
}

static void answered(void *arg, const struct join_result *result)
{
	struct signers *signers = arg;
	signers->client = NULL;
	ended(signers, result->status ? result->why : NULL);
}

/* The holder can be a signer as well: so its owner can take the account's key away. */
static int sign_here(struct signers *signers, struct err *err)
{
	struct identity *identity = signers->deps.identity;
	CLEANUP(buf_fini) struct buf der = BUF_EMPTY, pem = BUF_EMPTY;
	int r = identity_signer_request(identity, &der);
	if (!r)
		r = identity_sign_signer(identity, buf_slice(&der), identity_node_id(identity), &pem);
	if (r)
		return err_set(err, r, "it cannot be signed: %s", strerror(-r));
	signers->counts.signed_certificates++;
	return identity_signer_adopt(identity, buf_slice(&pem), err);
}

static void ask_holder(struct signers *signers)
{
	struct join_result failure;
	const struct join_client_options options = {
		.identity = signers->deps.identity,
		.links = signers->deps.links,
		.node_id = identity_ca_holder(signers->deps.identity),
		.signer = true,
		.done = answered,
		.arg = signers,
	};
	if (join_client_start(&options, &signers->client, &failure))
		ended(signers, failure.why);
}

static void tick(void *arg)
{
	struct signers *signers = arg;
	struct identity *identity = signers->deps.identity;
	struct err err = { "" };
	timer_set(signers->timer, SIGNERS_LOOK_MS);
	if (signers->client || !identity_signer_due(identity))
		return;
	if (identity_holds_ca(identity))
		ended(signers, sign_here(signers, &err) ? err.text : NULL);
	else if (strcmp(identity_ca_holder(identity), identity_node_id(identity)) == 0)
		ended(signers, "the account's key is off line");
	else
		ask_holder(signers);
}

void signers_look(struct signers *signers)
{
	timer_set(signers->timer, 0);
}

/* --- routes: for people --- */

static json_t *time_json(uint64_t ms)
{
	char text[32];
	answer_time(ms, text);
	return ms ? json_string(text) : json_null();
}

static json_t *signer_json(const struct signers *signers, const struct removal *signer)
{
	struct node_record node = { .name = "" };
	char id[NODE_ID_LEN + 1];
	node_id_format(signer->id, id);
	bool known = signers->deps.find(signers->deps.arg, edged_str(id), &node, NULL);
	return json_pack("{s:s,s:s,s:o,s:o}", "id", id, "name", known ? node.name : "", "since",
	        time_json(signer->since_ms), "certificateExpires", time_json(signer->until_ms));
}

static int serve_list(void *self, edged_handle request)
{
	const struct signers *signers = self;
	const struct removal_list *list = identity_removed(signers->deps.identity);
	json_t *json = json_pack("{s:s,s:[],s:i}", "holder", identity_ca_holder(signers->deps.identity),
	        "data", "limit", SIGNERS_MAX);
	for (unsigned i = 0; json && i < list->signer_count; i++)
		if (json_array_append_new(
		            json_object_get(json, "data"), signer_json(signers, &list->signers[i]))) {
			json_decref(json);
			json = NULL;
		}
	return answer_json(signers->deps.requests, request, 200, json);
}

static int refuse(const struct signers *signers, edged_handle request, const char *node_id, int error,
        const struct err *err)
{
	struct requests *requests = signers->deps.requests;
	const struct identity *identity = signers->deps.identity;
	switch (error) {
	case -EACCES:
		if (!identity_account_id(identity)[0])
			return request_problem(requests, request, 409, "no-account",
			        "This node belongs to no account", "Found one with edgectl invite.");
		return owner_key_elsewhere(requests, request, identity,
		        "This node cannot change who signs: the account's key is not here", false);
	case -ENOENT:
		return request_problemf(requests, request, 404, "no-signer", "The node is no signer",
		        "GET " SIGNERS_PATH " does not list %s.", node_id);
	case -EKEYREVOKED:
		return request_problemf(requests, request, 409, "node-removed",
		        "The node was removed from the account", "Invite node %s anew first.", node_id);
	case -ENOSPC:
		return request_problemf(requests, request, 409, "too-many-signers",
		        "There are as many signers as there may be",
		        "At most %d nodes are signers at once; with those that were, in the 13 months "
		        "before, %d.",
		        SIGNERS_MAX, FORMER_SIGNERS_MAX);
	default: /* of the system */
		return request_problem(requests, request, 500, "not-changed",
		        "The list of signers was not changed", err->text);
	}
}

static bool is_of_account(const struct signers *signers, edged_handle request, const struct node_record *node)
{
	const char *account = identity_account_id(signers->deps.identity);
	if (node->self || !node->account[0] || !account[0] || strcmp(node->account, account) == 0)
		return true;
	(void)request_problemf(signers->deps.requests, request, 409, "node-elsewhere",
	        "The node is of another account", "Node %s (%s) is of account %s, this one of %s.", node->id,
	        node->name, node->account, account);
	return false;
}

static int reply(const struct signers *signers, edged_handle request, const struct node_record *node)
{
	return answer_json(signers->deps.requests, request, 200,
	        json_pack("{s:s,s:s,s:s}", "id", node->id, "name", node->name, "account",
	                identity_account_id(signers->deps.identity)));
}

static int serve_add(void *self, edged_handle request)
{
	struct signers *signers = self;
	struct node_record node;
	struct err err = { "" };
	if (!owner_asks(signers->deps.requests, request) ||
	        !owner_names_node(
	                signers->deps.requests, request, signers->deps.find, signers->deps.arg, &node) ||
	        !is_of_account(signers, request, &node))
		return 0;
	int r = identity_add_signer(signers->deps.identity, node.id, &err);
	if (r && r != -EALREADY) /* a PUT may be repeated */
		return refuse(signers, request, node.id, r, &err);
	if (!r)
		log_notice("cluster", "node %s (%s) is a signer of account %s now", node.id, node.name,
		        identity_account_id(signers->deps.identity));
	return reply(signers, request, &node);
}

static int serve_drop(void *self, edged_handle request)
{
	struct signers *signers = self;
	struct node_record node;
	struct err err = { "" };
	if (!owner_asks(signers->deps.requests, request) ||
	        !owner_names_node(
	                signers->deps.requests, request, signers->deps.find, signers->deps.arg, &node))
		return 0;
	int r = identity_drop_signer(signers->deps.identity, node.id, &err);
	if (r)
		return refuse(signers, request, node.id, r, &err);
	log_notice("cluster", "node %s (%s) is no signer of account %s any more", node.id, node.name,
	        identity_account_id(signers->deps.identity));
	return reply(signers, request, &node);
}

/* --- routes: for signers --- */

static int sign(struct signers *signers, edged_handle request, const char *node_id, struct edged_slice der)
{
	struct requests *requests = signers->deps.requests;
	CLEANUP(buf_fini) struct buf pem = BUF_EMPTY;
	int r = identity_sign_signer(signers->deps.identity, der, node_id, &pem);
	switch (r) {
	case 0:
		signers->counts.signed_certificates++;
		return answer_json(requests, request, 200, json_pack("{s:s}", "certificate", pem.ptr));
	case -EACCES:
		return owner_key_elsewhere(requests, request, signers->deps.identity,
		        "This node cannot make signers: the account's key is not here", false);
	case -ENOENT:
		return request_problem(requests, request, 403, "no-signer", "This node is no signer",
		        "The account's owner chooses them with edgectl signer add.");
	case -EINVAL:
		return request_problem(requests, request, 400, "bad-request",
		        "The certificate request cannot be signed",
		        "It must be whole, and not for the key that the connection was made with.");
	default:
		return r;
	}
}

static int serve_sign(void *self, edged_handle request)
{
	struct signers *signers = self;
	struct requests *requests = signers->deps.requests;
	const struct edged_peer *peer = request_peer(requests, request);
	CLEANUP(buf_fini) struct buf der = { .limit = REQUEST_MAX };
	if (!peer->node_id || !peer->trusted || request_hops(requests, request) > 1)
		return request_problem(requests, request, 403, "not-a-node",
		        "Only a node of the account may ask, by itself",
		        "Signers get their certificate over a link from the holder of the account's key.");
	json_t *body = answer_body(requests, request, "{\"request\": \"PKCS #10, base64url\"}");
	if (!body)
		return 0;
	const char *text = json_string_value(json_object_get(body, "request"));
	bool ok = text && base64_read(edged_str(text), &der) == 0;
	json_decref(body);
	if (!ok)
		return request_problem(requests, request, 400, "bad-request", "The request cannot be read",
		        "It holds \"request\" (PKCS #10, base64url).");
	return sign(signers, request, peer->node_id, buf_slice(&der));
}

static const struct edged_route routes[] = {
	{ "GET", SIGNERS_PATH, serve_list,
	        "Nodes that may sign certificates besides the holder of the account's key", NULL,
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "PUT", SIGNERS_PATH "/{id}", serve_add, "Lets a node sign certificates of the account's nodes",
	        NULL, EDGED_SCOPE_NODE, 0 },
	{ "DELETE", SIGNERS_PATH "/{id}", serve_drop, "Takes that right from a node", NULL, EDGED_SCOPE_NODE,
	        0 },
	{ "POST", SIGNERS_PATH, serve_sign, "For signers: signs their certificate", NULL, EDGED_SCOPE_ACCOUNT,
	        0 },
	{ 0 },
};

/* --- life --- */

int signers_new(const struct signers_deps *deps, struct signers **ret, struct err *err)
{
	struct signers *signers = calloc(1, sizeof(*signers));
	if (!signers || timer_new(deps->loop, tick, signers, &signers->timer)) {
		free(signers);
		return err_set(err, -ENOMEM, "no memory for signers");
	}
	signers->deps = *deps;
	const struct route_owner owner = { .name = "edged", .owner = signers, .self = signers, .core = true };
	int r = router_add(deps->router, &owner, routes, sizeof(routes[0]), err);
	if (r) {
		timer_free(signers->timer);
		free(signers);
		return r;
	}
	timer_set(signers->timer, 0);
	*ret = signers;
	return 0;
}

void signers_free(struct signers *signers)
{
	if (!signers)
		return;
	router_remove(signers->deps.router, signers);
	join_client_free(signers->client);
	timer_free(signers->timer);
	free(signers);
}

struct signers_counts signers_counts(const struct signers *signers)
{
	const struct removal_list *list = identity_removed(signers->deps.identity);
	struct signers_counts counts = signers->counts;
	counts.signers = list->signer_count;
	counts.former = list->former_count;
	return counts;
}

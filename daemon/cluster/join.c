/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/join.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <jansson.h>
#include "base/clock.h"
#include "base/log.h"
#include "cluster/address.h"
#include "cluster/answer.h"
#include "cluster/cert.h"
#include "cluster/files.h"
#include "cluster/identity.h"
#include "cluster/join_client.h"
#include "cluster/join_proof.h"
#include "cluster/link.h"
#include "cluster/owner.h"
#include "cluster/removal.h"
#include "io/loop.h"

struct join {
	struct join_deps deps;
	struct invites invites;
	struct join_client *client; /* the one join or renewal under way */
	bool joins;                 /* which of the two */
	void (*done)(void *arg, const struct join_result *result);
	void *done_arg;
	edged_handle joining; /* the request that the join is for */
	struct timer *timer;
	unsigned failures; /* of renewing, in a row */
	unsigned asked;    /* how many were, of those that could renew it */
	struct join_counts counts;
};

static uint64_t now(const struct join *join)
{
	return join->deps.now ? join->deps.now(join->deps.arg) : loop_now(join->deps.loop);
}

/* --- answers --- */

static int reply_json(const struct join *join, edged_handle request, int status, json_t *json)
{
	return answer_json(join->deps.requests, request, status, json);
}

static int problem(const struct join *join, edged_handle request, int status, const char *type,
        const char *title, const char *detail)
{
	return request_problem(join->deps.requests, request, status, type, title, detail);
}

static json_t *read_body(const struct join *join, edged_handle request)
{
	return answer_body(join->deps.requests, request, "{\"token\": \"edged1...\"}");
}

/* --- inviting --- */

/* Makes the account when there is none. False: answered. */
static bool found_account(const struct join *join, edged_handle request)
{
	struct identity *identity = join->deps.identity;
	struct err err = { "" };
	if (!identity_account_id(identity)[0] && identity_create_account(identity, &err)) {
		(void)problem(
		        join, request, 500, "account-not-made", "The account could not be founded", err.text);
		return false;
	}
	timer_set(join->timer, 0); /* there is a certificate now to look after */
	return true;
}

static void list_addresses(const struct join *join, struct join_token *token)
{
	char listeners[16][64];
	unsigned n = join->deps.secure_addresses(join->deps.arg, listeners, ARRAY_LEN(listeners)), count = 0;
	for (unsigned i = 0; i < n; i++)
		count = address_expand(listeners[i], token->addresses, count, TOKEN_ADDRESSES);
}

bool join_may_invite(const struct join *join, edged_handle request)
{
	struct identity *identity = join->deps.identity;
	struct join_token token = { .expires = 0 };
	if (identity_account_id(identity)[0] && !identity_can_sign(identity)) {
		(void)owner_key_elsewhere(join->deps.requests, request, identity,
		        "This node cannot invite: it does not have the account's key, and is no signer",
		        true);
		return false;
	}
	list_addresses(join, &token);
	if (token.addresses[0][0])
		return true;
	(void)problem(join, request, 503, "no-secure-port", "This node has no secure port",
	        "Other nodes reach it by TLS only: listen with tls=ADDRESS:PORT, then try again.");
	return false;
}

static bool read_life(const struct join *join, edged_handle request, uint64_t *ret)
{
	json_t *body = read_body(join, request);
	if (!body)
		return false;
	const json_t *life = json_object_get(body, "for");
	json_int_t seconds = life ? json_integer_value(life) : (json_int_t)join->deps.limits.invite_s;
	bool ok = (!life || json_is_integer(life)) && seconds >= 1 && seconds <= JOIN_MAX_S;
	json_decref(body);
	*ret = (uint64_t)seconds;
	if (!ok)
		(void)request_problemf(join->deps.requests, request, 400, "bad-duration",
		        "The time cannot be used",
		        "\"for\" is how long the invite is good: a whole number of seconds from 1 to %d.",
		        JOIN_MAX_S);
	return ok;
}

int join_invite(struct join *join, edged_handle request, uint64_t seconds, struct join_token *ret)
{
	const struct identity *identity = join->deps.identity;
	struct join_token token = { .expires = 0 };
	if (!join_may_invite(join, request) || !found_account(join, request))
		return JOIN_ANSWERED;
	int r = invites_add(&join->invites, now(join), now(join) + seconds * 1000, token.secret);
	if (r == -ENOSPC) {
		(void)request_problemf(join->deps.requests, request, 429, "too-many-invites",
		        "Too many open invites",
		        "%d invites are open. Use one, or wait until they have run out.", JOIN_INVITES);
		return JOIN_ANSWERED;
	}
	if (r)
		return r;
	list_addresses(join, &token);
	snprintf(token.account_id, sizeof(token.account_id), "%s", identity_account_id(identity));
	snprintf(token.node_id, sizeof(token.node_id), "%s", identity_node_id(identity));
	token.expires = identity_time(join->deps.identity) / 1000 + seconds;
	join->counts.invites++;
	*ret = token;
	return 0;
}

static int reply_invite(struct join *join, edged_handle request, const struct join_token *token)
{
	CLEANUP(buf_wipe) struct buf text = BUF_EMPTY;
	char expires[32];
	int r = token_write(token, &text);
	if (r)
		return r;
	answer_time(token->expires * 1000, expires);
	return reply_json(join, request, 201,
	        json_pack("{s:s,s:s,s:s}", "token", text.ptr, "expires", expires, "account",
	                token->account_id));
}

static int serve_invites(void *self, edged_handle request)
{
	struct join *join = self;
	struct join_token token;
	uint64_t seconds;
	if (!owner_asks(join->deps.requests, request) || !read_life(join, request, &seconds))
		return 0;
	int r = join_invite(join, request, seconds, &token);
	if (r)
		return r == JOIN_ANSWERED ? 0 : r;
	r = reply_invite(join, request, &token);
	explicit_bzero(&token, sizeof(token));
	return r;
}

/* --- signing --- */

struct sign_request {
	struct buf der, proof;
	char name[64];
};

static void sign_request_fini(struct sign_request *sign)
{
	buf_fini(&sign->der);
	buf_fini(&sign->proof);
}

/* An invite is the owner's word: who was removed before is of the account again. That needs the account's key; false:
 * answered. */
static bool readmit(const struct join *join, edged_handle request, const char *node_id)
{
	struct err err = { "" };
	int r = identity_readmit(join->deps.identity, node_id, &err);
	if (!r)
		return true;
	log_warning("join", "node %s stays removed: %s", node_id, err.text);
	if (r == -EACCES)
		(void)owner_key_elsewhere(join->deps.requests, request, join->deps.identity,
		        "The node was removed from the account, and a signer cannot take it back", false);
	else
		(void)problem(join, request, 500, "not-readmitted", "The node stays removed", err.text);
	return false;
}

/* False: answered. */
static bool read_sign_request(const struct join *join, edged_handle request, struct sign_request *ret)
{
	const char *der = NULL, *proof = "", *name = "";
	json_t *body = read_body(join, request);
	if (!body)
		return false;
	buf_init(&ret->der, 4096);
	buf_init(&ret->proof, PROOF_LEN);
	bool ok = json_unpack(body, "{s:s,s?s,s?s}", "request", &der, "proof", &proof, "name", &name) == 0 &&
	          strlen(name) < sizeof(ret->name) && base64_read(edged_str(der), &ret->der) == 0 &&
	          base64_read(edged_str(proof), &ret->proof) == 0;
	if (ok)
		snprintf(ret->name, sizeof(ret->name), "%s", name);
	else
		(void)problem(join, request, 400, "bad-request", "The request cannot be read",
		        "It holds \"request\" (PKCS #10, base64url), \"proof\" and \"name\".");
	json_decref(body);
	return ok;
}

static int sign_and_reply(
        struct join *join, edged_handle request, const char *node_id, const struct sign_request *sign)
{
	struct identity *identity = join->deps.identity;
	CLEANUP(buf_fini) struct buf pem = BUF_EMPTY;
	int r = identity_sign(identity, buf_slice(&sign->der), node_id, edged_str(sign->name), &pem);
	if (r == -EINVAL)
		return problem(join, request, 400, "bad-request", "The certificate request cannot be signed",
		        "It must be whole, and for the key that the connection was made with.");
	if (r)
		return r;
	return reply_json(join, request, 200,
	        json_pack("{s:s,s:s,s:s,s:s}", "account", identity_account_id(identity), "holder",
	                identity_ca_holder(identity), "certificate", pem.ptr, "ca",
	                identity_ca_pem(identity)));
}

static int refuse_join(struct join *join, edged_handle request, const char *source)
{
	join->counts.refused++;
	log_warning("join", "a node at %s was refused: no open invite fits its proof", source);
	return problem(join, request, 403, "invite-unknown", "This invite is not open",
	        "It has been used, has run out, or was taken back by a restart. Ask for a new one with "
	        "edgectl invite.");
}

static int serve_sign(void *self, edged_handle request)
{
	struct join *join = self;
	const struct edged_peer *peer = request_peer(join->deps.requests, request);
	struct edged_stream *stream = links_stream_of(join->deps.links, peer);
	uint8_t exported[PROOF_EXPORT];
	char source[64];
	if (!stream || !peer->node_id || stream_export_key(stream, PROOF_LABEL, exported, sizeof(exported)))
		return problem(join, request, 400, "wrong-way", "Nodes join over a link",
		        "This path is for other nodes. Use edgectl join TOKEN on the node that is to join.");
	address_source(peer->address, source);
	if (invites_shut(&join->invites, now(join), source))
		return request_problemf(join->deps.requests, request, 429, "too-many-tries",
		        "Too many wrong proofs from this address",
		        "Wait %llu s, then try again with a new invite.",
		        (unsigned long long)(join->deps.limits.penalty_ms + 999) / 1000);
	CLEANUP(sign_request_fini) struct sign_request sign = { 0 };
	if (!read_sign_request(join, request, &sign))
		return 0;
	struct invite *invite = invites_match(
	        &join->invites, now(join), source, exported, buf_slice(&sign.der), buf_slice(&sign.proof));
	if (!invite)
		return refuse_join(join, request, source);
	if (!readmit(join, request, peer->node_id))
		return 0;
	int r = sign_and_reply(join, request, peer->node_id, &sign);
	if (r)
		return r;
	invite_close(invite);
	join->counts.joined++;
	log_notice("join", "node %s (%s) at %s joined the account", peer->node_id, sign.name, source);
	return 0;
}

static int serve_renew(void *self, edged_handle request)
{
	struct join *join = self;
	const struct edged_peer *peer = request_peer(join->deps.requests, request);
	uint8_t id[32];
	if (!peer->node_id || !peer->trusted || request_hops(join->deps.requests, request) > 1 ||
	        !node_id_parse(edged_str(peer->node_id), id) || identity_is_removed(join->deps.identity, id))
		return problem(join, request, 403, "not-a-node",
		        "Only a node of the account may ask, by itself",
		        "Certificates are renewed over a link between the node and the one that signs.");
	if (!identity_can_sign(join->deps.identity))
		return owner_key_elsewhere(join->deps.requests, request, join->deps.identity,
		        "This node cannot sign: it does not have the account's key, and is no signer", true);
	CLEANUP(sign_request_fini) struct sign_request sign = { 0 };
	if (!read_sign_request(join, request, &sign))
		return 0;
	return sign_and_reply(join, request, peer->node_id, &sign);
}

/* --- joining and renewing: the asking side --- */

static void ended(void *arg, const struct join_result *result)
{
	struct join *join = arg;
	join->client = NULL;
	if (result->status == 0 && join->joins) {
		log_notice("join", "this node joined account %s", identity_account_id(join->deps.identity));
		timer_set(join->timer, 0); /* there is a certificate now to look after */
	} else if (join->joins) {
		log_warning("join", "not joined: %s", result->why);
	}
	join->done(join->done_arg, result);
}

/* `token` NULL: renews, at node `node_id`. */
static int start_client(struct join *join, const struct join_token *token, const char *node_id,
        void (*done)(void *arg, const struct join_result *result), void *arg, struct join_result *ret_failure)
{
	const struct join_client_options options = {
		.identity = join->deps.identity,
		.links = join->deps.links,
		.token = token,
		.node_id = node_id,
		.done = ended,
		.arg = join,
	};
	join->joins = token != NULL;
	join->done = done;
	join->done_arg = arg;
	return join_client_start(&options, &join->client, ret_failure);
}

static int may_join(const struct join *join, struct join_result *ret_failure)
{
	const char *account = identity_account_id(join->deps.identity);
	if (!join->client && !account[0])
		return 0;
	*ret_failure = (struct join_result){ .status = 409 };
	if (join->client) {
		ret_failure->type = "join-under-way";
		snprintf(ret_failure->why, sizeof(ret_failure->why),
		        "another join is under way; wait until it has ended, then try again");
		return -EBUSY;
	}
	ret_failure->type = "account-exists";
	snprintf(ret_failure->why, sizeof(ret_failure->why),
	        "it is of account %s; to leave it, stop the node, remove account.json and ca.pem from the "
	        "folder identity in its state folder, and start it again",
	        account);
	return -EEXIST;
}

int join_begin(struct join *join, const struct join_token *token,
        void (*done)(void *arg, const struct join_result *result), void *arg, struct join_result *ret_failure)
{
	int r = may_join(join, ret_failure);
	return r ? r : start_client(join, token, NULL, done, arg, ret_failure);
}

static int refuse(const struct join *join, edged_handle request, const struct join_result *failure)
{
	return problem(join, request, failure->status, failure->type, "This node did not join", failure->why);
}

static void joined(void *arg, const struct join_result *result)
{
	struct join *join = arg;
	edged_handle request = join->joining;
	if (result->status)
		(void)refuse(join, request, result);
	else
		(void)reply_json(join, request, 200,
		        json_pack("{s:s,s:s,s:s}", "account", identity_account_id(join->deps.identity),
		                "nodeId", identity_node_id(join->deps.identity), "inviter", result->node_id));
}

static int serve_join(void *self, edged_handle request)
{
	struct join *join = self;
	struct join_token token;
	struct join_result failure;
	struct err err = { "" };
	if (!owner_asks(join->deps.requests, request))
		return 0;
	if (may_join(join, &failure))
		return refuse(join, request, &failure);
	json_t *body = read_body(join, request);
	if (!body)
		return 0;
	const char *text = json_string_value(json_object_get(body, "token"));
	int r = token_read(edged_str(text), &token, &err);
	json_decref(body);
	if (r)
		return problem(join, request, 400, "bad-token", "The token cannot be used", err.text);
	join->joining = request;
	r = join_begin(join, &token, joined, join, &failure);
	explicit_bzero(&token, sizeof(token));
	return r ? refuse(join, request, &failure) : 0;
}

uint64_t join_retry_ms(unsigned failures)
{
	uint64_t wait = (uint64_t)JOIN_RETRY_MS << (failures < 16 ? failures : 16);
	return wait < JOIN_RETRY_MAX ? wait : JOIN_RETRY_MAX;
}

static void renewal_failed(struct join *join, const char *why)
{
	uint64_t wait = join_retry_ms(join->failures);
	/* Who has just started does not know yet where the others are. */
	if (join->failures++ == 3)
		log_warning("join", "the certificate is not renewed, and it is tried on and on: %s", why);
	join->counts.renewal_failures++;
	timer_set(join->timer, wait);
}

/* Who may renew it, in the order in which they are asked: the holder of the account's key, then the signers. "": this node
 * itself, which is not asked. False: that was all. */
static bool who_renews(const struct join *join, unsigned n, char ret_id[NODE_ID_LEN + 1])
{
	const struct identity *identity = join->deps.identity;
	const struct removal_list *list = identity_removed(identity);
	if (n > list->signer_count)
		return false;
	if (n == 0)
		snprintf(ret_id, NODE_ID_LEN + 1, "%s", identity_ca_holder(identity));
	else
		node_id_format(list->signers[n - 1].id, ret_id);
	if (strcmp(ret_id, identity_node_id(identity)) == 0)
		ret_id[0] = '\0';
	return true;
}

static void renewed(void *arg, const struct join_result *result);

/* `why`: what the one before failed with. */
static void ask_next(struct join *join, const char *why)
{
	char id[NODE_ID_LEN + 1];
	struct join_result failure = { .status = 0 };
	snprintf(failure.why, sizeof(failure.why), "%s", why);
	while (who_renews(join, join->asked++, id))
		if (id[0] && start_client(join, NULL, id, renewed, join, &failure) == 0)
			return;
	renewal_failed(join, failure.why);
}

static void renewed(void *arg, const struct join_result *result)
{
	struct join *join = arg;
	if (result->status) {
		ask_next(join, result->why);
		return;
	}
	join->counts.renewals++;
	join->failures = 0;
	timer_set(join->timer, JOIN_LOOK_MS);
	log_info("join", "the certificate was renewed by node %s", result->node_id);
}

static void tick(void *arg)
{
	struct join *join = arg;
	bool renew;
	timer_set(join->timer, identity_tick(join->deps.identity, &renew));
	if (!renew || join->client)
		return;
	join->asked = 0;
	ask_next(join, "no other node may sign");
}

/* --- the account --- */

static int serve_account(void *self, edged_handle request)
{
	struct join *join = self;
	struct identity *identity = join->deps.identity;
	if (!identity_account_id(identity)[0])
		return problem(join, request, 404, "no-account", "This node belongs to no account",
		        "Found one with edgectl invite, or join one with edgectl join TOKEN.");
	X509 *certificate;
	char expires[32];
	int r = cert_read(edged_str(identity_certificate_pem(identity)), &certificate);
	if (r)
		return r;
	answer_time(cert_until(certificate), expires);
	X509_free(certificate);
	return reply_json(join, request, 200,
	        json_pack("{s:s,s:s,s:b,s:s,s:s}", "account", identity_account_id(identity), "holder",
	                identity_ca_holder(identity), "canInvite", identity_can_sign(identity),
	                "certificateExpires", expires, "ca", identity_ca_pem(identity)));
}

static int serve_found(void *self, edged_handle request)
{
	struct join *join = self;
	if (!owner_asks(join->deps.requests, request) || !found_account(join, request))
		return 0;
	return serve_account(self, request);
}

static const struct edged_route routes[] = {
	{ "GET", "/edge/v1/account", serve_account, "The account this node belongs to", NULL,
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "POST", "/edge/v1/account", serve_found, "Founds an account, if the node belongs to none yet", NULL,
	        EDGED_SCOPE_NODE, 0 },
	{ "POST", "/edge/v1/invites", serve_invites, "A token with which one more node can join the account",
	        NULL, EDGED_SCOPE_NODE, 0 },
	{ "POST", "/edge/v1/join", serve_join, "Joins the account that a token invites to", NULL,
	        EDGED_SCOPE_NODE, 0 },
	{ "POST", JOIN_SIGN_PATH, serve_sign, "For nodes that join: signs a certificate request", NULL,
	        EDGED_SCOPE_PROXIMITY, 0 },
	{ "POST", "/edge/v1/account/renew", serve_renew, "For nodes of the account: renews their certificate",
	        NULL, EDGED_SCOPE_ACCOUNT, 0 },
	{ 0 },
};

int join_new(const struct join_deps *deps, struct join **ret, struct err *err)
{
	struct join *join = calloc(1, sizeof(*join));
	if (!join || timer_new(deps->loop, tick, join, &join->timer)) {
		free(join);
		return err_set(err, -ENOMEM, "no memory for joining");
	}
	join->deps = *deps;
	join->invites.tries = deps->limits.tries;
	join->invites.penalty_ms = deps->limits.penalty_ms;
	const struct route_owner owner = { .name = "edged", .owner = join, .self = join, .core = true };
	int r = router_add(deps->router, &owner, routes, sizeof(routes[0]), err);
	if (r) {
		timer_free(join->timer);
		free(join);
		return r;
	}
	timer_set(join->timer, 0);
	*ret = join;
	return 0;
}

void join_look(struct join *join)
{
	timer_set(join->timer, 0);
}

void join_free(struct join *join)
{
	if (!join)
		return;
	router_remove(join->deps.router, join);
	join_client_free(join->client);
	timer_free(join->timer);
	explicit_bzero(&join->invites, sizeof(join->invites));
	free(join);
}

struct join_counts join_counts(const struct join *join)
{
	struct join_counts counts = join->counts;
	invites_count(&join->invites, now(join), &counts.open, &counts.shut);
	return counts;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/join_client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <jansson.h>
#include "cluster/files.h"
#include "cluster/identity.h"
#include "cluster/join.h"
#include "cluster/join_proof.h"
#include "cluster/link.h"
#include "cluster/signer.h"
#include "cluster/signers.h"
#include "cluster/token.h"

enum {
	ANSWER_MAX = 64 * 1024,
};

struct join_client {
	struct join_client_options options;
	struct join_token token;
	const char *addresses[TOKEN_ADDRESSES + 1];
	struct link_call *call;
	struct buf request; /* DER */
	struct buf body, answer;
	struct buf certificate, issuer; /* the inviter's and the one behind it, DER */
	int status;
	struct join_result result;
};

static int give_up(struct join_result *result, int status, const char *type, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

static int give_up(struct join_result *result, int status, const char *type, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(result->why, sizeof(result->why), format, args);
	va_end(args);
	result->status = status;
	result->type = type;
	return -ECANCELED;
}

void join_client_free(struct join_client *client)
{
	if (!client)
		return;
	if (client->call)
		link_call_cancel(client->call);
	buf_fini(&client->request);
	buf_fini(&client->body);
	buf_fini(&client->answer);
	buf_fini(&client->certificate);
	buf_fini(&client->issuer);
	explicit_bzero(&client->token, sizeof(client->token));
	free(client);
}

static void finish(struct join_client *client)
{
	const struct join_client_options options = client->options;
	const struct join_result result = client->result;
	join_client_free(client);
	options.done(options.arg, &result);
}

/* --- the request --- */

static int write_body(struct join_client *client, const uint8_t *proof)
{
	CLEANUP(buf_fini) struct buf request = BUF_EMPTY, proof_text = BUF_EMPTY;
	int r = base64_write(buf_slice(&client->request), &request);
	if (!r && proof)
		r = base64_write(edged_slice(proof, PROOF_LEN), &proof_text);
	if (!r)
		r = buf_addf(&client->body, "{\"request\":\"%s\",\"proof\":\"%s\",\"name\":", request.ptr,
		        proof_text.ptr ? proof_text.ptr : "");
	if (!r)
		r = buf_add_json(&client->body, edged_str(identity_name(client->options.identity)));
	return r ? r : buf_add_str(&client->body, "}");
}

/* The link is up, to the node that the token names: now the proof can be bound to it. */
static int prepare(void *arg, struct edged_stream *stream, struct link_send *send)
{
	struct join_client *client = arg;
	uint8_t exported[PROOF_EXPORT], proof[PROOF_LEN];
	struct edged_slice certificate = stream_peer_certificate(stream), issuer = stream_peer_issuer(stream);
	int r = buf_add(&client->certificate, certificate.ptr, certificate.len);
	if (!r)
		r = buf_add(&client->issuer, issuer.ptr, issuer.len);
	if (!r)
		r = stream_export_key(stream, PROOF_LABEL, exported, sizeof(exported));
	if (!r)
		r = proof_make(client->token.secret, exported, buf_slice(&client->request), proof);
	if (!r)
		r = write_body(client, proof);
	send->body = buf_slice(&client->body);
	return r;
}

/* --- the answer --- */

static void on_head(void *arg, const struct link_message *answer)
{
	struct join_client *client = arg;
	client->status = answer->status;
}

static void on_data(void *arg, struct edged_slice bytes)
{
	struct join_client *client = arg;
	/* What is too much cannot be read below; the limit of the buffer is enough. */
	(void)buf_add(&client->answer, bytes.ptr, bytes.len);
	link_call_consume(client->call, bytes.len);
}

static int adopt(struct join_client *client, const json_t *json)
{
	const char *account, *holder, *certificate, *ca;
	struct err err = { "" };
	if (json_unpack((json_t *)(uintptr_t)json, "{s:s,s:s,s:s,s:s}", "account", &account, "holder",
	            &holder, "certificate", &certificate, "ca", &ca))
		return give_up(
		        &client->result, 502, "bad-answer", "the node answered what cannot be understood");
	bool joining = client->token.account_id[0] != '\0';
	if (joining && (strcmp(account, client->token.account_id) != 0 ||
	                       !identity_signed_by(edged_str(ca), account, buf_slice(&client->certificate),
	                               buf_slice(&client->issuer))))
		return give_up(&client->result, 502, "wrong-account",
		        "the node that answered is not of the account that the token names; do not trust it");
	const struct identity_grant grant = { joining ? client->token.account_id
		                                      : identity_account_id(client->options.identity),
		edged_str(certificate), edged_str(ca), holder };
	int r = identity_adopt(client->options.identity, &grant, &err);
	if (r == -ETIME)
		return give_up(&client->result, 409, "clocks-differ", "%s", err.text);
	return r ? give_up(&client->result, r == -EINVAL ? 502 : 500, "bad-answer", "%s", err.text) : 0;
}

static int adopt_signer(struct join_client *client, const json_t *json)
{
	struct err err = { "" };
	const char *certificate = json_string_value(json_object_get(json, "certificate"));
	int r = identity_signer_adopt(client->options.identity, edged_str(certificate), &err);
	return r ? give_up(&client->result, r == -EINVAL ? 502 : 500, "bad-answer", "%s", err.text) : 0;
}

static void read_answer(struct join_client *client)
{
	json_t *json = json_loadb(client->answer.ptr ? client->answer.ptr : "", client->answer.len, 0, NULL);
	const char *detail = json_string_value(json_object_get(json, "detail"));
	if (client->status == 200)
		(void)(client->options.signer ? adopt_signer(client, json) : adopt(client, json));
	else
		(void)give_up(&client->result, client->status == 403 ? 403 : 502, "inviter-refused",
		        "node %s refused (%d): %s", client->result.node_id, client->status,
		        detail ? detail : "it did not say why");
	json_decref(json);
}

static void on_end(void *arg, const struct link_failure *failure)
{
	struct join_client *client = arg;
	client->call = NULL;
	if (!failure)
		read_answer(client);
	else
		(void)give_up(&client->result, failure->cause == LINK_TIMEOUT ? 504 : 502,
		        "inviter-unreachable",
		        "node %s cannot be reached%s%s: %s. Check that both nodes are on one network and "
		        "that no "
		        "firewall closes its port",
		        client->result.node_id, *failure->address ? " at " : "", failure->address,
		        failure->why);
	finish(client);
}

static const struct link_reply reply = { .head = on_head, .data = on_data, .end = on_end };

/* --- starting --- */

static const char *path_of(const struct join_client_options *options)
{
	return options->token ? JOIN_SIGN_PATH : options->signer ? SIGNERS_PATH : "/edge/v1/account/renew";
}

static int write_request(struct join_client *client)
{
	struct identity *identity = client->options.identity;
	int r = client->options.signer ? identity_signer_request(identity, &client->request)
	                               : identity_request(identity, &client->request);
	return r || client->options.token ? r : write_body(client, NULL);
}

static int start(struct join_client *client)
{
	static const struct header type = { { "content-type", 12 }, { "application/json", 16 } };
	const bool joining = client->options.token != NULL;
	struct link_failure failure;
	struct link_request request = {
		.node_id = client->result.node_id,
		.send = { .method = edged_str("POST"),
		        .target = edged_str(path_of(&client->options)),
		        .authority = edged_str(client->result.node_id),
		        .headers = &type,
		        .header_count = 1 },
		.answer_ms = JOIN_ANSWER_MS,
		.reply = &reply,
		.arg = client,
		.addresses = joining ? client->addresses : NULL,
		.prepare = joining ? prepare : NULL,
	};
	int r = write_request(client);
	if (r)
		return give_up(&client->result, 500, "no-memory", "no memory for the certificate request");
	request.send.body = buf_slice(&client->body);
	r = links_request(client->options.links, &request, &client->call, &failure);
	return r ? give_up(&client->result, 502, "inviter-unreachable", "%s", failure.why) : 0;
}

int join_client_start(
        const struct join_client_options *options, struct join_client **ret, struct join_result *ret_failure)
{
	struct join_client *client = calloc(1, sizeof(*client));
	if (!client)
		return give_up(ret_failure, 500, "no-memory", "no memory");
	client->options = *options;
	buf_init(&client->answer, ANSWER_MAX);
	if (options->token)
		client->token = *options->token;
	for (unsigned i = 0; i < TOKEN_ADDRESSES && client->token.addresses[i][0]; i++)
		client->addresses[i] = client->token.addresses[i];
	snprintf(client->result.node_id, sizeof(client->result.node_id), "%s",
	        options->token ? client->token.node_id : options->node_id);
	int r = start(client);
	if (r) {
		*ret_failure = client->result;
		join_client_free(client);
		return r;
	}
	*ret = client;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/pairing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "cluster/answer.h"
#include "cluster/identity.h"
#include "cluster/owner.h"
#include "cluster/pairing_shown.h"
#include "cluster/pairing_typed.h"

uint64_t pairing_now(const struct pairing *pairing)
{
	return pairing->deps.now ? pairing->deps.now(pairing->deps.arg) : loop_now(pairing->deps.loop);
}

/* --- streams of both sides --- */

void pair_conn_flush(const struct pair_conn *conn, struct buf *out)
{
	if (out->len && stream_functions.write(conn->stream, out->ptr, out->len))
		stream_functions.abort(conn->stream);
	buf_clear(out);
}

void pair_conn_send(const struct pair_conn *conn, enum pair_type type, struct edged_slice body)
{
	CLEANUP(buf_fini) struct buf out = BUF_EMPTY;
	if (pair_frame_write(&out, type, body))
		stream_functions.abort(conn->stream);
	else
		pair_conn_flush(conn, &out);
}

int pair_conn_begin(struct pair_conn *conn, bool shown, const char *code, struct buf *out)
{
	const char *own = identity_node_id(conn->pairing->deps.identity),
	           *other = stream_functions.peer(conn->stream)->node_id;
	struct pair_binding binding = { shown ? other : own, shown ? own : other, { 0 } };
	int r = stream_export_key(conn->stream, PAIR_EXPORT_LABEL, binding.exported, PAIR_EXPORT);
	if (!r)
		r = pair_exchange_init(&conn->exchange, shown, code, &binding, out);
	explicit_bzero(&binding, sizeof(binding));
	return r;
}

ssize_t pair_conn_frames(struct pair_conn *conn, const uint8_t *bytes, size_t n,
        int (*take)(struct pair_conn *conn, const struct pair_frame *frame))
{
	size_t used = 0;
	while (!conn->over) {
		struct pair_frame frame;
		ssize_t more = pair_frame_read(edged_slice(bytes + used, n - used), &frame);
		if (more <= 0)
			return more < 0 ? more : (ssize_t)used;
		int r = take(conn, &frame);
		if (r)
			return r;
		used += (size_t)more;
	}
	return (ssize_t)n;
}

void pair_conn_free(struct pair_conn *conn)
{
	pair_exchange_fini(&conn->exchange);
	buf_fini(&conn->early);
	free(conn);
}

/* --- the code --- */

static int answer_code(struct pairing *pairing, edged_handle request, int status, const char *code)
{
	const struct pairing_shown *shown = &pairing->shown;
	const struct identity *identity = pairing->deps.identity;
	char expires[32], text[PAIR_CODE_TEXT + 1];
	uint64_t left = shown->until_ms - pairing_now(pairing);
	answer_time(identity_time(pairing->deps.identity) + left, expires);
	json_t *json = json_pack("{s:b,s:s,s:i,s:s,s:s}", "open", true, "expires", expires, "triesLeft",
	        (int)shown->tries_left, "nodeId", identity_node_id(identity), "name",
	        identity_name(identity));
	if (json && code) {
		pair_code_format(code, text);
		json_object_set_new(json, "code", json_string(text));
	}
	return answer_json(pairing->deps.requests, request, status, json);
}

static int serve_show(void *self, edged_handle request)
{
	struct pairing *pairing = self;
	const char *account = identity_account_id(pairing->deps.identity);
	if (!owner_asks(pairing->deps.requests, request))
		return 0;
	if (account[0])
		return request_problemf(pairing->deps.requests, request, 409, "account-exists",
		        "This node belongs to an account",
		        "It is of account %s. A code is for a node that is of none yet: run edgectl pair "
		        "there, "
		        "and type its code here with edgectl pair NODE CODE.",
		        account);
	if (pairing->shown.joining)
		return request_problem(pairing->deps.requests, request, 409, "join-under-way",
		        "This node is joining", "Wait until it has ended, then try again.");
	pairing_hide(pairing);
	int r = pair_code_make(pairing->shown.code);
	if (r)
		return r;
	pairing->shown.until_ms = pairing_now(pairing) + pairing->deps.limits.life_ms;
	pairing->shown.tries_left = pairing->deps.limits.tries;
	pairing->counts.codes++;
	return answer_code(pairing, request, 201, pairing->shown.code);
}

static int serve_shown(void *self, edged_handle request)
{
	struct pairing *pairing = self;
	if (!owner_asks(pairing->deps.requests, request))
		return 0;
	if (pairing_is_shown(pairing))
		return answer_code(pairing, request, 200, NULL);
	return answer_json(pairing->deps.requests, request, 200, json_pack("{s:b}", "open", false));
}

static int serve_hide(void *self, edged_handle request)
{
	struct pairing *pairing = self;
	if (!owner_asks(pairing->deps.requests, request))
		return 0;
	pairing_hide(pairing);
	return request_reply(pairing->deps.requests, request, 204, NULL, edged_str(""));
}

static const struct edged_route routes[] = {
	{ "POST", "/edge/v1/pairing/code", serve_show,
	        "Shows a code with which a node of an account can take this one in", NULL, EDGED_SCOPE_NODE,
	        0 },
	{ "GET", "/edge/v1/pairing/code", serve_shown, "Is a code open, how long, and for how many tries?",
	        NULL, EDGED_SCOPE_NODE, 0 },
	{ "DELETE", "/edge/v1/pairing/code", serve_hide, "Takes the code back", NULL, EDGED_SCOPE_NODE, 0 },
	{ "POST", "/edge/v1/pairing", pairing_serve_typed,
	        "Takes the node into the account that shows this code: {\"node\": id, name or address, "
	        "\"code\"}",
	        NULL, EDGED_SCOPE_NODE, 0 },
	{ 0 },
};

/* --- life --- */

int pairing_new(const struct pairing_deps *deps, struct pairing **ret, struct err *err)
{
	struct pairing *pairing = calloc(1, sizeof(*pairing));
	if (!pairing)
		return err_set(err, -ENOMEM, "no memory for pairing");
	pairing->deps = *deps;
	if (!deps->dial) {
		pairing->deps.dial = dial_start;
		pairing->deps.dial_cancel = dial_cancel;
	}
	pairing_typed_init(pairing);
	const struct route_owner owner = { .name = "edged", .owner = pairing, .self = pairing, .core = true };
	int r = router_add(deps->router, &owner, routes, sizeof(routes[0]), err);
	if (r) {
		free(pairing);
		return r;
	}
	*ret = pairing;
	return 0;
}

void pairing_stop(struct pairing *pairing)
{
	struct loops *loops = loop_all(pairing->deps.loop);
	pairing_typed_end(pairing);
	streams_end(loops, &pairing_handler, pairing);
	streams_end(loops, &pairing_typed_handler, pairing);
}

void pairing_free(struct pairing *pairing)
{
	if (!pairing)
		return;
	router_remove(pairing->deps.router, pairing);
	deferred_cancel(&pairing->typed.again);
	explicit_bzero(&pairing->shown, sizeof(pairing->shown));
	explicit_bzero(&pairing->typed, sizeof(pairing->typed));
	free(pairing);
}

struct pairing_counts pairing_counts(struct pairing *pairing)
{
	struct pairing_counts counts = pairing->counts;
	counts.open = pairing_is_shown(pairing);
	return counts;
}

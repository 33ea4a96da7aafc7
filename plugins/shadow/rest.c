/* SPDX-License-Identifier: Apache-2.0 */
#include "rest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws.h"
#include "query.h"

enum { PAGE_DEFAULT = 25, PAGE_MAX = 100, THINGS_DEFAULT = 100, THINGS_MAX = 1000 };

/* A request that waits for its answer. */
struct call {
	struct rest *rest;
	edged_handle request;
	bool aws;   /* the shape of errors */
	bool thing; /* the answer begins with the thing and whether it is connected */
	char name[THING_NAME_MAX + 1];
};

static const char *error_type(int code)
{
	static const struct {
		int code;
		const char *type;
	} types[] = {
		{ 400, "InvalidRequestException" },
		{ 401, "UnauthorizedException" },
		{ 403, "ForbiddenException" },
		{ 404, "ResourceNotFoundException" },
		{ 409, "ConflictException" },
		{ 412, "PreconditionFailedException" },
		{ 413, "RequestEntityTooLargeException" },
		{ 415, "UnsupportedDocumentEncodingException" },
		{ 429, "ThrottlingException" },
		{ 503, "ServiceUnavailableException" },
		{ 504, "ServiceUnavailableException" },
	};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].code == code)
			return types[i].type;
	return "InternalFailureException";
}

static int reply_error(struct rest *rest, edged_handle request, int code, const char *message)
{
	return aws_answer(rest->http, rest->host, request, code, error_type(code), message);
}

/* The same for paths that are not of AWS. */
static int reply_problem(struct rest *rest, edged_handle request, int code, const char *message)
{
	static const struct {
		int code;
		const char *type, *title;
	} rows[] = {
		{ 400, "bad-request", "The request is not valid" },
		{ 403, "forbidden", "Who asks may not do this" },
		{ 404, "no-such-shadow", "There is no such shadow" },
		{ 409, "version-conflict", "The shadow has another version" },
		{ 412, "precondition-failed", "The shadow has another version" },
		{ 413, "too-large", "The shadow would be too large" },
		{ 415, "bad-encoding", "The body is not of a type that is known here" },
		{ 429, "too-many-requests", "Too many requests are in flight" },
		{ 503, "home-away", "The node that has the shadow is away" },
		{ 504, "home-silent", "The node that has the shadow has not answered" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].code == code)
			return rest->http->problem(
			        rest->host, request, code, rows[i].type, rows[i].title, message);
	return rest->http->problem(
	        rest->host, request, 500, "failed", "The request could not be carried out", message);
}

static int refuse(struct rest *rest, edged_handle request, bool aws, int code, const char *message)
{
	return (aws ? reply_error : reply_problem)(rest, request, code, message);
}

static bool connected(const struct rest *rest, const char *thing)
{
	return EDGED_HAS(rest->pubsub, connected) &&
	       rest->pubsub->connected(rest->pubsub->ctx, rest->host, edged_str(thing));
}

static int reply_thing(const struct call *call, struct edged_slice body)
{
	const struct rest *rest = call->rest;
	char *text = NULL;
	int n = asprintf(&text, "{\"thing\":\"%s\",\"connected\":%s,%.*s", call->name,
	        connected(rest, call->name) ? "true" : "false", (int)body.len - 1, body.ptr + 1);
	if (n < 0)
		return -ENOMEM;
	int r = rest->http->reply(
	        rest->host, call->request, 200, "application/json", edged_slice(text, (size_t)n));
	free(text);
	return r;
}

/* The client may have gone meanwhile; then there is nobody to tell. */
static void answered(void *arg, const struct shadow_outcome *outcome)
{
	struct call *call = arg;
	struct rest *rest = call->rest;
	const struct shadow_error *error = outcome->error;
	char text[32];
	if (outcome->version > 0) {
		snprintf(text, sizeof(text), "\"%lld\"", (long long)outcome->version);
		(void)rest->http->set_header(rest->host, call->request, "ETag", text);
	}
	if (!error->code && outcome->age >= 0) { /* RFC 9111 section 5.1 */
		snprintf(text, sizeof(text), "%lld", (long long)outcome->age);
		(void)rest->http->set_header(rest->host, call->request, "Age", text);
	}
	if (error->code)
		(void)refuse(rest, call->request, call->aws, error->code, error->message);
	else if (call->thing)
		(void)reply_thing(call, outcome->body);
	else
		(void)rest->http->reply(rest->host, call->request, 200, "application/json", outcome->body);
	free(call);
}

static struct call *call_new(struct rest *rest, edged_handle request, bool aws, const char *thing)
{
	struct call *call = calloc(1, sizeof(*call));
	if (!call)
		return NULL;
	*call = (struct call){ .rest = rest, .request = request, .aws = aws, .thing = !aws };
	snprintf(call->name, sizeof(call->name), "%s", thing);
	return call;
}

/* --- one shadow --------------------------------------------------------------------------------------------------------------- */

static bool read_name(const struct rest *rest, edged_handle request, struct shadow_name *ret)
{
	struct edged_slice thing = rest->http->param(rest->host, request, "thing");
	struct edged_slice name = rest->http->query(rest->host, request, "name");
	return shadow_name_set(ret, thing, name) && !(name.ptr && name.len == 0);
}

static const char bad_name[] =
        "Invalid thing or shadow name: 1 to 128 (shadow: 64) characters of a-z, A-Z, 0-9, "
        "':', '_', '-'";

static bool read_match(const struct rest *rest, edged_handle request, int64_t *ret)
{
	struct edged_slice text = rest->http->header(rest->host, request, "if-match");
	return query_match(text, SHADOW_MATCH_ANY, SHADOW_MATCH_NONE, ret);
}

/* One who may not come in, or not now, hears so. */
static bool refused(struct rest *rest, edged_handle request, bool aws, enum gate_outcome outcome)
{
	if (outcome == GATE_CLOSED)
		(void)refuse(rest, request, aws, 403, "Forbidden: who you are may not come in");
	static const char undecided[] = "Nobody is there who could say whether you may; try again";
	if (outcome == GATE_UNDECIDED && aws)
		(void)reply_error(rest, request, 503, undecided);
	else if (outcome == GATE_UNDECIDED)
		(void)rest->http->problem(
		        rest->host, request, 503, "undecided", "It is not known who may do this", undecided);
	return outcome != GATE_OPEN;
}

static int run(struct rest *rest, edged_handle request, const struct edged_identity *identity,
        struct shadow_call *call, bool aws)
{
	static const enum edged_action actions[] = { EDGED_GET_SHADOW, EDGED_UPDATE_SHADOW,
		EDGED_DELETE_SHADOW };
	struct shadow_name shadow;
	if (!read_name(rest, request, &shadow))
		return refuse(rest, request, aws, 400, bad_name);
	if (!gate_allows(rest->gate, identity, actions[call->verb], shadow.thing, shadow.name))
		return refuse(rest, request, aws, 403, "Forbidden");
	if (!read_match(rest, request, &call->match))
		return refuse(rest, request, aws, 400,
		        "Invalid If-Match: one version in quotes, as in the ETag of an answer, or *");
	call->answer = answered;
	call->arg = call_new(rest, request, aws, shadow.thing);
	if (!call->arg)
		return -ENOMEM;
	if (call->verb == SHADOW_UPDATE)
		call->payload = rest->http->body(rest->host, request);
	service_run(rest->service, &shadow, call);
	return 0;
}

int rest_get(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	if (refused(self, request, true, outcome))
		return 0;
	return run(self, request, identity, &(struct shadow_call){ .verb = SHADOW_GET }, true);
}

int rest_update(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	if (refused(self, request, true, outcome))
		return 0;
	return run(self, request, identity, &(struct shadow_call){ .verb = SHADOW_UPDATE }, true);
}

int rest_delete(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	if (refused(self, request, true, outcome))
		return 0;
	return run(self, request, identity, &(struct shadow_call){ .verb = SHADOW_DELETE }, true);
}

int rest_thing(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	if (refused(self, request, false, outcome))
		return 0;
	return run(self, request, identity, &(struct shadow_call){ .verb = SHADOW_GET }, false);
}

int rest_patch(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	struct rest *rest = self;
	if (refused(rest, request, false, outcome))
		return 0;
	if (!query_is_patch(rest->http->header(rest->host, request, "content-type"))) {
		(void)rest->http->set_header(
		        rest->host, request, "Accept-Patch", "application/merge-patch+json");
		return reply_problem(rest, request, 415,
		        "The body is a merge patch (RFC 7396) of the state, such as "
		        "{\"desired\": {\"led\": \"on\"}}, with Content-Type application/merge-patch+json.");
	}
	return run(rest, request, identity,
	        &(struct shadow_call){ .verb = SHADOW_UPDATE, .patch = true, .whole = true }, false);
}

int rest_events(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	struct rest *rest = self;
	struct shadow_name name;
	if (refused(rest, request, false, outcome))
		return 0;
	if (!read_name(rest, request, &name))
		return reply_problem(rest, request, 400, bad_name);
	if (!gate_allows(rest->gate, identity, EDGED_GET_SHADOW, name.thing, name.name))
		return reply_problem(rest, request, 403, "Forbidden");
	return events_open(rest->feeds, rest->service, request, &name, identity);
}

/* --- lists ---------------------------------------------------------------------------------------------------------------------- */

int rest_list(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	struct rest *rest = self;
	const struct edged_http_1 *http = rest->http;
	struct shadow_name after;
	size_t limit;
	if (refused(rest, request, true, outcome))
		return 0;
	if (!query_number(http->query(rest->host, request, "pageSize"), PAGE_MAX, PAGE_DEFAULT, &limit))
		return reply_error(rest, request, 400, "Invalid pageSize: a number from 1 to 100");
	if (!shadow_name_set(&after, http->param(rest->host, request, "thing"),
	            http->query(rest->host, request, "nextToken")))
		return reply_error(rest, request, 400, "Invalid thing name or nextToken");
	if (!gate_allows(rest->gate, identity, EDGED_LIST_SHADOWS, after.thing, ""))
		return reply_error(rest, request, 403, "Forbidden");
	struct call *call = call_new(rest, request, true, after.thing);
	if (!call)
		return -ENOMEM;
	list_named(rest->lists, &after, limit, answered, call);
	return 0;
}

/* NULL, or what is wrong. The filter is the caller's to free. */
static const char *read_things(const struct rest *rest, edged_handle request, struct things_query *ret)
{
	const struct edged_http_1 *http = rest->http;
	struct edged_slice cursor = http->query(rest->host, request, "cursor");
	struct edged_slice name = http->query(rest->host, request, "name");
	struct edged_slice state = http->query(rest->host, request, "state");
	struct edged_slice filter = http->query(rest->host, request, "filter");
	struct edged_slice clusters = http->query(rest->host, request, "clusters");
	const char *why = NULL;
	*ret = (struct things_query){ .state = edged_slice_is(state, "true"),
		.account = edged_slice_is(clusters, "account") };
	if (clusters.ptr && !ret->account)
		return "The query parameter clusters is account, or not there.";
	if (ret->account && (ret->state || filter.len))
		return "What shadows on other nodes say is known there: ask each with filter or state.";
	if (state.ptr && !ret->state && !edged_slice_is(state, "false"))
		return "The query parameter state is true or false.";
	if (!query_number(http->query(rest->host, request, "limit"), THINGS_MAX, THINGS_DEFAULT, &ret->limit))
		return "The query parameter limit is a number from 1 to 1,000.";
	if (!shadow_name_set(&ret->after, cursor.len ? cursor : edged_str("a"), name))
		return "The query parameter cursor is that of the page before, and name is a shadow's name.";
	if (!cursor.len)
		ret->after.thing[0] = '\0';
	if (filter.len)
		ret->filter = filter_parse(filter, &why);
	return why && !ret->filter ? why : NULL;
}

int rest_things(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	struct rest *rest = self;
	struct things_query query;
	if (refused(rest, request, false, outcome))
		return 0;
	const char *wrong = read_things(rest, request, &query);
	if (wrong)
		return reply_problem(rest, request, 400, wrong);
	struct call *call = call_new(rest, request, false, "");
	if (!call) {
		filter_free(query.filter);
		return -ENOMEM;
	}
	call->thing = false;
	query.identity = identity;
	list_things(rest->lists, &query, answered, call);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "rest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../shadow/aws.h"
#include "../shadow/query.h"

/* A request that waits for its answer. */
struct waiter {
	struct rest *rest;
	edged_handle request;
};

static int refuse(struct rest *rest, edged_handle request, enum jobs_code code, const char *message)
{
	return aws_answer(
	        rest->http, rest->host, request, jobs_code_status(code), jobs_code_type(code), message);
}

/* The client may have gone meanwhile; then there is nobody to tell. */
static void answered(void *arg, const struct jobs_error *error, struct edged_slice body)
{
	struct waiter *waiter = arg;
	struct rest *rest = waiter->rest;
	if (error->code)
		(void)refuse(rest, waiter->request, error->code, error->message);
	else
		(void)rest->http->reply(rest->host, waiter->request, 200, "application/json", body);
	free(waiter);
}

static bool allowed(const struct rest *rest, edged_handle request, const struct edged_identity *identity,
        enum edged_action action)
{
	struct shadow_name name;
	return shadow_name_set(&name, rest->http->param(rest->host, request, "thing"), edged_slice("", 0)) &&
	       gate_allows(rest->gate, identity, action, name.thing, "");
}

/* 0: it may come in; else it has its answer. */
static int judge(struct rest *rest, edged_handle request, enum gate_outcome outcome,
        const struct edged_identity *identity, enum edged_action action)
{
	int r = 0;
	if (outcome == GATE_UNDECIDED)
		r = aws_answer(rest->http, rest->host, request, 503, "ServiceUnavailableException",
		        "Nobody is there who could say whether you may; try again");
	else if (outcome == GATE_CLOSED || !allowed(rest, request, identity, action))
		r = aws_answer(rest->http, rest->host, request, 403, "ForbiddenException", "Forbidden");
	else
		return 0;
	return r ? r : 1;
}

static int run(struct rest *rest, edged_handle request, enum jobs_verb verb, struct edged_slice payload)
{
	struct waiter *waiter = malloc(sizeof(*waiter));
	if (!waiter)
		return -ENOMEM;
	*waiter = (struct waiter){ rest, request };
	const struct jobs_call call = { .verb = verb,
		.thing = rest->http->param(rest->host, request, "thing"),
		.job = rest->http->param(rest->host, request, "job"),
		.payload = payload,
		.answer = answered,
		.arg = waiter };
	service_run(rest->service, &call);
	return 0;
}

static int answered_already(int r)
{
	return r < 0 ? r : 0;
}

int rest_pending(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	int r = judge(self, request, outcome, identity, EDGED_GET_PENDING_JOBS);
	return r ? answered_already(r) : run(self, request, JOBS_PENDING, edged_slice(NULL, 0));
}

int rest_start_next(
        void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	struct rest *rest = self;
	int r = judge(rest, request, outcome, identity, EDGED_START_NEXT_JOB);
	if (r)
		return answered_already(r);
	if (!edged_slice_is(rest->http->param(rest->host, request, "job"), JOBS_NEXT))
		return refuse(rest, request, JOBS_INVALID_REQUEST, "Only " JOBS_NEXT " can be started");
	return run(rest, request, JOBS_START_NEXT, rest->http->body(rest->host, request));
}

/* The query as the payload that it would be over MQTT; false: it is not valid. */
static bool read_query(const struct rest *rest, edged_handle request, char *ret, size_t size)
{
	struct edged_slice document = rest->http->query(rest->host, request, "includeJobDocument");
	struct edged_slice number = rest->http->query(rest->host, request, "executionNumber");
	bool include = edged_slice_is(document, "true");
	size_t value;
	if ((document.ptr && !include && !edged_slice_is(document, "false")) ||
	        !query_number(number, INT64_MAX / 16, 0, &value))
		return false;
	int n = snprintf(ret, size, "{\"includeJobDocument\":%s", include ? "true" : "false");
	if (number.ptr)
		n += snprintf(ret + n, size - (size_t)n, ",\"executionNumber\":%zu", value);
	snprintf(ret + n, size - (size_t)n, "}");
	return true;
}

int rest_describe(
        void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	char payload[96];
	int r = judge(self, request, outcome, identity, EDGED_DESCRIBE_JOB);
	if (r)
		return answered_already(r);
	if (!read_query(self, request, payload, sizeof(payload)))
		return refuse(self, request, JOBS_INVALID_REQUEST,
		        "includeJobDocument is true or false, executionNumber a number");
	return run(self, request, JOBS_DESCRIBE, edged_str(payload));
}

int rest_update(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	struct rest *rest = self;
	int r = judge(rest, request, outcome, identity, EDGED_UPDATE_JOB);
	return r ? answered_already(r)
	         : run(rest, request, JOBS_UPDATE, rest->http->body(rest->host, request));
}

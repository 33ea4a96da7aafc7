/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include "edged/cap_node.h"
#include "routes.h"

/* --- what there is to say ----------------------------------------------------------------------------------------------- */

static void add_endpoint(json_t *list, const char *host, long port)
{
	json_t *id = json_sprintf("%s_%ld", host, port);
	json_array_append_new(list, json_pack("{s:o,s:s,s:I,s:s}", "Id", id, "HostAddress", host,
	                                    "PortNumber", (json_int_t)port, "Metadata", ""));
}

/* By the names that the node's certificate has: an address would not fit it. */
static void add_listener(json_t *list, const json_t *listener, const char *name)
{
	const char *address = json_string_value(json_object_get(listener, "address"));
	const char *colon = address ? strrchr(address, ':') : NULL;
	char local[80];
	if (!colon || !json_is_true(json_object_get(listener, "tls")))
		return;
	long port = strtol(colon + 1, NULL, 10);
	if (strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]", 5) == 0) {
		add_endpoint(list, "localhost", port);
		return;
	}
	snprintf(local, sizeof(local), "%s.local", name);
	add_endpoint(list, local, port);
	add_endpoint(list, name, port);
}

json_t *discovery_answer(const json_t *node)
{
	const char *name = json_string_value(json_object_get(node, "name"));
	json_t *endpoints = json_array(), *listener;
	size_t i;
	name = name ? name : "edged";
	json_array_foreach(json_object_get(node, "listeners"), i, listener)
	        add_listener(endpoints, listener, name);
	return json_pack("{s:[{s:o,s:[{s:o,s:o}],s:[O]}]}", "GGGroups", "GGGroupId",
	        json_sprintf("greengrassV2-coreDevice-%s", name), "Cores", "thingArn",
	        json_sprintf("arn:aws:iot:local:000000000000:thing/%s", name), "Connectivity", endpoints,
	        "CAs", json_object_get(node, "ca"));
}

/* --- the request -------------------------------------------------------------------------------------------------------- */

static int refuse(struct things *t, edged_handle request, int status, const char *member, json_t *text,
        const char *type)
{
	uint8_t bytes[16] = { 0 };
	char trace[37];
	if (getrandom(bytes, sizeof(bytes), 0) < 0)
		memset(bytes, 0, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(trace + 2 * i, 3, "%02x", bytes[i]);
	(void)t->http->set_header(t->host, request, "x-amzn-errortype", type);
	return rest_reply(t, request, status, json_pack("{s:o,s:s}", member, text, "traceId", trace));
}

/* An answer, once it is known who asks. */
static int describe_node(struct things *t, edged_handle request)
{
	char *text = t->node->describe(t->host);
	json_t *node = text ? json_loads(text, 0, NULL) : NULL;
	int r = json_string_length(json_object_get(node, "ca")) == 0
	                ? refuse(t, request, 503, "message",
	                          json_string("The node has no account, and so no CA; edgectl thing create "
	                                      "founds one"),
	                          "ServiceUnavailableException")
	                : rest_reply(t, request, 200, discovery_answer(node));
	json_decref(node);
	free(text);
	return r;
}

static int visited(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *who)
{
	struct things *t = self;
	struct edged_slice thing = t->http->param(t->host, request, "thing");
	int allowed = outcome != GATE_OPEN ? 0 : who ? t->gate.auth->allow(who, EDGED_DISCOVER, thing) : 1;
	if (outcome == GATE_UNDECIDED || allowed < 0)
		return refuse(t, request, 503, "message",
		        json_string("Nobody is there who could say whether you may; try again"),
		        "ServiceUnavailableException");
	if (!allowed)
		return refuse(t, request, 403, "message", json_null(), "ForbiddenException");
	if (!registry_find(t->registry, KIND_THING, thing))
		return refuse(t, request, 404, "errorMessage",
		        json_string("The thing provided for discovery was not found"),
		        "ResourceNotFoundException");
	return describe_node(t, request);
}

int discover(void *self, edged_handle request)
{
	struct things *t = self;
	return gate_ask(&t->gate, request, visited, t);
}

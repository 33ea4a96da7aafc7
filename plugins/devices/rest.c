/* SPDX-License-Identifier: Apache-2.0 */
#include "rest.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "../shadow/query.h"
#include "describe.h"
#include "topic.h"

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000 };

/* --- answers ---------------------------------------------------------------------------------------------------------------- */

static int problem(const struct rest *rest, edged_handle request, int status, const char *type,
        const char *title, const char *detail)
{
	return rest->http->problem(rest->host, request, status, type, title, detail);
}

static int forbidden(const struct rest *rest, edged_handle request, const char *detail)
{
	return problem(rest, request, 403, "forbidden", "Who asks may not do this", detail);
}

/* Takes the body. */
static int reply(const struct rest *rest, edged_handle request, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_decref(body);
	if (!text)
		return -ENOMEM;
	int r = rest->http->reply(rest->host, request, 200, "application/json", edged_str(text));
	free(text);
	return r;
}

/* One who may not come in, or not now, hears so. */
static bool refused(const struct rest *rest, edged_handle request, enum gate_outcome outcome)
{
	if (outcome == GATE_CLOSED)
		(void)forbidden(rest, request, "Who you are may not come in.");
	if (outcome == GATE_UNDECIDED)
		(void)problem(rest, request, 503, "undecided", "It is not known who may do this",
		        "Nobody is there who could say whether you may. Try again.");
	return outcome != GATE_OPEN;
}

/* The thing of the path, and the shadow of ?name=; false: answered. */
static bool read_name(const struct rest *rest, edged_handle request, struct shadow_name *ret)
{
	struct edged_slice thing = rest->http->param(rest->host, request, "thing"),
	                   name = rest->http->query(rest->host, request, "name");
	if (shadow_name_set(ret, thing, name) && !(name.ptr && !name.len))
		return true;
	(void)problem(rest, request, 400, "bad-name", "This cannot be a name",
	        "Names of things have 1 to 128, names of shadows 1 to 64 characters of a-z, A-Z, 0-9, ':', "
	        "'_', '-'.");
	return false;
}

/* False: answered, or passed on to the node where it is. Who asks has been judged. */
static bool is_here(const struct rest *rest, edged_handle request, const char *thing)
{
	char probe[sizeof("/devices/v1/") + THING_NAME_MAX], detail[300];
	if (rest->things->exists(rest->things->ctx, rest->host, edged_str(thing)))
		return true;
	snprintf(probe, sizeof(probe), "/devices/v1/%s", thing);
	snprintf(detail, sizeof(detail),
	        "The registry of this node has no thing %s, nor has that of another node of the account. GET "
	        "/devices/v1 lists those of this node.",
	        thing);
	if (rest->http->elsewhere(
	            rest->host, request, probe, "no-such-device", "There is no such device", detail))
		(void)problem(rest, request, 503, "no-memory", "Not enough memory for this request", NULL);
	return false;
}

/* Who asks may do that with the shadow that it is about; false: answered. */
static bool may(const struct rest *rest, edged_handle request, enum gate_outcome outcome,
        const struct edged_identity *identity, enum edged_action action, struct shadow_name *ret)
{
	if (refused(rest, request, outcome) || !read_name(rest, request, ret))
		return false;
	if (gate_allows(rest->gate, identity, action, ret->thing, ret->name))
		return true;
	(void)forbidden(rest, request, "It needs the right to this thing's shadow.");
	return false;
}

/* And the thing is here. */
static bool open_thing(const struct rest *rest, edged_handle request, enum gate_outcome outcome,
        const struct edged_identity *identity, enum edged_action action, struct shadow_name *ret)
{
	return may(rest, request, outcome, identity, action, ret) && is_here(rest, request, ret->thing);
}

static bool connected(const struct rest *rest, struct edged_slice thing)
{
	return rest->pubsub->connected(rest->pubsub->ctx, rest->host, thing);
}

/* --- lists ------------------------------------------------------------------------------------------------------------------ */

struct page {
	size_t limit;
	struct edged_slice cursor, type, group;
	int connected; /* 1, 0, or -1: either */
};

/* NULL, or what is wrong. */
static const char *read_page(const struct rest *rest, edged_handle request, struct page *ret)
{
	const struct edged_http_1 *http = rest->http;
	struct edged_slice state = http->query(rest->host, request, "connected");
	*ret = (struct page){ .cursor = http->query(rest->host, request, "cursor"),
		.type = http->query(rest->host, request, "type"),
		.group = http->query(rest->host, request, "group"),
		.connected = edged_slice_is(state, "true")    ? 1
		             : edged_slice_is(state, "false") ? 0
		                                              : -1 };
	if (state.ptr && ret->connected < 0)
		return "connected is true or false.";
	if (!query_number(http->query(rest->host, request, "limit"), PAGE_MAX, PAGE_DEFAULT, &ret->limit))
		return "limit is a number from 1 to 1,000.";
	return NULL;
}

static bool fits(const struct page *page, const json_t *thing, bool is_connected)
{
	if (page->connected >= 0 && page->connected != is_connected)
		return false;
	return (!page->type.ptr || describe_has(thing, "type", page->type)) &&
	       (!page->group.ptr || describe_has(thing, "groups", page->group));
}

/* NULL: it does not fit, or who asks may not see it. */
static json_t *entry(const struct rest *rest, const struct page *page, const struct edged_identity *identity,
        struct edged_slice name)
{
	char thing[THING_NAME_MAX + 1];
	bool is_connected = connected(rest, name);
	snprintf(thing, sizeof(thing), "%.*s", EDGED_SLICE_FMT(name));
	if (page->connected >= 0 && page->connected != is_connected)
		return NULL;
	if (!gate_allows(rest->gate, identity, EDGED_GET_SHADOW, thing, ""))
		return NULL;
	json_t *known = describe_thing(rest->things, rest->host, name);
	json_t *ret =
	        known && fits(page, known, is_connected) ? describe_brief(thing, known, is_connected) : NULL;
	json_decref(known);
	return ret;
}

int rest_list(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	const struct rest *rest = self;
	const struct edged_things_1 *things = rest->things;
	struct page page;
	if (refused(rest, request, outcome))
		return 0;
	const char *wrong = read_page(rest, request, &page);
	if (wrong)
		return problem(rest, request, 400, "bad-parameter", "This cannot be a parameter", wrong);
	json_t *list = json_array(), *body = json_pack("{s:o}", "data", list);
	struct edged_slice name = page.cursor, next;
	size_t seen = 0;
	while ((next = things->next(things->ctx, rest->host, name)).ptr && seen++ < rest->scan &&
	        json_array_size(list) < page.limit) {
		name = next;
		json_t *one = entry(rest, &page, identity, name);
		if (one)
			(void)json_array_append_new(list, one);
	}
	if (next.ptr)
		(void)json_object_set_new(body, "cursor", json_stringn(name.ptr ? name.ptr : "", name.len));
	return reply(rest, request, body);
}

/* --- shadows ---------------------------------------------------------------------------------------------------------------- */

/* A request that waits for what its thing's shadow says. */
struct ask {
	LIST_ENTRY(ask) link;
	struct rest *rest;
	edged_handle request;
	char thing[THING_NAME_MAX + 1];
};

static struct ask *ask_new(struct rest *rest, edged_handle request, const char *thing)
{
	struct ask *ask = calloc(1, sizeof(*ask));
	if (!ask)
		return NULL;
	ask->rest = rest;
	ask->request = request;
	snprintf(ask->thing, sizeof(ask->thing), "%s", thing);
	LIST_INSERT_HEAD(&rest->asks, ask, link);
	return ask;
}

static void ask_free(struct ask *ask)
{
	LIST_REMOVE(ask, link);
	free(ask);
}

static int refuse_shadow(const struct ask *ask, const struct edged_shadow_result *result)
{
	static const struct {
		int status;
		const char *type, *title;
	} rows[] = {
		{ 400, "bad-request", "The properties are not valid" },
		{ 409, "version-conflict", "The properties have another version" },
		{ 412, "precondition-failed", "The properties have another version" },
		{ 413, "too-large", "The properties would be too large" },
		{ 429, "too-many-requests", "Too many requests of this device are in flight" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].status == result->status)
			return problem(ask->rest, ask->request, result->status, rows[i].type, rows[i].title,
			        result->why);
	return problem(
	        ask->rest, ask->request, 500, "failed", "The request could not be carried out", result->why);
}

/* Ends the ask with an answer; what could not be answered runs into its time. */
static void answer(struct ask *ask, const struct edged_shadow_result *result, json_t *body)
{
	const struct rest *rest = ask->rest;
	char tag[32];
	if (result->status == 200) {
		snprintf(tag, sizeof(tag), "\"%lld\"", (long long)result->version);
		(void)rest->http->set_header(rest->host, ask->request, "ETag", tag);
	}
	if (!body || reply(rest, ask->request, body) == -ENOMEM)
		(void)problem(
		        rest, ask->request, 503, "no-memory", "Not enough memory for this request", NULL);
	ask_free(ask);
}

/* --- one device ------------------------------------------------------------------------------------------------------------- */

static void described(void *arg, const struct edged_shadow_result *result)
{
	struct ask *ask = arg;
	const struct rest *rest = ask->rest;
	struct edged_slice thing = edged_str(ask->thing);
	json_t *known = describe_thing(rest->things, rest->host, thing);
	json_t *body = known ? describe_whole(ask->thing, known, connected(rest, thing),
	                               result->status == 200 ? result->document : edged_slice(NULL, 0))
	                     : NULL;
	json_decref(known);
	/* its ETag is not that of the properties */
	const struct edged_shadow_result plain = { .struct_size = sizeof(plain) };
	answer(ask, &plain, body);
}

static int get_shadow(
        struct rest *rest, edged_handle request, const struct shadow_name *name, edged_shadow_done *done)
{
	struct ask *ask = ask_new(rest, request, name->thing);
	if (!ask)
		return -ENOMEM;
	int r = rest->shadows->get(
	        rest->shadows->ctx, rest->host, edged_str(name->thing), edged_str(name->name), done, ask);
	if (r)
		ask_free(ask);
	return r;
}

int rest_device(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	struct shadow_name name;
	if (!open_thing(self, request, outcome, identity, EDGED_GET_SHADOW, &name))
		return 0;
	return get_shadow(self, request, &name, described);
}

/* --- properties ------------------------------------------------------------------------------------------------------------- */

static void got(void *arg, const struct edged_shadow_result *result)
{
	struct ask *ask = arg;
	if (result->status != 200 && result->status != 404) {
		(void)refuse_shadow(ask, result);
		ask_free(ask);
		return;
	}
	/* A device without a shadow has properties: none yet. */
	answer(ask, result, describe_properties(result->document));
}

int rest_get_properties(
        void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	struct shadow_name name;
	if (!open_thing(self, request, outcome, identity, EDGED_GET_SHADOW, &name))
		return 0;
	return get_shadow(self, request, &name, got);
}

static void changed(void *arg, const struct edged_shadow_result *result)
{
	struct ask *ask = arg;
	if (result->status == 200) {
		answer(ask, result, describe_properties(result->document));
		return;
	}
	(void)refuse_shadow(ask, result);
	ask_free(ask);
}

static int change_shadow(
        struct rest *rest, edged_handle request, const struct shadow_name *name, enum edged_shadow_change how)
{
	int64_t match;
	struct edged_slice if_match = rest->http->header(rest->host, request, "if-match");
	if (!query_match(if_match, EDGED_SHADOW_EXISTS, EDGED_SHADOW_ANY, &match))
		return problem(rest, request, 400, "bad-request", "This cannot be If-Match",
		        "It is one version in quotes, as in the ETag of an answer, or *.");
	struct ask *ask = ask_new(rest, request, name->thing);
	if (!ask)
		return -ENOMEM;
	int r = rest->shadows->change(rest->shadows->ctx, rest->host, edged_str(name->thing),
	        edged_str(name->name), how, rest->http->body(rest->host, request), match, changed, ask);
	if (r)
		ask_free(ask);
	return r;
}

int rest_patch_properties(
        void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	struct rest *rest = self;
	struct shadow_name name;
	if (!open_thing(rest, request, outcome, identity, EDGED_UPDATE_SHADOW, &name))
		return 0;
	if (!query_is_patch(rest->http->header(rest->host, request, "content-type"))) {
		(void)rest->http->set_header(
		        rest->host, request, "Accept-Patch", "application/merge-patch+json");
		return problem(rest, request, 415, "bad-encoding",
		        "The body is not of a type that is known here",
		        "It is a merge patch (RFC 7396), such as {\"desired\": {\"led\": \"on\"}}, with "
		        "Content-Type application/merge-patch+json.");
	}
	return change_shadow(rest, request, &name, EDGED_SHADOW_MERGE);
}

int rest_put_properties(
        void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	struct shadow_name name;
	if (!open_thing(self, request, outcome, identity, EDGED_UPDATE_SHADOW, &name))
		return 0;
	return change_shadow(self, request, &name, EDGED_SHADOW_REPLACE);
}

/* --- calls and events ------------------------------------------------------------------------------------------------------- */

/* Who calls publishes on the topic of the call, so far as rights go. */
int rest_call(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	struct rest *rest = self;
	struct shadow_name name;
	char topic[CALL_TOPIC_MAX];
	struct edged_slice call = rest->http->param(rest->host, request, "name");
	if (refused(rest, request, outcome) || !read_name(rest, request, &name))
		return 0;
	if (!call_name_valid(call))
		return problem(rest, request, 400, "bad-name", "This cannot be the name of a call",
		        "It has 1 to 64 characters of a-z, A-Z, 0-9, '.', ':', '_', '-'.");
	snprintf(topic, sizeof(topic), "devices/%s/call/%.*s", name.thing, EDGED_SLICE_FMT(call));
	if (!gate_may(rest->gate, identity, EDGED_PUBLISH, topic))
		return forbidden(rest, request, "A call needs iot:Publish on devices/{thing}/call/{name}.");
	if (!is_here(rest, request, name.thing))
		return 0;
	return calls_make(rest->calls, request, name.thing, call);
}

static bool asked_for(struct edged_slice only, const char *event)
{
	size_t n = strlen(event);
	for (const char *at = only.ptr, *end = at + only.len; at && at < end;) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		size_t len = (size_t)((comma ? comma : end) - at);
		if (len == n && memcmp(at, event, n) == 0)
			return true;
		at += len + 1;
	}
	return !only.ptr;
}

static size_t choose_topics(
        const struct shadow_name *name, struct edged_slice only, struct feed_topic ret[FEED_TOPICS])
{
	size_t n = 1, kept = 0;
	ret[0] = (struct feed_topic){ .event = "event", .data = describe_event };
	snprintf(ret[0].filter, sizeof(ret[0].filter), "devices/%s/events/#", name->thing);
	feed_changes(name, ret + n);
	n += FEED_CHANGES;
	for (size_t i = 0; i < n; i++)
		if (asked_for(only, ret[i].event))
			ret[kept++] = ret[i];
	return kept;
}

int rest_events(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	struct rest *rest = self;
	struct shadow_name name;
	struct feed_topic topics[FEED_TOPICS];
	struct feed *feed;
	if (!may(rest, request, outcome, identity, EDGED_GET_SHADOW, &name))
		return 0;
	size_t count = choose_topics(&name, rest->http->query(rest->host, request, "only"), topics);
	if (count == 0)
		return problem(rest, request, 400, "bad-parameter", "There are no such events",
		        "only is a list of event, update, delta, delete, connected, disconnected.");
	if (asked_for(rest->http->query(rest->host, request, "only"), "event") &&
	        !gate_may(rest->gate, identity, EDGED_SUBSCRIBE, topics[0].filter))
		return forbidden(rest, request, "It needs iot:Subscribe on devices/{thing}/events/#.");
	if (!is_here(rest, request, name.thing))
		return 0;
	json_t *known = describe_thing(rest->things, rest->host, edged_str(name.thing));
	json_t *brief =
	        known ? describe_brief(name.thing, known, connected(rest, edged_str(name.thing))) : NULL;
	char *text = brief ? json_dumps(brief, JSON_COMPACT) : NULL;
	json_decref(brief);
	json_decref(known);
	int r = text ? feeds_open(rest->feeds, request, &name, identity, topics, count, &feed) : -ENOMEM;
	if (!r && feed)
		feed_tell(feed, "device", edged_str(text));
	free(text);
	return r;
}

void rest_stop(struct rest *rest)
{
	rest->shadows->forget(rest->shadows->ctx, rest->host);
	while (!LIST_EMPTY(&rest->asks))
		ask_free(LIST_FIRST(&rest->asks));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "busy.h"
#include "message.h"
#include "slot.h"
#include "tell.h"

struct operation {
	TAILQ_ENTRY(operation) link;
	struct service *service;
	struct slot *slot;
	struct shadow_call call; /* without the payload */
	struct shadow_request request;
	struct document other; /* of SHADOW_MERGE */
	shadow_given *given;   /* of SHADOW_HAND */
	unsigned tries;        /* to find where it is */
	struct printed before; /* the document, while the change is on its way to the disk */
};

struct service {
	struct service_deps deps;
	struct teller teller;
	struct slots slots;
	struct busy busy;
	int64_t *requests[3], *refused, *cached, *cached_bytes;
};

static void work(struct slot *slot);

int service_new(const struct service_deps *deps, struct service **ret)
{
	struct service *service = calloc(1, sizeof(*service));
	if (!service)
		return -ENOMEM;
	service->deps = *deps;
	service->teller = (struct teller){ deps->host, deps->log, deps->pubsub };
	slots_init(&service->slots, deps->cache_bytes);
	busy_init(&service->busy, deps->in_flight, deps->rate);
	static const char *const labels[] = { "verb=\"get\"", "verb=\"update\"", "verb=\"delete\"" };
	for (unsigned i = 0; i < 3; i++)
		service->requests[i] = deps->metrics->figure(deps->host, EDGED_COUNTER,
		        "shadow_requests_total", labels[i], "Shadow requests taken");
	service->refused = deps->metrics->figure(
	        deps->host, EDGED_COUNTER, "shadow_refused_total", NULL, "Shadow requests refused");
	service->cached = deps->metrics->figure(
	        deps->host, EDGED_GAUGE, "shadow_cached_documents", NULL, "Shadow documents in memory");
	service->cached_bytes = deps->metrics->figure(deps->host, EDGED_GAUGE, "shadow_cached_bytes", NULL,
	        "Memory that they are reckoned to take");
	*ret = service;
	return 0;
}

/* What clients ask for is counted and limited, and is of registered things; what nodes do among themselves is not. */
static bool is_of_client(const struct shadow_call *call)
{
	return call->verb <= SHADOW_DELETE;
}

static void operation_free(struct operation *operation)
{
	if (is_of_client(&operation->call))
		busy_remove(&operation->service->busy, operation->slot->name.thing);
	TAILQ_REMOVE(&operation->slot->operations, operation, link);
	operation->slot->waiting--;
	shadow_request_fini(&operation->request);
	document_fini(&operation->other);
	printed_fini(&operation->before);
	free(operation);
}

static const struct shadow_error none = { 0 };
static const struct shadow_error stopping = { .code = 500, .message = "The shadow service has stopped" };

static void operation_drop(struct operation *operation)
{
	const struct shadow_call *call = &operation->call;
	if (call->answer)
		call->answer(call->arg, &(struct shadow_outcome){ .error = &stopping });
	if (operation->given)
		operation->given(call->arg, NULL, edged_slice(NULL, 0));
	operation_free(operation);
}

void service_free(struct service *service)
{
	if (!service)
		return;
	slots_fini(&service->slots, operation_drop);
	busy_fini(&service->busy);
	free(service);
}

/* --- the life of an operation ------------------------------------------------------------------------------------------------ */

static void refuse(struct service *service, const struct shadow_name *name, const struct shadow_call *call,
        const struct shadow_error *error, const char *token)
{
	edged_metric_add(service->refused, 1);
	char *body = message_rejected(error, token, service->deps.now());
	if (body && call->mirror)
		tell(&service->teller, name, tell_suffix(call->verb, false), body);
	if (call->answer)
		call->answer(call->arg, &(struct shadow_outcome){ .error = error, .body = edged_str(body) });
	free(body);
}

static void show_cache(struct service *service)
{
	edged_metric_set(service->cached, (int64_t)service->slots.count);
	edged_metric_set(service->cached_bytes, (int64_t)service->slots.bytes);
}

/* Ends the operation at the head of its slot and goes on with the next one. */
static void finish(struct operation *operation)
{
	struct service *service = operation->service;
	struct slot *slot = operation->slot;
	operation_free(operation);
	if (slot->waiting)
		work(slot);
	else
		slots_rest(&service->slots, slot);
	show_cache(service);
}

static void fail(struct operation *operation, const struct shadow_error *error)
{
	if (operation->given) /* which ends nothing: there is no operation any more */
		operation->given(operation->call.arg, NULL, edged_slice(NULL, 0));
	refuse(operation->service, &operation->slot->name, &operation->call, error, operation->request.token);
	finish(operation);
}

static void fail_internally(struct operation *operation, const char *what, int r)
{
	struct service *service = operation->service;
	service->deps.log->log(service->deps.host, EDGED_ERROR, "shadow of %s: cannot %s: %s",
	        operation->slot->name.thing, what, strerror(-r));
	struct shadow_error error;
	(void)shadow_refuse(&error, 500, "Internal service failure");
	fail(operation, &error);
}

/* Another node thought that it is here: that one is to look anew (SHADOW_GONE), not to tell anybody. */
static void fail_gone(struct operation *operation)
{
	struct shadow_error error;
	operation->call.mirror = false;
	(void)shadow_refuse(&error, SHADOW_GONE, "This node has no such shadow");
	fail(operation, &error);
}

static void fail_absent(struct operation *operation)
{
	struct shadow_error error;
	const struct shadow_name *name = &operation->slot->name;
	(void)shadow_refuse(
	        &error, 404, "No shadow exists with name: '%s'", *name->name ? name->name : name->thing);
	fail(operation, &error);
}

/* What the slot holds is not what is stored: the next operation reads it again. */
static void forget(struct operation *operation)
{
	struct slot *slot = operation->slot;
	document_fini(&slot->document);
	slot->loaded = false;
	slots_resize(&operation->service->slots, slot);
}

static bool answers(const struct operation *operation, const char *suffix)
{
	return operation->call.answer ||
	       tell_wanted(&operation->service->teller, &operation->slot->name, suffix);
}

static char *change_body(const struct operation *operation)
{
	const struct document *document = &operation->slot->document;
	if (operation->call.verb == SHADOW_MERGE)
		return NULL;
	if (operation->call.verb == SHADOW_UPDATE)
		return message_accepted(document, &operation->request, document->timestamp);
	return message_deleted(document->now.version, operation->request.token, document->timestamp);
}

static void answer_change(const struct operation *operation, const char *body)
{
	const struct shadow_call *call = &operation->call;
	const struct document *document = &operation->slot->document;
	char *whole = call->whole ? message_get(document, NULL) : NULL;
	call->answer(call->arg, &(struct shadow_outcome){ .error = &none,
	                                .version = document->now.version,
	                                .body = edged_str(whole ? whole : body),
	                                .age = -1 });
	free(whole);
}

/* What other nodes hear before anybody hears of the change. */
static void tell_away(const struct operation *operation)
{
	const struct away *away = operation->service->deps.away;
	const struct document *document = &operation->slot->document;
	bool existed = operation->before.version > 0 && operation->before.exists;
	if (away)
		away->changed(away->ctx, &operation->slot->name, document,
		        operation->before.version == 0 || existed != document->now.exists);
}

/* What a shadow that was united tells: it may have been deleted by that. */
static void tell_united(const struct operation *operation)
{
	const struct teller *teller = &operation->service->teller;
	const struct slot *slot = operation->slot;
	const struct document *document = &slot->document;
	if (document->now.exists) {
		tell_update(teller, &slot->name, &operation->before, document, NULL);
		return;
	}
	char *body = operation->before.exists && tell_wanted(teller, &slot->name, "delete/accepted")
	                     ? message_deleted(document->now.version, NULL, document->timestamp)
	                     : NULL;
	if (body)
		tell(teller, &slot->name, "delete/accepted", body);
	free(body);
}

/* It is on the disk: tells all who asked for it. */
static void stored(void *arg, int result)
{
	struct operation *operation = arg;
	struct service *service = operation->service;
	const struct slot *slot = operation->slot;
	const struct shadow_call *call = &operation->call;
	if (result) {
		forget(operation);
		fail_internally(operation, "store it", result);
		return;
	}
	tell_away(operation);
	const char *suffix = call->verb == SHADOW_MERGE ? NULL : tell_suffix(call->verb, true);
	char *body = suffix && answers(operation, suffix) ? change_body(operation) : NULL;
	if (body)
		tell(&service->teller, &slot->name, suffix, body);
	if (call->verb == SHADOW_MERGE)
		tell_united(operation);
	if (call->verb == SHADOW_UPDATE)
		tell_update(&service->teller, &slot->name, &operation->before, &slot->document,
		        operation->request.token);
	if (call->answer)
		answer_change(operation, body);
	free(body);
	finish(operation);
}

static int store(struct operation *operation)
{
	const struct service_deps *deps = &operation->service->deps;
	char key[SHADOW_KEY_MAX];
	char *text = document_print(&operation->slot->document);
	int r = text ? deps->store->put(deps->host, SHADOW_TABLE, shadow_key(key, &operation->slot->name),
	                       edged_str(text))
	             : -ENOMEM;
	free(text);
	return r ? r : deps->store->commit(deps->host, stored, operation);
}

static bool matches(const struct operation *operation, struct shadow_error *error)
{
	const struct printed *now = &operation->slot->document.now;
	int64_t match = operation->call.match;
	if (match == SHADOW_MATCH_NONE ||
	        (now->exists && (match == SHADOW_MATCH_ANY || match == now->version)))
		return true;
	if (now->exists)
		(void)shadow_refuse(error, 412, "The version is %lld", (long long)now->version);
	else
		(void)shadow_refuse(error, 412, "There is no such shadow");
	return false;
}

static void change(struct operation *operation)
{
	struct service *service = operation->service;
	const struct service_deps *deps = &service->deps;
	struct slot *slot = operation->slot;
	struct shadow_error error = { 0 };
	int r = matches(operation, &error) ? 0 : -EINVAL;
	if (!r && operation->call.verb == SHADOW_DELETE && !slot->document.now.exists) {
		fail_absent(operation);
		return;
	}
	if (!r)
		r = operation->call.verb == SHADOW_UPDATE
		            ? document_update(&slot->document, &operation->request, deps->now(),
		                      &deps->limits, &operation->before, &error)
		            : document_delete(&slot->document, &operation->request, deps->now(),
		                      &operation->before, &error);
	if (r) {
		if (r == -ENOMEM)
			forget(operation);
		fail(operation, &error);
		return;
	}
	slots_resize(&service->slots, slot);
	r = store(operation);
	if (r) {
		forget(operation);
		fail_internally(operation, "store it", r);
	}
}

/* Takes in what another node has of it. */
static void merge(struct operation *operation)
{
	struct slot *slot = operation->slot;
	bool changed;
	int r = document_unite(&slot->document, &operation->other, &operation->before, &changed);
	if (r) {
		forget(operation);
		fail_internally(operation, "unite it", r);
		return;
	}
	slots_resize(&operation->service->slots, slot);
	if (!changed) {
		answer_change(operation, NULL);
		finish(operation);
		return;
	}
	r = store(operation);
	if (r) {
		forget(operation);
		fail_internally(operation, "store it", r);
	}
}

static void hand(struct operation *operation)
{
	const struct document *document = &operation->slot->document;
	char *text = document->now.version > 0 ? document_print(document) : NULL;
	shadow_given *given = operation->given;
	operation->given = NULL;
	given(operation->call.arg, operation, edged_str(text));
	free(text);
}

static void handed(void *arg, int result)
{
	struct operation *operation = arg;
	forget(operation);
	if (result)
		fail_internally(operation, "remove it", result);
	else
		finish(operation);
}

/* That it is not here any more survives before anything else is done with it. */
void service_handed(struct operation *operation, bool gone)
{
	const struct service_deps *deps = &operation->service->deps;
	char key[SHADOW_KEY_MAX];
	int r = gone ? deps->store->del(deps->host, SHADOW_TABLE, shadow_key(key, &operation->slot->name))
	             : 0;
	if (gone && !r)
		r = deps->store->commit(deps->host, handed, operation);
	if (!gone || r)
		finish(operation);
}

static void show(struct operation *operation)
{
	const struct slot *slot = operation->slot;
	const struct shadow_call *call = &operation->call;
	if (!slot->document.now.exists) {
		fail_absent(operation);
		return;
	}
	char *body = message_get(&slot->document, operation->request.token);
	if (!body) {
		fail_internally(operation, "print it", -ENOMEM);
		return;
	}
	if (call->mirror)
		tell(&operation->service->teller, &slot->name, "get/accepted", body);
	if (call->answer)
		call->answer(call->arg, &(struct shadow_outcome){ .error = &none,
		                                .version = slot->document.now.version,
		                                .body = edged_str(body),
		                                .age = -1 });
	free(body);
	finish(operation);
}

/* --- what is not here -------------------------------------------------------------------------------------------------------- */

enum { TRIES = 3 };

static void came_back(void *arg, enum away_result result, const struct shadow_outcome *outcome)
{
	struct operation *operation = arg;
	struct service *service = operation->service;
	struct shadow_call *call = &operation->call;
	const struct shadow_name *name = &operation->slot->name;
	struct shadow_error error;
	if (result == AWAY_AGAIN && ++operation->tries < TRIES) {
		work(operation->slot);
		return;
	}
	if (result == AWAY_AGAIN) {
		(void)shadow_refuse(&error, 503, "It is not known which node has this shadow; try again");
		fail(operation, &error);
		return;
	}
	call->mirror &= result != AWAY_TOLD;
	if (outcome->error->code) {
		fail(operation, outcome->error);
		return;
	}
	char *body = call->mirror ? strndup(outcome->body.ptr, outcome->body.len) : NULL;
	if (body)
		tell(&service->teller, name, tell_suffix(call->verb, true), body);
	free(body);
	if (call->answer)
		call->answer(call->arg, outcome);
	finish(operation);
}

/* True: it has been dealt with. */
static bool run_away(struct operation *operation)
{
	const struct away *away = operation->service->deps.away;
	const struct shadow_call *call = &operation->call;
	bool makes = call->verb == SHADOW_MERGE || (call->make && call->verb == SHADOW_UPDATE);
	if (call->verb == SHADOW_HAND)
		return false;
	if (call->here && !makes)
		fail_gone(operation);
	else if (call->here)
		return false;
	else
		return away->run(
		        away->ctx, &operation->slot->name, call, &operation->request, came_back, operation);
	return true;
}

static void loaded(void *arg, int result, struct edged_slice value)
{
	struct slot *slot = arg;
	struct operation *first = TAILQ_FIRST(&slot->operations);
	struct service *service = first->service;
	if (result && result != -ENOENT) {
		fail_internally(first, "read it", result);
		return;
	}
	document_fini(&slot->document);
	result = result ? document_init(&slot->document) : document_parse(&slot->document, value);
	if (result) {
		fail_internally(first, "understand what is stored of it", result);
		return;
	}
	slot->loaded = true;
	slots_resize(&service->slots, slot);
	work(slot);
}

static void carry_out(struct operation *operation)
{
	switch (operation->call.verb) {
	case SHADOW_GET:
		show(operation);
		break;
	case SHADOW_UPDATE:
	case SHADOW_DELETE:
		change(operation);
		break;
	case SHADOW_MERGE:
		merge(operation);
		break;
	case SHADOW_HAND:
		hand(operation);
		break;
	}
}

bool service_knows(const struct service_deps *deps, const char *thing, struct shadow_error *error)
{
	if (!deps->registered || deps->registered(deps->registered_arg, thing))
		return true;
	(void)shadow_refuse(error, 404, "Thing not found");
	return false;
}

static void work(struct slot *slot)
{
	struct operation *operation = TAILQ_FIRST(&slot->operations);
	const struct service_deps *deps = &operation->service->deps;
	if (slot->loaded && deps->away && slot->document.now.version == 0 && run_away(operation))
		return;
	struct shadow_error error;
	if (slot->loaded && deps->away && is_of_client(&operation->call) &&
	        !service_knows(deps, slot->name.thing, &error)) { /* nor does another node have it */
		fail(operation, &error);
		return;
	}
	if (slot->loaded) {
		carry_out(operation);
		return;
	}
	char key[SHADOW_KEY_MAX];
	int r = deps->store->get(deps->host, SHADOW_TABLE, shadow_key(key, &slot->name), loaded, slot);
	if (r)
		fail_internally(operation, "read it", r);
}

static int parse(struct service *service, const struct shadow_call *call, struct shadow_request *request,
        struct document *other, struct shadow_error *error)
{
	const struct document_limits *limits = &service->deps.limits;
	if (call->verb == SHADOW_MERGE && document_parse(other, call->payload))
		return shadow_refuse(error, 400, "This is no stored shadow");
	if (call->verb == SHADOW_MERGE)
		return 0;
	if (call->payload.len > service->deps.payload)
		return shadow_refuse(error, 413, "The payload exceeds the maximum size allowed");
	if (call->verb != SHADOW_UPDATE)
		return shadow_request_parse_plain(request, call->payload, error);
	if (call->patch) {
		int r = shadow_request_parse_patch(request, call->payload, limits, error);
		request->replace = call->replace;
		return r;
	}
	return shadow_request_parse_update(request, call->payload, limits, error);
}

/* Appends the operation to its slot; false: `error` says why not. */
static bool enqueue(struct service *service, const struct shadow_name *name, struct operation *operation,
        struct shadow_error *error)
{
	const struct service_deps *deps = &service->deps;
	bool counts = is_of_client(&operation->call);
	int r = counts ? busy_add(&service->busy, name->thing, deps->rate ? deps->loop->now(deps->host) : 0)
	               : 0;
	struct slot *slot = r ? NULL : slots_get(&service->slots, name);
	if (!slot && !r && counts)
		busy_remove(&service->busy, name->thing);
	if (r == -EBUSY)
		(void)shadow_refuse(
		        error, 429, "Too many requests: %u of this thing are in flight", deps->in_flight);
	else if (r == -EAGAIN)
		(void)shadow_refuse(
		        error, 429, "Too many requests: a thing may make %u in a second", deps->rate);
	else if (!slot)
		(void)shadow_refuse(error, 500, "Internal service failure");
	if (!slot)
		return false;
	if (slot->waiting++ == 0)
		slots_busy(&service->slots, slot);
	operation->slot = slot;
	TAILQ_INSERT_TAIL(&slot->operations, operation, link);
	return true;
}

void service_run(struct service *service, const struct shadow_name *name, const struct shadow_call *call)
{
	if (is_of_client(call))
		edged_metric_add(service->requests[call->verb], 1);
	struct shadow_error error = { 0 };
	struct shadow_request request = { 0 };
	struct document other = { 0 };
	struct operation *operation = NULL;
	bool judged = is_of_client(call) && !service->deps.away; /* else see work() */
	if (parse(service, call, &request, &other, &error) == 0 &&
	        (!judged || service_knows(&service->deps, name->thing, &error))) {
		operation = calloc(1, sizeof(*operation));
		if (operation)
			*operation = (struct operation){
				.service = service, .call = *call, .request = request, .other = other
			};
		else
			(void)shadow_refuse(&error, 500, "Internal service failure");
	}
	if (operation && enqueue(service, name, operation, &error)) {
		if (operation->slot->waiting == 1)
			work(operation->slot);
		return;
	}
	refuse(service, name, call, &error, request.token);
	shadow_request_fini(&request);
	document_fini(&other);
	free(operation);
}

int service_hand(struct service *service, const struct shadow_name *name, shadow_given *given, void *arg)
{
	struct shadow_error error;
	struct operation *operation = calloc(1, sizeof(*operation));
	if (!operation)
		return -ENOMEM;
	*operation = (struct operation){
		.service = service, .call = { .verb = SHADOW_HAND, .arg = arg }, .given = given
	};
	if (!enqueue(service, name, operation, &error)) {
		free(operation);
		return -ENOMEM;
	}
	if (operation->slot->waiting == 1)
		work(operation->slot);
	return 0;
}

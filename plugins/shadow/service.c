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

static void operation_free(struct operation *operation)
{
	busy_remove(&operation->service->busy, operation->slot->name.thing);
	TAILQ_REMOVE(&operation->slot->operations, operation, link);
	operation->slot->waiting--;
	shadow_request_fini(&operation->request);
	printed_fini(&operation->before);
	free(operation);
}

static const struct shadow_error none = { 0 };
static const struct shadow_error stopping = { .code = 500, .message = "The shadow service has stopped" };

static void operation_drop(struct operation *operation)
{
	const struct shadow_call *call = &operation->call;
	if (call->answer)
		call->answer(call->arg, &stopping, 0, edged_slice(NULL, 0));
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
		call->answer(call->arg, error, 0, edged_str(body));
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
	if (operation->call.verb == SHADOW_UPDATE)
		return message_accepted(document, &operation->request, document->timestamp);
	return message_deleted(document->now.version, operation->request.token, document->timestamp);
}

static void answer_change(const struct operation *operation, const char *body)
{
	const struct shadow_call *call = &operation->call;
	const struct document *document = &operation->slot->document;
	char *whole = call->whole ? message_get(document, NULL) : NULL;
	call->answer(call->arg, &none, document->now.version, edged_str(whole ? whole : body));
	free(whole);
}

/* It is on the disk: tells all who asked for it. */
static void stored(void *arg, int result)
{
	struct operation *operation = arg;
	struct service *service = operation->service;
	const struct slot *slot = operation->slot;
	const struct shadow_call *call = &operation->call;
	const char *suffix = tell_suffix(call->verb, true);
	if (result) {
		forget(operation);
		fail_internally(operation, "store it", result);
		return;
	}
	char *body = answers(operation, suffix) ? change_body(operation) : NULL;
	if (body)
		tell(&service->teller, &slot->name, suffix, body);
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
		call->answer(call->arg, &none, slot->document.now.version, edged_str(body));
	free(body);
	finish(operation);
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

static void work(struct slot *slot)
{
	struct operation *operation = TAILQ_FIRST(&slot->operations);
	const struct service_deps *deps = &operation->service->deps;
	if (slot->loaded) {
		if (operation->call.verb == SHADOW_GET)
			show(operation);
		else
			change(operation);
		return;
	}
	char key[SHADOW_KEY_MAX];
	int r = deps->store->get(deps->host, SHADOW_TABLE, shadow_key(key, &slot->name), loaded, slot);
	if (r)
		fail_internally(operation, "read it", r);
}

static int parse(struct service *service, const struct shadow_call *call, struct shadow_request *request,
        struct shadow_error *error)
{
	const struct document_limits *limits = &service->deps.limits;
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
	int r = busy_add(&service->busy, name->thing, deps->rate ? deps->loop->now(deps->host) : 0);
	struct slot *slot = r ? NULL : slots_get(&service->slots, name);
	if (!slot && !r)
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

bool service_knows(const struct service_deps *deps, const char *thing, struct shadow_error *error)
{
	if (!deps->registered || deps->registered(deps->registered_arg, thing))
		return true;
	(void)shadow_refuse(error, 404, "Thing not found");
	return false;
}

void service_run(struct service *service, const struct shadow_name *name, const struct shadow_call *call)
{
	edged_metric_add(service->requests[call->verb], 1);
	struct shadow_error error = { 0 };
	struct shadow_request request = { 0 };
	struct operation *operation = NULL;
	if (parse(service, call, &request, &error) == 0 &&
	        service_knows(&service->deps, name->thing, &error)) {
		operation = calloc(1, sizeof(*operation));
		if (operation)
			*operation =
			        (struct operation){ .service = service, .call = *call, .request = request };
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
	free(operation);
}

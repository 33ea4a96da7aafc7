/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slot.h"

#define TABLE "shadows"
/* What a slot costs beyond its text; keeps a cache of many tiny shadows honest. */
enum { SLOT_COST = 512 };

struct operation {
	TAILQ_ENTRY(operation) link;
	struct service *service;
	struct slot *slot;
	enum shadow_verb verb;
	bool mirror;
	shadow_answer *answer;
	void *arg;
	struct shadow_request request;
	struct document next; /* what the document becomes once it is on the disk */
	char *next_text;
};

struct service {
	struct service_deps deps;
	struct slots slots;
	LIST_HEAD(, listing) listings;
	int64_t *requests[3], *refused, *cached, *cached_bytes;
};

struct listing {
	LIST_ENTRY(listing) link;
	struct service *service;
	shadow_answer *answer;
	void *arg;
	char thing[THING_NAME_MAX + 1];
	json_t *names;
	size_t limit;
	bool more;
};

static const char *const verbs[] = { "get", "update", "delete" };

static void work(struct slot *slot);

int service_new(const struct service_deps *deps, struct service **ret)
{
	struct service *service = calloc(1, sizeof(*service));
	if (!service)
		return -ENOMEM;
	service->deps = *deps;
	slots_init(&service->slots, deps->cache_bytes);
	static const char *const labels[] = { "verb=\"get\"", "verb=\"update\"", "verb=\"delete\"" };
	for (unsigned i = 0; i < 3; i++)
		service->requests[i] = deps->metrics->figure(deps->host, EDGED_COUNTER,
		        "shadow_requests_total", labels[i], "Shadow requests taken");
	service->refused = deps->metrics->figure(
	        deps->host, EDGED_COUNTER, "shadow_refused_total", NULL, "Shadow requests refused");
	service->cached = deps->metrics->figure(
	        deps->host, EDGED_GAUGE, "shadow_cached_documents", NULL, "Shadow documents in memory");
	service->cached_bytes = deps->metrics->figure(deps->host, EDGED_GAUGE, "shadow_cached_bytes", NULL,
	        "Their size as stored, with a share for each");
	*ret = service;
	return 0;
}

static void operation_free(struct operation *operation)
{
	TAILQ_REMOVE(&operation->slot->operations, operation, link);
	operation->slot->waiting--;
	shadow_request_fini(&operation->request);
	document_fini(&operation->next);
	free(operation->next_text);
	free(operation);
}

static const struct shadow_error stopping = { .code = 500, .message = "The shadow service has stopped" };

static void operation_drop(struct operation *operation)
{
	if (operation->answer)
		operation->answer(operation->arg, &stopping, edged_slice(NULL, 0));
	operation_free(operation);
}

static void listing_free(struct listing *listing)
{
	LIST_REMOVE(listing, link);
	json_decref(listing->names);
	free(listing);
}

void service_free(struct service *service)
{
	if (!service)
		return;
	slots_fini(&service->slots, operation_drop);
	struct listing *listing;
	while ((listing = LIST_FIRST(&service->listings))) {
		listing->answer(listing->arg, &stopping, edged_slice(NULL, 0));
		listing_free(listing);
	}
	free(service);
}

/* --- telling
 * ------------------------------------------------------------------------------------------------------- */

static void publish(
        struct service *service, const struct shadow_name *name, const char *suffix, const char *body)
{
	char topic[SHADOW_TOPIC_MAX];
	struct edged_message message = { .struct_size = sizeof(message), .qos = 1 };
	message.topic = edged_slice(topic, shadow_topic_print(topic, name, suffix));
	message.payload = edged_str(body);
	int r = service->deps.pubsub->publish(
	        service->deps.pubsub->ctx, service->deps.host, &message, NULL, NULL);
	if (r)
		service->deps.log->log(
		        service->deps.host, EDGED_WARNING, "cannot publish to %s: %s", topic, strerror(-r));
}

static bool wanted(struct service *service, const struct shadow_name *name, const char *suffix)
{
	char topic[SHADOW_TOPIC_MAX];
	size_t n = shadow_topic_print(topic, name, suffix);
	return service->deps.pubsub->wanted(
	        service->deps.pubsub->ctx, service->deps.host, edged_slice(topic, n));
}

static void publish_outcome(struct service *service, const struct shadow_name *name, enum shadow_verb verb,
        const char *outcome, const char *body)
{
	char suffix[32];
	snprintf(suffix, sizeof(suffix), "%s/%s", verbs[verb], outcome);
	publish(service, name, suffix, body);
}

static void refuse(struct service *service, const struct shadow_name *name, enum shadow_verb verb,
        const struct shadow_error *error, const char *token, bool mirror, shadow_answer *answer, void *arg)
{
	edged_metric_add(service->refused, 1);
	char *body = message_rejected(error, token, service->deps.now());
	if (body && mirror)
		publish_outcome(service, name, verb, "rejected", body);
	if (answer)
		answer(arg, error, edged_str(body));
	free(body);
}

/* --- the life of an operation
 * ---------------------------------------------------------------------------------------- */

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
	refuse(operation->service, &operation->slot->name, operation->verb, error, operation->request.token,
	        operation->mirror, operation->answer, operation->arg);
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

/* Tells the outcome of a change to all who asked for it. */
static void tell_change(struct operation *operation, const struct document *before, const char *body)
{
	struct service *service = operation->service;
	const struct slot *slot = operation->slot;
	const char *token = operation->request.token;
	publish_outcome(service, &slot->name, operation->verb, "accepted", body);
	if (operation->verb == SHADOW_UPDATE && wanted(service, &slot->name, "update/delta")) {
		bool differs;
		char *delta = message_delta(&slot->document, token, slot->document.timestamp, &differs);
		if (delta)
			publish(service, &slot->name, "update/delta", delta);
		free(delta);
	}
	if (operation->verb == SHADOW_UPDATE && wanted(service, &slot->name, "update/documents")) {
		char *documents = message_documents(before, &slot->document, token, slot->document.timestamp);
		if (documents)
			publish(service, &slot->name, "update/documents", documents);
		free(documents);
	}
}

static void stored(void *arg, int result)
{
	struct operation *operation = arg;
	struct service *service = operation->service;
	struct slot *slot = operation->slot;
	if (result) {
		fail_internally(operation, "store it", result);
		return;
	}
	struct document before = slot->document;
	slot->document = operation->next;
	operation->next = (struct document){ 0 };
	slots_resize(&service->slots, slot, strlen(operation->next_text) + SLOT_COST);
	int64_t now = slot->document.timestamp;
	char *body = operation->verb == SHADOW_UPDATE
	                     ? message_accepted(&slot->document, &operation->request, now)
	                     : message_deleted(slot->document.version, operation->request.token, now);
	static const struct shadow_error none = { 0 };
	if (body) {
		tell_change(operation, &before, body);
		if (operation->answer)
			operation->answer(operation->arg, &none, edged_str(body));
	}
	free(body);
	document_fini(&before);
	finish(operation);
}

static void change(struct operation *operation)
{
	struct service *service = operation->service;
	const struct service_deps *deps = &service->deps;
	struct slot *slot = operation->slot;
	struct shadow_error error = { 0 };
	if (operation->verb == SHADOW_DELETE && !slot->document.exists) {
		fail_absent(operation);
		return;
	}
	int r = document_copy(&operation->next, &slot->document);
	if (r) {
		fail_internally(operation, "copy it", r);
		return;
	}
	if (operation->verb == SHADOW_UPDATE)
		r = document_update(
		        &operation->next, &operation->request, deps->now(), &deps->limits, &error);
	else
		r = document_delete(&operation->next, &operation->request, deps->now(), &error);
	if (r) {
		fail(operation, &error);
		return;
	}
	char key[SHADOW_KEY_MAX];
	operation->next_text = document_print(&operation->next);
	r = operation->next_text ? deps->store->put(deps->host, TABLE, shadow_key(key, &slot->name),
	                                   edged_str(operation->next_text))
	                         : -ENOMEM;
	if (!r)
		r = deps->store->commit(deps->host, stored, operation);
	if (r)
		fail_internally(operation, "store it", r);
}

static void show(struct operation *operation)
{
	const struct slot *slot = operation->slot;
	if (!slot->document.exists) {
		fail_absent(operation);
		return;
	}
	static const struct shadow_error none = { 0 };
	char *body = message_get(&slot->document, operation->request.token);
	if (!body) {
		fail_internally(operation, "print it", -ENOMEM);
		return;
	}
	if (operation->mirror)
		publish_outcome(operation->service, &slot->name, SHADOW_GET, "accepted", body);
	if (operation->answer)
		operation->answer(operation->arg, &none, edged_str(body));
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
	if (!result) {
		struct document document;
		result = document_parse(&document, value);
		if (result) {
			fail_internally(first, "understand what is stored of it", result);
			return;
		}
		document_fini(&slot->document);
		slot->document = document;
	}
	slot->loaded = true;
	slots_resize(&service->slots, slot, value.len + SLOT_COST);
	work(slot);
}

static void work(struct slot *slot)
{
	struct operation *operation = TAILQ_FIRST(&slot->operations);
	const struct service_deps *deps = &operation->service->deps;
	if (slot->loaded) {
		if (operation->verb == SHADOW_GET)
			show(operation);
		else
			change(operation);
		return;
	}
	char key[SHADOW_KEY_MAX];
	int r = deps->store->get(deps->host, TABLE, shadow_key(key, &slot->name), loaded, slot);
	if (r)
		fail_internally(operation, "read it", r);
}

static int parse(struct service *service, enum shadow_verb verb, struct edged_slice payload,
        struct shadow_request *request, struct shadow_error *error)
{
	if (payload.len > service->deps.payload)
		return shadow_refuse(error, 413, "The payload exceeds the maximum size allowed");
	if (verb == SHADOW_UPDATE)
		return shadow_request_parse_update(request, payload, &service->deps.limits, error);
	return shadow_request_parse_plain(request, payload, error);
}

/* Appends the operation to its slot; false: `error` says why not. */
static bool enqueue(struct service *service, const struct shadow_name *name, struct operation *operation,
        struct shadow_error *error)
{
	struct slot *slot = slots_get(&service->slots, name);
	if (!slot) {
		(void)shadow_refuse(error, 500, "Internal service failure");
		return false;
	}
	if (slot->waiting >= service->deps.in_flight) {
		(void)shadow_refuse(
		        error, 429, "Too many requests: %u are in flight for this shadow", slot->waiting);
		return false;
	}
	if (slot->waiting++ == 0)
		slots_busy(&service->slots, slot);
	operation->slot = slot;
	TAILQ_INSERT_TAIL(&slot->operations, operation, link);
	return true;
}

void service_run(struct service *service, const struct shadow_name *name, enum shadow_verb verb,
        struct edged_slice payload, bool mirror, shadow_answer *answer, void *arg)
{
	edged_metric_add(service->requests[verb], 1);
	struct shadow_error error = { 0 };
	struct shadow_request request = { 0 };
	struct operation *operation = NULL;
	if (parse(service, verb, payload, &request, &error) == 0) {
		operation = calloc(1, sizeof(*operation));
		if (operation) {
			*operation = (struct operation){ .service = service,
				.verb = verb,
				.mirror = mirror,
				.answer = answer,
				.arg = arg,
				.request = request };
		} else {
			(void)shadow_refuse(&error, 500, "Internal service failure");
		}
	}
	if (operation && enqueue(service, name, operation, &error)) {
		if (operation->slot->waiting == 1)
			work(operation->slot);
		return;
	}
	refuse(service, name, verb, &error, request.token, mirror, answer, arg);
	shadow_request_fini(&request);
	free(operation);
}

/* --- listing
 * -----------------------------------------------------------------------------------------------------------
 */

static int list_row(void *arg, struct edged_slice key, struct edged_slice value)
{
	struct listing *listing = arg;
	struct shadow_name name;
	struct document document;
	if (!shadow_key_parse(key, &name) || document_parse(&document, value))
		return 0;
	bool exists = document.exists;
	document_fini(&document);
	if (!exists)
		return 0;
	if (json_array_size(listing->names) >= listing->limit) {
		listing->more = true;
		return 1;
	}
	return json_array_append_new(listing->names, json_string(name.name)) ? 1 : 0;
}

static void list_end(void *arg, int result)
{
	struct listing *listing = arg;
	struct shadow_error error = { 0 };
	json_t *root = json_pack("{s:O, s:I}", "results", listing->names, "timestamp",
	        (json_int_t)listing->service->deps.now());
	size_t n = json_array_size(listing->names);
	if (root && listing->more && n)
		(void)json_object_set(root, "nextToken", json_array_get(listing->names, n - 1));
	char *body = root && !result ? json_dumps(root, JSON_COMPACT) : NULL;
	if (!body)
		(void)shadow_refuse(&error, 500, "Internal service failure");
	listing->answer(listing->arg, &error, edged_str(body));
	free(body);
	json_decref(root);
	listing_free(listing);
}

void service_list(struct service *service, const struct shadow_name *after, size_t limit,
        shadow_answer *answer, void *arg)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	json_t *names = json_array();
	char from[SHADOW_KEY_MAX + 1], to[SHADOW_KEY_MAX];
	int r = listing && names ? 0 : -ENOMEM;
	if (!r) {
		*listing = (struct listing){
			.service = service, .answer = answer, .arg = arg, .names = names, .limit = limit
		};
		/* The key right after `after` in memcmp order; never the classic shadow, whose name is empty.
		 */
		struct edged_slice first = shadow_key(from, after);
		from[first.len] = *after->name ? '\0' : '\1';
		struct edged_slice end = shadow_key(to, after);
		size_t thing = strlen(after->thing);
		to[thing] = '\1';
		end.len = thing + 1;
		r = service->deps.store->scan(service->deps.host, TABLE, edged_slice(from, first.len + 1),
		        end, 0, list_row, list_end, listing);
	}
	if (!r) {
		LIST_INSERT_HEAD(&service->listings, listing, link);
		return;
	}
	struct shadow_error error;
	(void)shadow_refuse(&error, 500, "Internal service failure");
	answer(arg, &error, edged_slice(NULL, 0));
	json_decref(names);
	free(listing);
}

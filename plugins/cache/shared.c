/* SPDX-License-Identifier: Apache-2.0 */
#include "shared.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "edged/cap_metrics.h"

/* One request. */
struct exchange {
	LIST_ENTRY(exchange) link;
	struct shared *shared;
	struct edged_proxy_request request; /* borrowed; not looked at in the end */
	struct control control;             /* of the request */
	struct answer *stored;              /* fits, but may not be given as it is; held */
	struct answer *incoming;            /* is coming, and will be stored; held */
	struct edged_slice uri;             /* a copy, behind it */
	const char *why;                    /* it was sent on, in the words of RFC 9211 section 2.2 */
	uint64_t asked_ms;
	bool unsafe, may_store, conditional;
};

static void add(int64_t *figure)
{
	if (figure)
		edged_metric_add(figure, 1);
}

static void show(const struct shared *shared)
{
	if (!shared->bytes)
		return;
	edged_metric_set(shared->count, (int64_t)shared->answers.count);
	edged_metric_set(shared->bytes, (int64_t)shared->answers.bytes);
	edged_metric_set(shared->evicted, (int64_t)shared->answers.evicted);
}

/* --- what is returned --- */

static void put(struct shared *shared, struct edged_proxy_answer *ret, const char *name, const char *value)
{
	shared->fields[ret->field_count++] = (struct edged_http_field){ edged_str(name), edged_str(value) };
	ret->fields = shared->fields;
}

/* What a 304 tells (RFC 9110 section 15.4.5). */
static bool is_of_304(const struct edged_http_field *field)
{
	static const char *const names[] = { "cache-control", "content-location", "edged-node", "etag",
		"expires", "last-modified", "vary" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (field_is(field, names[i]))
			return true;
	return false;
}

/* The stored answer for this request; the status text has been written. */
static void give(struct exchange *x, struct answer *answer, struct edged_proxy_answer *ret)
{
	struct shared *shared = x->shared;
	const struct field_block *fields = answer->fields;
	bool is_304 = answer->status == 200 && rules_not_modified(&x->request, fields->fields, fields->count);
	ret->field_count = 0;
	for (size_t i = 0; i < fields->count; i++)
		if (!is_304 || is_of_304(&fields->fields[i]))
			shared->fields[ret->field_count++] = fields->fields[i];
	snprintf(shared->age, sizeof(shared->age), "%" PRId64, rules_age_s(&answer->fresh, shared->now()));
	put(shared, ret, "Age", shared->age);
	put(shared, ret, "Cache-Status", shared->status);
	ret->status = is_304 ? 304 : answer->status;
	if (!is_304)
		ret->body = edged_slice(answer->body, answer->body_len);
	answers_used(&shared->answers, answer);
}

/* Rounded to below, so that 0 is not fresh any more. */
static int64_t seconds_left(const struct shared *shared, const struct answer *answer)
{
	int64_t left = rules_left(&answer->fresh, shared->now());
	return left >= 0 ? left / 1000 : (left - 999) / 1000;
}

static void give_hit(struct exchange *x, struct answer *answer, struct edged_proxy_answer *ret)
{
	struct shared *shared = x->shared;
	snprintf(shared->status, sizeof(shared->status), "%s; hit; ttl=%" PRId64, shared->name,
	        seconds_left(shared, answer));
	give(x, answer, ret);
	add(shared->hits);
}

static void give_on_error(struct exchange *x, int status, struct edged_proxy_answer *ret)
{
	struct shared *shared = x->shared;
	char came[32] = "";
	if (status)
		snprintf(came, sizeof(came), "; fwd-status=%d", status);
	snprintf(shared->status, sizeof(shared->status), "%s; fwd=%s%s; detail=stale-if-error", shared->name,
	        x->why, came);
	give(x, x->stored, ret);
	add(shared->stale);
}

static void refuse_to_send(struct shared *shared, struct edged_proxy_answer *ret)
{
	static const char document[] = "{\"type\":\"urn:edged:problem:not-cached\",\"title\":\"Nothing that "
	                               "fits is kept here\",\"status\":504,"
	                               "\"detail\":\"The request says only-if-cached, so the other node was "
	                               "not asked. Ask without it.\"}\n";
	snprintf(shared->status, sizeof(shared->status), "%s; detail=only-if-cached", shared->name);
	put(shared, ret, "Content-Type", "application/problem+json");
	put(shared, ret, "Cache-Status", shared->status);
	ret->status = 504;
	ret->body = edged_str(document);
}

/* --- a request --- */

static bool request_has(const struct edged_proxy_request *request, const char *name)
{
	return field_value(request->fields, request->field_count, name).ptr != NULL;
}

/* Only who has the whole of it now can judge that. */
static bool is_for_origin(const struct edged_proxy_request *request)
{
	return request->has_body || request_has(request, "range") || request_has(request, "if-match") ||
	       request_has(request, "if-unmodified-since");
}

/* The conditions under which it goes to the other node. */
static void set_conditions(struct exchange *x, struct edged_proxy_answer *ret)
{
	const struct field_block *fields = x->stored->fields;
	struct edged_slice tag = field_value(fields->fields, fields->count, "etag");
	struct edged_slice modified = field_value(fields->fields, fields->count, "last-modified");
	if (!edged_slice_is(x->request.method, "GET"))
		return;
	if (tag.len)
		put(x->shared, ret, "If-None-Match", tag.ptr);
	if (modified.len)
		put(x->shared, ret, "If-Modified-Since", modified.ptr);
	x->conditional = ret->field_count > 0;
}

/* Another node asks, which has it and a cache of its own: once it comes whole, it is here for all of them. */
static void fetch_whole(struct exchange *x, struct edged_proxy_answer *ret)
{
	const struct edged_proxy_request *request = &x->request;
	struct edged_slice hops = field_value(request->fields, request->field_count, "edged-hops");
	if (x->may_store && edged_slice_is(request->method, "GET") && hops.len &&
	        !edged_slice_is(hops, "1") &&
	        (request_has(request, "if-none-match") || request_has(request, "if-modified-since")))
		ret->fields = x->shared->fields;
}

static void begin_retrieval(struct exchange *x, struct edged_proxy_answer *ret)
{
	struct shared *shared = x->shared;
	const struct edged_proxy_request *request = &x->request;
	bool known = false;
	x->may_store = !x->control.no_store && !is_for_origin(request);
	struct answer *answer = x->may_store ? answers_find(&shared->answers, request->uri, request->fields,
	                                               request->field_count, &known)
	                                     : NULL;
	enum rules_use use = answer ? rules_use(&answer->fresh, &x->control, shared->now()) : RULES_STALE;
	if (answer && use == RULES_GIVE) {
		give_hit(x, answer, ret);
		return;
	}
	if (x->control.only_if_cached) {
		refuse_to_send(shared, ret);
		return;
	}
	x->why = !x->may_store          ? "bypass"
	         : !known               ? "uri-miss"
	         : !answer              ? "vary-miss"
	         : use == RULES_REQUEST ? "request"
	                                : "stale";
	add(shared->misses);
	if (answer) {
		x->stored = answer_hold(answer);
		set_conditions(x, ret);
	} else {
		fetch_whole(x, ret);
	}
}

static void *begin(void *self, const struct edged_proxy_request *request, struct edged_proxy_answer *ret,
        bool *ret_shared)
{
	struct shared *shared = self;
	bool safe = rules_is_safe(request->method);
	bool retrieval = edged_slice_is(request->method, "GET") || edged_slice_is(request->method, "HEAD");
	if (!retrieval && (safe || (shared->answers.count == 0 && LIST_EMPTY(&shared->open))))
		return NULL;
	struct exchange *x = calloc(1, sizeof(*x) + request->uri.len);
	if (!x)
		return NULL;
	memcpy(x + 1, request->uri.ptr, request->uri.len);
	x->uri = edged_slice(x + 1, request->uri.len);
	x->shared = shared;
	x->request = *request;
	x->unsafe = !retrieval;
	x->asked_ms = shared->now();
	LIST_INSERT_HEAD(&shared->open, x, link);
	if (retrieval) {
		x->control = control_of(request->fields, request->field_count);
		begin_retrieval(x, ret);
		*ret_shared = x->stored && x->stored->fresh.life_ms > 0 && !x->stored->fresh.validate;
	}
	return x;
}

/* --- its answer --- */

static void stop_storing(struct exchange *x)
{
	answer_drop(&x->shared->answers, x->incoming);
	x->incoming = NULL;
	show(x->shared);
}

/* What is coming now may be from before the change. */
static void invalidate(struct shared *shared, struct edged_slice uri)
{
	struct exchange *x;
	size_t before = shared->answers.count;
	answers_forget(&shared->answers, uri);
	LIST_FOREACH(x, &shared->open, link)
	if (!x->unsafe && edged_slice_eq(x->uri, uri)) {
		x->may_store = false;
		stop_storing(x);
	}
	if (shared->invalidated)
		edged_metric_add(shared->invalidated, (int64_t)(before - shared->answers.count));
	show(shared);
}

/* 304 for the stored one. */
static void validated(struct exchange *x, const struct edged_proxy_answer *came, const struct moment *moment,
        struct edged_proxy_answer *ret)
{
	struct shared *shared = x->shared;
	struct answer *answer = x->stored;
	struct edged_slice tag = field_value(came->fields, came->field_count, "etag");
	const struct field_block *old = answer->fields;
	bool other = tag.len && !edged_slice_eq(tag, field_value(old->fields, old->count, "etag"));
	/* One that speaks of another body says nothing of how fresh this one is (section 4.3.4). */
	if (other || !answer_update(&shared->answers, answer, came, moment)) {
		answers_remove(&shared->answers, answer);
	} else {
		const struct edged_proxy_answer now = { .status = answer->status,
			.fields = answer->fields->fields,
			.field_count = answer->fields->count };
		if (!x->may_store || !rules_may_store(&x->request, &now, &answer->fresh))
			answers_remove(&shared->answers, answer);
	}
	snprintf(shared->status, sizeof(shared->status), "%s; fwd=%s; fwd-status=304%s", shared->name, x->why,
	        answer->resource ? "; stored" : "");
	give(x, answer, ret);
	add(shared->validated);
	show(shared);
}

static void begin_storing(
        struct exchange *x, const struct edged_proxy_answer *answer, const struct moment *moment)
{
	struct answers *answers = &x->shared->answers;
	struct freshness fresh = rules_freshness(answer, answer, moment);
	if (x->may_store && edged_slice_is(x->request.method, "GET") &&
	        rules_may_store(&x->request, answer, &fresh))
		x->incoming = answers_new(answers, &x->request, answer, &fresh);
	/* The stored one is not what there is any more, and nothing comes in its place. */
	if (x->stored && !x->incoming && answer->status < 500 && edged_slice_is(x->request.method, "GET"))
		answers_remove(answers, x->stored);
	show(x->shared);
}

static bool head(void *exchange, const struct edged_proxy_answer *answer, struct edged_proxy_answer *ret)
{
	struct exchange *x = exchange;
	struct shared *shared = x->shared;
	const struct moment moment = { x->asked_ms, shared->now(), shared->wall() };
	if (x->unsafe) {
		if (answer->status >= 200 && answer->status < 400)
			invalidate(shared, x->request.uri);
		return false;
	}
	if (x->conditional && answer->status == 304) {
		validated(x, answer, &moment, ret);
		return true;
	}
	if (x->stored && rules_is_error(answer->status) &&
	        rules_use_on_error(&x->stored->fresh, &x->control, moment.now_ms)) {
		give_on_error(x, answer->status, ret);
		return true;
	}
	begin_storing(x, answer, &moment);
	snprintf(shared->status, sizeof(shared->status), "%s; fwd=%s%s", shared->name, x->why,
	        x->incoming ? "; stored" : "");
	put(shared, ret, "Cache-Status", shared->status);
	return false;
}

static void data(void *exchange, struct edged_slice bytes)
{
	struct exchange *x = exchange;
	if (x->incoming && !answer_append(&x->shared->answers, x->incoming, bytes))
		stop_storing(x);
}

static bool failed(void *exchange, struct edged_proxy_answer *ret)
{
	struct exchange *x = exchange;
	if (!x->stored || !rules_use_on_error(&x->stored->fresh, &x->control, x->shared->now()))
		return false;
	give_on_error(x, 0, ret);
	return true;
}

static void end(void *exchange, bool whole)
{
	struct exchange *x = exchange;
	struct shared *shared = x->shared;
	LIST_REMOVE(x, link);
	if (x->incoming && whole && answers_add(&shared->answers, x->uri, x->incoming))
		add(shared->stored);
	answer_drop(&shared->answers, x->incoming);
	answer_drop(&shared->answers, x->stored);
	show(shared);
	free(x);
}

static void clear(void *self)
{
	struct shared *shared = self;
	struct exchange *x;
	answers_clear(&shared->answers);
	LIST_FOREACH(x, &shared->open, link)
	{
		x->may_store = false;
		x->control.no_cache = true; /* what it holds is not given on an error either */
		stop_storing(x);
	}
	show(shared);
}

static const struct edged_proxy_cache functions = { .struct_size = sizeof(functions),
	.begin = begin,
	.head = head,
	.data = data,
	.failed = failed,
	.end = end,
	.clear = clear };

const struct edged_proxy_cache *shared_functions(void)
{
	return &functions;
}

/* --- life --- */

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int64_t wall_s(void)
{
	return (int64_t)time(NULL);
}

void shared_init(struct shared *shared, const char *node_id, size_t count, size_t bytes, size_t answer)
{
	*shared = (struct shared){ .now = now_ms, .wall = wall_s };
	LIST_INIT(&shared->open);
	snprintf(shared->name, sizeof(shared->name), "edged-%.7s", node_id);
	answers_init(&shared->answers, count, bytes, answer);
}

void shared_fini(struct shared *shared)
{
	answers_clear(&shared->answers);
}

size_t shared_purge(struct shared *shared, struct edged_slice prefix)
{
	size_t n = answers_purge(&shared->answers, prefix);
	if (shared->invalidated)
		edged_metric_add(shared->invalidated, (int64_t)n);
	show(shared);
	return n;
}

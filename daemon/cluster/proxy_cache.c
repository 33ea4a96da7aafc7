/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/proxy_cache.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "cluster/link_header.h"
#include "cluster/link_session.h"
#include "io/loop.h"

/* --- who is the cache --- */

void proxy_cache_init(struct proxy_cache *cache)
{
	*cache = (struct proxy_cache){ .owner = NULL };
	list_init(&cache->open);
}

int proxy_cache_set(
        struct proxy_cache *cache, const char *owner, const struct edged_proxy_cache *functions, void *self)
{
	struct edged_proxy_cache f = { 0 };
	memcpy(&f, functions, functions->struct_size < sizeof(f) ? functions->struct_size : sizeof(f));
	if (!f.begin || !f.head || !f.data || !f.failed || !f.end || !f.clear)
		return -EINVAL;
	if (cache->owner)
		return -EEXIST;
	cache->functions = f;
	cache->self = self;
	cache->owner = owner;
	return 0;
}

void proxy_cache_unset(struct proxy_cache *cache)
{
	list_each_safe (node, &cache->open)
		proxy_exchange_end(list_entry(node, struct proxy_exchange, node), false);
	cache->owner = NULL;
}

/* --- one request --- */

static struct edged_proxy_answer nothing(void)
{
	return (struct edged_proxy_answer){ .struct_size = sizeof(struct edged_proxy_answer), .length = -1 };
}

/* NULL: no memory. */
static struct edged_http_field *fields_of(const struct header *headers, size_t count)
{
	struct edged_http_field *fields = calloc(count + 1, sizeof(*fields));
	for (size_t i = 0; fields && i < count; i++) {
		struct edged_slice value = headers[i].value;
		fields[i] = (struct edged_http_field){ headers[i].name,
			edged_slice(value.ptr ? value.ptr : "", value.len) };
	}
	return fields;
}

static void check_account(struct proxy_cache *cache, const char *account)
{
	if (strcmp(cache->account, account) == 0)
		return;
	struct loop_charge charge;
	loop_enter(&charge, cache->owner);
	cache->functions.clear(cache->self);
	loop_leave(&charge);
	(void)snprintf(cache->account, sizeof(cache->account), "%s", account);
}

static int name_uri(struct proxy_exchange *x, const struct proxy_ask *ask)
{
	struct edged_slice target =
	        ask->node_id ? ask->head->target : request_target(ask->requests, ask->request);
	int r = ask->node_id ? buf_addf(&x->uri, "/nodes/%s", ask->node_id) : 0;
	return r ? r : buf_add(&x->uri, target.ptr, target.len);
}

static void *begin(struct proxy_exchange *x, struct proxy_cache *cache, const struct proxy_ask *ask,
        struct edged_proxy_answer *ret)
{
	struct loop_charge charge;
	struct edged_http_field *fields = fields_of(ask->head->headers, ask->head->count);
	if (!fields)
		return NULL;
	x->fields = fields;
	const struct edged_proxy_request request = { .struct_size = sizeof(request),
		.has_body = request_body(ask->requests, ask->request).len > 0 ||
		            request_body_comes(ask->requests, ask->request),
		.method = request_method(ask->requests, ask->request),
		.uri = buf_slice(&x->uri),
		.fields = fields,
		.field_count = ask->head->count };
	loop_enter(&charge, cache->owner);
	void *exchange = cache->functions.begin(cache->self, &request, ret, &x->shared);
	loop_leave(&charge);
	return exchange;
}

bool proxy_exchange_begin(struct proxy_exchange *x, struct proxy_cache *cache, const struct proxy_ask *ask,
        struct edged_proxy_answer *ret)
{
	struct edged_slice method = request_method(ask->requests, ask->request);
	*ret = nothing();
	/* What is to become another protocol is no answer that one could keep. */
	if (!cache->owner || x->cache || request_is_websocket(ask->requests, ask->request) ||
	        request_header(ask->requests, ask->request, "upgrade").ptr)
		return false;
	check_account(cache, ask->account);
	if (name_uri(x, ask) || !(x->exchange = begin(x, cache, ask, ret)))
		return false; /* without it, too, the request is served */
	x->cache = cache;
	x->is_retrieval = edged_slice_is(method, "GET") || edged_slice_is(method, "HEAD");
	list_append(&cache->open, &x->node);
	if (ret->status)
		return true;
	x->conditional = ret->fields != NULL;
	if (x->conditional && proxy_head_conditions(ask->head, ret->fields, ret->field_count)) {
		x->conditional = false;
		proxy_exchange_end(x, false); /* it goes as it stands, and without the cache */
	}
	return false;
}

static bool say_head(
        struct proxy_exchange *x, const struct edged_proxy_answer *answer, struct edged_proxy_answer *ret)
{
	struct loop_charge charge;
	loop_enter(&charge, x->cache->owner);
	bool instead = x->cache->functions.head(x->exchange, answer, ret);
	loop_leave(&charge);
	return instead;
}

/* Of an answer: what is for one hop only is left out, and who gave it is said as the client will hear it. */
static struct edged_http_field *answer_fields(
        const struct link_message *answer, const char *node_id, size_t *ret_count)
{
	struct edged_slice connection = proxy_connection_header(answer->headers, answer->header_count);
	struct edged_http_field *fields = calloc(answer->header_count + 1, sizeof(*fields));
	size_t n = 0;
	for (size_t i = 0; fields && i < answer->header_count; i++) {
		const struct header *header = &answer->headers[i];
		if (!link_header_is_hop(header->name, connection))
			fields[n++] = (struct edged_http_field){ header->name, header->value };
	}
	if (fields && node_id)
		fields[n++] = (struct edged_http_field){ edged_str("edged-node"), edged_str(node_id) };
	*ret_count = n;
	return fields;
}

bool proxy_exchange_head(struct proxy_exchange *x, const struct link_message *answer, const char *node_id,
        struct edged_proxy_answer *ret)
{
	struct edged_proxy_answer coming = nothing();
	*ret = nothing();
	if (!x->cache)
		return false;
	struct edged_http_field *fields = answer_fields(answer, node_id, &coming.field_count);
	if (!fields) { /* nothing is kept of it; whoever sees its end must not take it for one that was shown */
		proxy_exchange_end(x, false);
		return false;
	}
	coming.status = answer->status;
	coming.fields = fields;
	coming.length = answer->length;
	bool instead = say_head(x, &coming, ret);
	free(fields);
	return instead;
}

void proxy_exchange_data(struct proxy_exchange *x, struct edged_slice bytes)
{
	struct loop_charge charge;
	if (!x->cache)
		return;
	loop_enter(&charge, x->cache->owner);
	x->cache->functions.data(x->exchange, bytes);
	loop_leave(&charge);
}

bool proxy_exchange_failed(struct proxy_exchange *x, struct edged_proxy_answer *ret)
{
	struct loop_charge charge;
	*ret = nothing();
	if (!x->cache)
		return false;
	loop_enter(&charge, x->cache->owner);
	bool instead = x->cache->functions.failed(x->exchange, ret);
	loop_leave(&charge);
	return instead;
}

void proxy_exchange_end(struct proxy_exchange *x, bool whole)
{
	struct loop_charge charge;
	struct proxy_cache *cache = x->cache;
	if (!cache)
		return;
	x->cache = NULL;
	list_remove(&x->node);
	loop_enter(&charge, cache->owner);
	cache->functions.end(x->exchange, whole);
	loop_leave(&charge);
}

void proxy_exchange_fini(struct proxy_exchange *x)
{
	proxy_exchange_end(x, false);
	buf_fini(&x->uri);
	free(x->fields);
	x->fields = NULL;
}

/* --- what the client hears --- */

void proxy_add_fields(struct requests *requests, edged_handle request, const struct edged_proxy_answer *added)
{
	/* One too many is left out: the answer itself matters more. */
	for (size_t i = 0; i < added->field_count; i++)
		(void)request_set_header(
		        requests, request, added->fields[i].name.ptr, added->fields[i].value.ptr);
}

void proxy_answer_cached(
        struct requests *requests, edged_handle request, const struct edged_proxy_answer *answer)
{
	const char *type = NULL;
	for (size_t i = 0; i < answer->field_count; i++) {
		const struct edged_http_field *field = &answer->fields[i];
		if (link_header_is(field->name, "content-type"))
			type = field->value.ptr;
		else
			(void)request_set_header(requests, request, field->name.ptr, field->value.ptr);
	}
	(void)request_reply(requests, request, answer->status, type, answer->body);
}

bool proxy_is_from_cache(const struct link_message *answer)
{
	return link_header_find(answer->headers, answer->header_count, "cache-status");
}

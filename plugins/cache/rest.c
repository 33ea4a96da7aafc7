/* SPDX-License-Identifier: Apache-2.0 */
#include "rest.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "control.h"

enum { TAG_MAX = 24, LIST_DEFAULT = 100, LIST_MAX = 1000 };

static void tag_text(uint64_t tag, char ret[TAG_MAX])
{
	snprintf(ret, TAG_MAX, "\"%016" PRIx64 "\"", tag);
}

bool rest_has_tag(struct edged_slice list, uint64_t tag)
{
	char text[TAG_MAX];
	tag_text(tag, text);
	return edged_slice_is(list, "*") || (list.len && memmem(list.ptr, list.len, text, strlen(text)));
}

int64_t rest_life(struct edged_slice cache_control)
{
	struct control control = control_parse(cache_control);
	return control.s_maxage == CONTROL_NONE ? control.max_age : control.s_maxage;
}

/* --- answers -------------------------------------------------------------------------------------------------------------------- */

static int refuse(const struct rest *rest, edged_handle request, int status, const char *type,
        const char *title, const char *detail)
{
	return rest->http->problem(rest->host, request, status, type, title, detail);
}

static int refuse_missing(const struct rest *rest, edged_handle request)
{
	return refuse(rest, request, 404, "no-such-object", "There is no such object",
	        "It was never stored here, its time is over, or its room was needed. GET /cache/v1 lists "
	        "what is "
	        "here; in a cluster, /any/cache/v1/... asks the node that has the cache role.");
}

/* False: answered. */
static bool is_ready(const struct rest *rest, edged_handle request)
{
	if (objects_ready(rest->objects))
		return true;
	(void)rest->http->set_header(rest->host, request, "Retry-After", "1");
	(void)refuse(rest, request, 503, "cache-loading", "The cache is being read",
	        "Try again in a second. If it lasts, the log of the store says why.");
	return false;
}

static bool read_key(const struct rest *rest, edged_handle request, struct edged_slice *ret)
{
	*ret = rest->http->param(rest->host, request, "key");
	if (ret->len >= 1 && ret->len <= OBJECT_KEY_MAX)
		return true;
	(void)refuse(rest, request, 400, "bad-key", "The key is empty or too long",
	        "A key is what follows /cache/v1/, 1 to 512 bytes; it may have slashes.");
	return false;
}

static int set_validators(const struct rest *rest, edged_handle request, const struct object *object)
{
	char tag[TAG_MAX], age[24], life[48];
	uint64_t now = rest->wall();
	uint64_t left = object->expires_ms > now ? object->expires_ms - now : 0;
	uint64_t old = now > object->stored_ms ? now - object->stored_ms : 0;
	tag_text(object->tag, tag);
	snprintf(age, sizeof(age), "%" PRIu64, old / 1000);
	/* A life is counted from when it was stored, the age included (RFC 9111 section 4.2). Other nodes may keep a copy, and ask
	 * each time whether it is still the one: anybody may replace it here. */
	snprintf(life, sizeof(life), "max-age=%" PRIu64 ", s-maxage=0", (left + old) / 1000);
	int r = rest->http->set_header(rest->host, request, "ETag", tag);
	if (!r)
		r = rest->http->set_header(rest->host, request, "Age", age);
	return r ? r : rest->http->set_header(rest->host, request, "Cache-Control", life);
}

/* --- reading -------------------------------------------------------------------------------------------------------------------- */

struct call {
	struct rest *rest;
	edged_handle request;
	struct object object; /* without its key */
	bool replaced;
};

static struct call *call_new(struct rest *rest, edged_handle request)
{
	struct call *call = calloc(1, sizeof(*call));
	if (call)
		*call = (struct call){ .rest = rest, .request = request };
	return call;
}

static void answer_body(void *arg, int result, struct edged_slice body)
{
	struct call *call = arg;
	const struct rest *rest = call->rest;
	if (result == -ENOENT)
		(void)refuse_missing(rest, call->request);
	else if (result)
		(void)refuse(rest, call->request, 500, "cache-unreadable", "The object cannot be read",
		        "The log of the store says why.");
	else if (!set_validators(rest, call->request, &call->object))
		(void)rest->http->reply(rest->host, call->request, 200, call->object.type, body);
	free(call);
}

int rest_get(struct rest *rest, edged_handle request)
{
	struct edged_slice key;
	if (!is_ready(rest, request) || !read_key(rest, request, &key))
		return 0;
	const struct object *object = objects_find(rest->objects, key);
	edged_metric_add(object ? rest->hits : rest->misses, 1);
	if (!object)
		return refuse_missing(rest, request);
	if (rest_has_tag(rest->http->header(rest->host, request, "if-none-match"), object->tag)) {
		int r = set_validators(rest, request, object);
		return r ? r : rest->http->reply(rest->host, request, 304, NULL, edged_slice(NULL, 0));
	}
	struct call *call = call_new(rest, request);
	if (!call)
		return -ENOMEM;
	call->object = *object;
	int r = objects_body(rest->objects, object, answer_body, call);
	if (r)
		free(call);
	return r;
}

/* --- writing -------------------------------------------------------------------------------------------------------------------- */

/* If-Match and If-None-Match (RFC 9110 section 13). False: answered. */
static bool holds(const struct rest *rest, edged_handle request, const struct object *object)
{
	struct edged_slice match = rest->http->header(rest->host, request, "if-match"),
	                   none = rest->http->header(rest->host, request, "if-none-match");
	bool fits = (!match.ptr || (object && rest_has_tag(match, object->tag))) &&
	            (!none.ptr || !object || !rest_has_tag(none, object->tag));
	if (!fits)
		(void)refuse(rest, request, 412, "precondition-failed", "The object is another one",
		        "What If-Match or If-None-Match asks for does not hold: GET it and look at its "
		        "ETag.");
	return fits;
}

static void answer_failure(const struct rest *rest, edged_handle request, int result)
{
	if (result == -ENOSPC)
		(void)refuse(rest, request, 507, "disk-full", "The object could not be stored",
		        "The disk is full, or too much is waiting for it. All is as before.");
	else
		(void)refuse(rest, request, 500, "cache-unwritable", "The object could not be stored",
		        "The log of the store says why. All is as before.");
}

static void answer_change(void *arg, int result)
{
	struct call *call = arg;
	const struct rest *rest = call->rest;
	char tag[TAG_MAX];
	if (result) {
		answer_failure(rest, call->request, result);
	} else {
		tag_text(call->object.tag, tag);
		if (call->object.tag)
			(void)rest->http->set_header(rest->host, call->request, "ETag", tag);
		(void)rest->http->reply(
		        rest->host, call->request, call->replaced ? 204 : 201, NULL, edged_slice(NULL, 0));
	}
	free(call);
}

/* False: answered. */
static bool read_life(const struct rest *rest, edged_handle request, uint64_t *ret_ms)
{
	int64_t seconds = rest_life(rest->http->header(rest->host, request, "cache-control"));
	*ret_ms = seconds < 0 ? rest->life_ms : (uint64_t)seconds * 1000;
	if (seconds != -2 && *ret_ms > 0 && *ret_ms <= rest->most_ms)
		return true;
	char text[160];
	snprintf(text, sizeof(text),
	        "Cache-Control: max-age=SECONDS, from 1 to %" PRIu64
	        " (plugins.cache.life_max); without it %" PRIu64 " (plugins.cache.life).",
	        rest->most_ms / 1000, rest->life_ms / 1000);
	(void)refuse(rest, request, 400, "bad-max-age", "The object cannot be kept for that long", text);
	return false;
}

/* False: answered. */
static bool read_object(const struct rest *rest, edged_handle request, struct object *ret)
{
	struct edged_slice type = rest->http->header(rest->host, request, "content-type"),
	                   body = rest->http->body(rest->host, request);
	uint64_t life;
	if (!read_key(rest, request, &ret->key) || !read_life(rest, request, &life))
		return false;
	if (type.len > OBJECT_TYPE_MAX || body.len > rest->object_bytes) {
		char text[160];
		snprintf(text, sizeof(text),
		        "An object has up to %zu bytes (plugins.cache.object), and a Content-Type of up to "
		        "%d.",
		        rest->object_bytes, OBJECT_TYPE_MAX);
		(void)refuse(rest, request, 413, "object-too-large", "The object is too large", text);
		return false;
	}
	snprintf(ret->type, sizeof(ret->type), "%.*s", EDGED_SLICE_FMT(type));
	if (!type.len)
		snprintf(ret->type, sizeof(ret->type), "application/octet-stream");
	ret->expires_ms = rest->wall() + life;
	return true;
}

int rest_put(struct rest *rest, edged_handle request)
{
	struct object object = { .tag = 0 };
	if (!is_ready(rest, request) || !read_object(rest, request, &object))
		return 0;
	const struct object *old = objects_find(rest->objects, object.key);
	if (!holds(rest, request, old))
		return 0;
	struct call *call = call_new(rest, request);
	if (!call)
		return -ENOMEM;
	call->replaced = old != NULL;
	int r = objects_put(rest->objects, &object, rest->http->body(rest->host, request), answer_change,
	        call, &call->object.tag);
	if (r)
		free(call);
	return r;
}

int rest_delete(struct rest *rest, edged_handle request)
{
	struct edged_slice key;
	if (!is_ready(rest, request) || !read_key(rest, request, &key))
		return 0;
	const struct object *object = objects_find(rest->objects, key);
	if (!object)
		return refuse_missing(rest, request);
	if (!holds(rest, request, object))
		return 0;
	struct call *call = call_new(rest, request);
	if (!call)
		return -ENOMEM;
	call->replaced = true;
	int r = objects_delete(rest->objects, key, answer_change, call);
	if (r)
		free(call);
	return r;
}

/* --- the list ------------------------------------------------------------------------------------------------------------------- */

struct listing {
	struct rest *rest;
	edged_handle request;
	json_t *items;
	size_t limit;
	bool more;
};

static json_t *describe(const struct rest *rest, const struct object *object)
{
	char tag[TAG_MAX];
	uint64_t now = rest->wall();
	tag_text(object->tag, tag);
	return json_pack("{s:s%, s:I, s:s, s:s, s:I}", "key", object->key.ptr, object->key.len, "bytes",
	        (json_int_t)object->bytes, "type", object->type, "etag", tag, "secondsLeft",
	        (json_int_t)((object->expires_ms - now) / 1000));
}

static int list_one(void *arg, const struct object *object)
{
	struct listing *listing = arg;
	if (object_expired(listing->rest->objects, object))
		return 0;
	listing->more = json_array_size(listing->items) >= listing->limit;
	if (listing->more)
		return 1;
	/* A key that is no UTF-8 cannot be shown. */
	json_t *item = describe(listing->rest, object);
	if (item)
		(void)json_array_append_new(listing->items, item);
	return 0;
}

static void list_done(void *arg, int result)
{
	struct listing *listing = arg;
	const struct rest *rest = listing->rest;
	size_t n = json_array_size(listing->items);
	json_t *root = json_pack("{s:O}", "data", listing->items);
	if (root && listing->more && n)
		(void)json_object_set(
		        root, "cursor", json_object_get(json_array_get(listing->items, n - 1), "key"));
	char *text = root && !result ? json_dumps(root, JSON_COMPACT) : NULL;
	if (text)
		(void)rest->http->reply(
		        rest->host, listing->request, 200, "application/json", edged_str(text));
	else
		(void)refuse(rest, listing->request, 500, "cache-unreadable", "The objects cannot be listed",
		        "There is no memory, or the log of the store says why.");
	free(text);
	json_decref(root);
	json_decref(listing->items);
	free(listing);
}

bool rest_read_limit(
        const struct edged_http_1 *http, struct edged_host *host, edged_handle request, size_t *ret)
{
	struct edged_slice text = http->query(host, request, "limit");
	size_t n = 0;
	for (size_t i = 0; i < text.len && n <= LIST_MAX; i++)
		n = text.ptr[i] >= '0' && text.ptr[i] <= '9' ? n * 10 + (size_t)(text.ptr[i] - '0')
		                                             : LIST_MAX + 1;
	*ret = text.ptr ? n : LIST_DEFAULT;
	if (*ret >= 1 && *ret <= LIST_MAX)
		return true;
	(void)http->problem(host, request, 400, "bad-limit", "The limit is not valid",
	        "The query parameter limit is a number from 1 to 1,000.");
	return false;
}

int rest_list(struct rest *rest, edged_handle request)
{
	struct edged_slice prefix = rest->http->query(rest->host, request, "prefix"),
	                   cursor = rest->http->query(rest->host, request, "cursor");
	size_t limit;
	if (!is_ready(rest, request) || !rest_read_limit(rest->http, rest->host, request, &limit))
		return 0;
	if (prefix.len > OBJECT_KEY_MAX || cursor.len > OBJECT_KEY_MAX)
		return refuse(rest, request, 400, "bad-key", "A key is too long",
		        "The query parameters prefix and cursor have up to 512 bytes.");
	struct listing *listing = calloc(1, sizeof(*listing));
	if (!listing)
		return -ENOMEM;
	*listing =
	        (struct listing){ .rest = rest, .request = request, .items = json_array(), .limit = limit };
	int r = listing->items ? objects_list(rest->objects, prefix, cursor, list_one, list_done, listing)
	                       : -ENOMEM;
	if (r) {
		json_decref(listing->items);
		free(listing);
	}
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "shared_rest.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "rest.h"

struct listing {
	const struct shared *shared;
	json_t *items;
	struct edged_slice last; /* URI of the last item */
	size_t limit;
	bool more, failed;
};

static json_t *names_of(const struct field_block *vary)
{
	json_t *names = json_array();
	for (size_t i = 0; names && i < vary->count; i++)
		(void)json_array_append_new(
		        names, json_stringn(vary->fields[i].name.ptr, vary->fields[i].name.len));
	return names;
}

static json_t *describe(const struct shared *shared, struct edged_slice uri, const struct answer *answer)
{
	const struct field_block *fields = answer->fields;
	uint64_t now = shared->now();
	struct edged_slice type = field_value(fields->fields, fields->count, "content-type");
	int64_t left = answer->fresh.validate ? 0 : rules_left(&answer->fresh, now) / 1000;
	return json_pack("{s:s%, s:i, s:I, s:s%, s:I, s:I, s:o}", "uri", uri.ptr, uri.len, "status",
	        answer->status, "bytes", (json_int_t)answer->body_len, "type", type.ptr ? type.ptr : "",
	        type.len, "ageSeconds", (json_int_t)rules_age_s(&answer->fresh, now), "secondsLeft",
	        (json_int_t)left, "vary", names_of(answer->vary));
}

/* A page ends between two URIs: what its cursor names is whole. */
static void list_one(void *arg, struct edged_slice uri, const struct answer *answer)
{
	struct listing *listing = arg;
	bool full = json_array_size(listing->items) >= listing->limit;
	listing->more |= full && !edged_slice_eq(uri, listing->last);
	if (listing->more)
		return;
	listing->last = uri;
	json_t *item = describe(listing->shared, uri, answer);
	listing->failed |= !item || json_array_append_new(listing->items, item);
}

static char *list_text(const struct shared_rest *rest, struct listing *listing, struct edged_slice prefix,
        struct edged_slice after)
{
	listing->items = json_array();
	if (!listing->items)
		return NULL;
	answers_each(&rest->shared->answers, prefix, after, list_one, listing);
	json_t *root = json_pack("{s:o}", "data", listing->items);
	if (root && listing->more)
		listing->failed |= json_object_set_new(
		        root, "cursor", json_stringn(listing->last.ptr, listing->last.len));
	char *text = root && !listing->failed ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	return text;
}

int shared_rest_list(const struct shared_rest *rest, edged_handle request)
{
	struct listing listing = { .shared = rest->shared };
	if (!rest_read_limit(rest->http, rest->host, request, &listing.limit))
		return 0;
	char *text = list_text(rest, &listing, rest->http->query(rest->host, request, "prefix"),
	        rest->http->query(rest->host, request, "cursor"));
	int r = text ? rest->http->reply(rest->host, request, 200, "application/json", edged_str(text))
	             : -ENOMEM;
	free(text);
	return r;
}

int shared_rest_purge(const struct shared_rest *rest, edged_handle request)
{
	char text[48];
	size_t n = shared_purge(rest->shared, rest->http->query(rest->host, request, "prefix"));
	snprintf(text, sizeof(text), "{\"removed\":%zu}\n", n);
	return rest->http->reply(rest->host, request, 200, "application/json", edged_str(text));
}

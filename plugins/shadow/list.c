/* SPDX-License-Identifier: Apache-2.0 */
#include "list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct lists {
	struct service_deps deps;
	const struct gate *gate;
	size_t rows;
	LIST_HEAD(, listing) listings;
};

/* A page being put together. */
struct listing {
	LIST_ENTRY(listing) link;
	struct lists *lists;
	shadow_answer *answer;
	void *arg;
	json_t *items, *away; /* here, and elsewhere */
	size_t limit;
	bool more;
	struct things_query query; /* of named shadows only where it begins */
	/* of things: */
	size_t rows; /* looked at */
	char last[THING_NAME_MAX + 1];
};

static void answer_failure(const struct listing *listing, const char *why)
{
	struct shadow_error error;
	(void)shadow_refuse(&error, 500, "%s", why);
	listing->answer(listing->arg, &(struct shadow_outcome){ .error = &error });
}

static void listing_free(struct listing *listing)
{
	LIST_REMOVE(listing, link);
	json_decref(listing->items);
	json_decref(listing->away);
	filter_free(listing->query.filter);
	gate_drop(listing->lists->gate, listing->query.identity);
	free(listing);
}

static struct listing *listing_new(struct lists *lists, size_t limit, shadow_answer *answer, void *arg)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	json_t *items = json_array();
	if (!listing || !items) {
		free(listing);
		json_decref(items);
		return NULL;
	}
	*listing = (struct listing){
		.lists = lists, .answer = answer, .arg = arg, .items = items, .limit = limit
	};
	LIST_INSERT_HEAD(&lists->listings, listing, link);
	return listing;
}

/* Answers with the body and ends; takes it. */
static void finish(struct listing *listing, int result, json_t *root)
{
	static const struct shadow_error none = { 0 };
	char *body = root && !result ? json_dumps(root, JSON_COMPACT) : NULL;
	if (body)
		listing->answer(listing->arg,
		        &(struct shadow_outcome){ .error = &none, .body = edged_str(body), .age = -1 });
	else
		answer_failure(listing, "Internal service failure");
	free(body);
	json_decref(root);
	listing_free(listing);
}

static void scan(struct listing *listing, struct edged_slice from, struct edged_slice to,
        int (*row)(void *arg, struct edged_slice key, struct edged_slice value),
        void (*end)(void *arg, int result))
{
	const struct service_deps *deps = &listing->lists->deps;
	int r = deps->store->scan(deps->host, SHADOW_TABLE, from, to, 0, row, end, listing);
	if (r)
		finish(listing, r, NULL);
}

/* --- named shadows --------------------------------------------------------------------------------------------------------- */

static int named_row(void *arg, struct edged_slice key, struct edged_slice value)
{
	struct listing *listing = arg;
	struct shadow_name name;
	struct document document;
	if (!shadow_key_parse(key, &name) || document_parse(&document, value))
		return 0;
	bool exists = document.now.exists;
	document_fini(&document);
	if (!exists)
		return 0;
	if (json_array_size(listing->items) >= listing->limit) {
		listing->more = true;
		return 1;
	}
	return json_array_append_new(listing->items, json_string(name.name)) ? 1 : 0;
}

/* Puts a name that is elsewhere in its place among those that are here. */
static void add_name(void *arg, const char *name)
{
	struct listing *listing = arg;
	size_t i = 0, n = json_array_size(listing->items);
	if (strcmp(name, listing->query.after.name) <= 0)
		return;
	while (i < n && strcmp(json_string_value(json_array_get(listing->items, i)), name) < 0)
		i++;
	if (i < n && strcmp(json_string_value(json_array_get(listing->items, i)), name) == 0)
		return;
	if (i == n && listing->more) /* of a later page */
		return;
	(void)json_array_insert_new(listing->items, i, json_string(name));
	if (n < listing->limit)
		return;
	(void)json_array_remove(listing->items, n);
	listing->more = true;
}

static void named_end(void *arg, int result)
{
	struct listing *listing = arg;
	const struct away *away = listing->lists->deps.away;
	if (away)
		away->names(away->ctx, listing->query.after.thing, add_name, listing);
	json_t *root = json_pack(
	        "{s:O, s:I}", "results", listing->items, "timestamp", (json_int_t)listing->lists->deps.now());
	size_t n = json_array_size(listing->items);
	if (root && listing->more && n)
		(void)json_object_set(root, "nextToken", json_array_get(listing->items, n - 1));
	finish(listing, result, root);
}

static void note_one(void *arg, const char *name)
{
	(void)name;
	*(bool *)arg = true;
}

/* Is it registered here, or does another node have shadows of it? */
static bool is_known(const struct lists *lists, const char *thing, struct shadow_error *error)
{
	const struct away *away = lists->deps.away;
	bool elsewhere = false;
	if (service_knows(&lists->deps, thing, error))
		return true;
	if (away)
		away->names(away->ctx, thing, note_one, &elsewhere);
	return elsewhere;
}

void list_named(
        struct lists *lists, const struct shadow_name *after, size_t limit, shadow_answer *answer, void *arg)
{
	char from[SHADOW_KEY_MAX + 1], to[SHADOW_KEY_MAX];
	struct shadow_error unknown;
	if (!is_known(lists, after->thing, &unknown)) {
		answer(arg, &(struct shadow_outcome){ .error = &unknown });
		return;
	}
	struct listing *listing = listing_new(lists, limit, answer, arg);
	if (!listing) {
		answer_failure(&(struct listing){ .answer = answer, .arg = arg }, "Internal service failure");
		return;
	}
	listing->query.after = *after;
	/* The key right after `after` in memcmp order; never the classic shadow, whose name is empty. */
	struct edged_slice first = shadow_key(from, after);
	from[first.len] = *after->name ? '\0' : '\1';
	struct edged_slice end = shadow_key(to, after);
	size_t thing = strlen(after->thing);
	to[thing] = '\1';
	end.len = thing + 1;
	scan(listing, edged_slice(from, first.len + 1), end, named_row, named_end);
}

/* --- things ------------------------------------------------------------------------------------------------------------------ */

static bool connected(const struct lists *lists, const char *thing)
{
	const struct edged_pubsub_1 *pubsub = lists->deps.pubsub;
	return EDGED_HAS(pubsub, connected) &&
	       pubsub->connected(pubsub->ctx, lists->deps.host, edged_str(thing));
}

static void name_node(json_t *item, const char *node, bool available)
{
	(void)json_object_set_new(item, "node", json_string(node));
	(void)json_object_set_new(item, "available", json_boolean(available));
}

static int add_thing(struct listing *listing, const struct filter_subject *subject)
{
	struct edged_host *host = listing->lists->deps.host;
	json_t *item =
	        json_pack("{s:s, s:b, s:I, s:I}", "thing", subject->thing, "connected", subject->connected,
	                "version", (json_int_t)subject->version, "timestamp", (json_int_t)subject->timestamp);
	if (item && listing->query.state)
		(void)json_object_set(item, "state", (json_t *)(uintptr_t)subject->state);
	if (item && listing->query.account)
		name_node(item, host->v1->node_id(host), true);
	return json_array_append_new(listing->items, item) ? 1 : 0;
}

static int thing_row(void *arg, struct edged_slice key, struct edged_slice value)
{
	struct listing *listing = arg;
	const struct lists *lists = listing->lists;
	struct shadow_name name;
	struct document document;
	listing->rows++;
	if (!shadow_key_parse(key, &name))
		return 0;
	/* A page ends between things, for the cursor names one. */
	if ((listing->rows > lists->rows || json_array_size(listing->items) >= listing->limit) &&
	        strcmp(name.thing, listing->last) != 0) {
		listing->more = true;
		return 1;
	}
	memcpy(listing->last, name.thing, sizeof(listing->last));
	if (strcmp(name.name, listing->query.after.name) != 0 ||
	        !gate_allows(lists->gate, listing->query.identity, EDGED_GET_SHADOW, name.thing, name.name) ||
	        document_parse(&document, value))
		return 0;
	const struct filter_subject subject = { .thing = name.thing,
		.state = document.state,
		.version = document.now.version,
		.timestamp = document.timestamp,
		.connected = connected(lists, name.thing) };
	int r = 0;
	if (document.now.exists && filter_fits(listing->query.filter, &subject))
		r = add_thing(listing, &subject);
	document_fini(&document);
	return r;
}

/* One more than a page has, so that it is known whether there are more. */
static bool add_away(void *arg, const char *thing, const char *node, bool available)
{
	struct listing *listing = arg;
	const struct things_query *query = &listing->query;
	if (listing->more && strcmp(thing, listing->last) > 0) /* of a later page */
		return false;
	if (!gate_allows(listing->lists->gate, query->identity, EDGED_GET_SHADOW, thing, query->after.name))
		return true;
	json_t *item = json_pack("{s:s}", "thing", thing);
	if (item)
		name_node(item, node, available);
	return json_array_append_new(listing->away, item) == 0 &&
	       json_array_size(listing->away) <= listing->limit;
}

static const char *thing_at(const json_t *items, size_t i)
{
	return json_string_value(json_object_get(json_array_get(items, i), "thing"));
}

/* In order; a thing that is both here and elsewhere, as for a moment while its shadow moves, is here. */
static void merge(struct listing *listing)
{
	json_t *all = json_array(), *here = listing->items, *away = listing->away;
	size_t h = 0, a = 0, n = 0;
	for (; n < listing->limit && (h < json_array_size(here) || a < json_array_size(away)); n++) {
		const char *x = thing_at(here, h), *y = thing_at(away, a);
		int order = !x ? 1 : !y ? -1 : strcmp(x, y);
		(void)json_array_append(all, order <= 0 ? json_array_get(here, h) : json_array_get(away, a));
		h += order <= 0;
		a += order >= 0;
	}
	if (n && (h < json_array_size(here) || a < json_array_size(away))) {
		listing->more = true;
		snprintf(listing->last, sizeof(listing->last), "%s", thing_at(all, n - 1));
	}
	json_decref(here);
	listing->items = all;
}

static void add_elsewhere(struct listing *listing)
{
	const struct away *away = listing->lists->deps.away;
	const struct shadow_name *after = &listing->query.after;
	if (!away || !(listing->away = json_array()))
		return;
	away->things(away->ctx, after->thing, after->name, add_away, listing);
	merge(listing);
}

static void things_end(void *arg, int result)
{
	struct listing *listing = arg;
	if (listing->query.account)
		add_elsewhere(listing);
	json_t *root = json_pack("{s:O}", "data", listing->items);
	if (root && listing->more)
		(void)json_object_set_new(root, "cursor", json_string(listing->last));
	finish(listing, result, root);
}

void list_things(struct lists *lists, const struct things_query *query, shadow_answer *answer, void *arg)
{
	char from[THING_NAME_MAX + 1];
	size_t n = strlen(query->after.thing);
	struct listing *listing = listing_new(lists, query->limit, answer, arg);
	if (!listing) {
		filter_free(query->filter);
		answer_failure(&(struct listing){ .answer = answer, .arg = arg }, "Internal service failure");
		return;
	}
	listing->query = *query;
	gate_hold(lists->gate, query->identity);
	/* Behind all shadows of the thing before: its name, and a byte above the NUL that ends names in keys. */
	memcpy(from, query->after.thing, n);
	from[n] = '\1';
	scan(listing, edged_slice(from, n ? n + 1 : 1), edged_slice(NULL, 0), thing_row, things_end);
}

/* --- life ---------------------------------------------------------------------------------------------------------------- */

int lists_new(const struct service_deps *deps, const struct gate *gate, size_t rows, struct lists **ret)
{
	struct lists *lists = calloc(1, sizeof(*lists));
	if (!lists)
		return -ENOMEM;
	lists->deps = *deps;
	lists->gate = gate;
	lists->rows = rows;
	LIST_INIT(&lists->listings);
	*ret = lists;
	return 0;
}

void lists_free(struct lists *lists)
{
	struct listing *listing;
	while (lists && (listing = LIST_FIRST(&lists->listings))) {
		answer_failure(listing, "The shadow service has stopped");
		listing_free(listing);
	}
	free(lists);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "tree.h"

static const char *const sections[] = { "desired", "reported" };
enum { SECTIONS = 2 };

static int no_memory(struct shadow_error *error)
{
	(void)shadow_refuse(error, 500, "Internal service failure");
	return -ENOMEM;
}

void printed_fini(struct printed *printed)
{
	free(printed->text);
	*printed = (struct printed){ 0 };
}

/* Prints the trees anew; the old text is no longer the document's. */
static int print(struct document *document)
{
	struct text text = { 0 };
	text_add_json(&text, document->state);
	document->now.state = text.len;
	text_add_stamps(&text, document->metadata);
	document->now.len = text.len;
	document->now.text = text_take(&text);
	return document->now.text ? 0 : -ENOMEM;
}

/* --- life ---------------------------------------------------------------------------------------------------------------- */

int document_init(struct document *document)
{
	*document = (struct document){ .state = json_object(), .metadata = json_object() };
	if (document->state && document->metadata && print(document) == 0)
		return 0;
	document_fini(document);
	return -ENOMEM;
}

void document_fini(struct document *document)
{
	json_decref(document->state);
	json_decref(document->metadata);
	printed_fini(&document->now);
	*document = (struct document){ 0 };
}

int document_parse(struct document *document, struct edged_slice text)
{
	json_t *root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	json_int_t version, timestamp;
	json_int_t made = 0, moves = 0;
	int exists;
	json_t *state, *metadata;
	*document = (struct document){ 0 };
	if (!root ||
	        json_unpack(root, "{s:o, s:o, s:I, s:I, s:b, s?I, s?I}", "state", &state, "metadata",
	                &metadata, "version", &version, "timestamp", &timestamp, "exists", &exists, "made",
	                &made, "moves", &moves) ||
	        !json_is_object(state) || !json_is_object(metadata) || version <= 0 ||
	        version > INT64_MAX / 2 || moves < 0 || moves > UINT32_MAX) {
		json_decref(root);
		return -EINVAL;
	}
	*document = (struct document){ .state = json_incref(state),
		.metadata = tree_read_stamps(metadata),
		.timestamp = timestamp,
		.made = made,
		.moves = (uint32_t)moves,
		.now = { .version = version, .exists = exists } };
	json_decref(root);
	int r = document->metadata ? print(document) : -EINVAL;
	if (r)
		document_fini(document);
	return r;
}

char *document_print(const struct document *document)
{
	const struct printed *now = &document->now;
	struct text text = { 0 };
	text_add_literal(&text, "{\"state\":");
	text_add(&text, now->text, now->state);
	text_add_literal(&text, ",\"metadata\":");
	text_add(&text, now->text + now->state, now->len - now->state);
	text_add_literal(&text, ",\"version\":");
	text_add_int(&text, now->version);
	text_add_literal(&text, ",\"timestamp\":");
	text_add_int(&text, document->timestamp);
	text_add_literal(&text, ",\"exists\":");
	text_add(&text, now->exists ? "true" : "false", now->exists ? 4 : 5);
	if (document->made) {
		text_add_literal(&text, ",\"made\":");
		text_add_int(&text, document->made);
	}
	if (document->moves) {
		text_add_literal(&text, ",\"moves\":");
		text_add_int(&text, document->moves);
	}
	text_add_literal(&text, "}");
	return text_take(&text);
}

/* The number behind a member's name; 0 when it is not there. */
static int64_t number_behind(struct edged_slice text, const char *name)
{
	size_t n = strlen(name);
	const char *at = text.len ? memmem(text.ptr, text.len, name, n) : NULL;
	int64_t value = 0;
	for (at = at ? at + n : NULL;
	        at && at < text.ptr + text.len && *at >= '0' && *at <= '9' && value < INT64_MAX / 10; at++)
		value = value * 10 + (*at - '0');
	return value;
}

bool document_peek(struct edged_slice text, struct claim *ret)
{
	static const char first[] = ",\"version\":";
	enum {
		TAIL = 160
	}; /* it is longer than all that follows the contents; what they have inside comes before */
	struct edged_slice tail = text.len > TAIL ? edged_slice(text.ptr + text.len - TAIL, TAIL) : text;
	const char *at = NULL, *next = tail.len ? memmem(tail.ptr, tail.len, first, sizeof(first) - 1) : NULL;
	while (next) {
		at = next;
		next = memmem(at + 1, (size_t)(tail.ptr + tail.len - at - 1), first, sizeof(first) - 1);
	}
	if (!at)
		return false;
	tail = edged_slice(at, (size_t)(tail.ptr + tail.len - at));
	*ret = (struct claim){ .version = number_behind(tail, first),
		.made = number_behind(tail, ",\"made\":"),
		.moves = (uint32_t)number_behind(tail, ",\"moves\":"),
		.exists = memmem(tail.ptr, tail.len, "\"exists\":true", 13) != NULL };
	return ret->version > 0;
}

struct claim document_claim(const struct document *document)
{
	return (struct claim){ document->now.version, document->made, document->moves, document->now.exists };
}

/* --- changes -------------------------------------------------------------------------------------------------------------- */

static int check_version(
        const struct document *document, const struct shadow_request *request, struct shadow_error *error)
{
	if (!request->has_version)
		return 0;
	/* A shadow that does not exist yet: clients that count from 0 and those that count from 1 are both right. */
	const struct printed *now = &document->now;
	bool fits = now->exists ? request->version == now->version : request->version <= 1;
	return fits ? 0 : shadow_refuse(error, 409, "Version conflict");
}

static json_t *section_of(json_t *tree, const char *name)
{
	json_t *section = json_object_get(tree, name);
	if (!section && json_object_set_new(tree, name, json_object()) == 0)
		section = json_object_get(tree, name);
	return section;
}

static int merge_section(
        struct document *document, const char *name, const json_t *patch, bool replace, json_t *stamp)
{
	if (replace || json_is_null(patch)) {
		(void)json_object_del(document->state, name);
		(void)json_object_del(document->metadata, name);
	}
	if (json_is_null(patch))
		return 0;
	json_t *state = section_of(document->state, name), *metadata = section_of(document->metadata, name);
	int r = state && metadata ? tree_merge(state, metadata, patch, stamp) : -ENOMEM;
	if (!r && json_object_size(state) == 0) {
		(void)json_object_del(document->state, name);
		(void)json_object_del(document->metadata, name);
	}
	return r;
}

static int merge(struct document *document, const json_t *state, bool replace, json_t *stamp)
{
	if (json_is_null(state)) {
		(void)json_object_clear(document->state);
		(void)json_object_clear(document->metadata);
		return 0;
	}
	for (size_t i = 0; i < SECTIONS; i++) {
		const json_t *patch = json_object_get(state, sections[i]);
		int r = patch ? merge_section(document, sections[i], patch, replace, stamp) : 0;
		if (r)
			return r;
	}
	return 0;
}

/* Of desired and reported as compact JSON: the text of the state without what is around them. */
static size_t state_bytes(const struct document *document)
{
	size_t around = 2, count = 0;
	for (size_t i = 0; i < SECTIONS; i++) {
		if (!json_object_get(document->state, sections[i]))
			continue;
		around += strlen(sections[i]) + 3 + (count++ ? 1 : 0);
	}
	return document->now.state - around;
}

/* Reads what it was from the text; -ENOMEM: it is lost. */
static int undo(struct document *document, struct printed *before)
{
	json_t *state = json_loadb(before->text, before->state, 0, NULL);
	json_t *written = json_loadb(before->text + before->state, before->len - before->state, 0, NULL);
	json_t *metadata = tree_read_stamps(written);
	const struct document former = *document;
	json_decref(written);
	document_fini(document);
	*document =
	        (struct document){ state, metadata, *before, former.timestamp, former.made, former.moves };
	*before = (struct printed){ 0 };
	return state && metadata ? 0 : -ENOMEM;
}

static int change(struct document *document, const json_t *state, bool replace, int64_t now,
        const struct document_limits *limits, struct shadow_error *error)
{
	json_t *stamp = json_integer(now);
	document->now.text = NULL; /* it is in `before` */
	int r = stamp ? merge(document, state, replace, stamp) : -ENOMEM;
	json_decref(stamp);
	if (r || print(document))
		return no_memory(error);
	if (limits && state_bytes(document) > limits->bytes)
		return shadow_refuse(error, 413, "The payload exceeds the maximum size allowed");
	return 0;
}

int document_update(struct document *document, const struct shadow_request *request, int64_t now,
        const struct document_limits *limits, struct printed *before, struct shadow_error *error)
{
	int r = check_version(document, request, error);
	if (r)
		return r;
	struct printed former = document->now;
	r = change(document, request->state, request->replace, now, limits, error);
	if (r) {
		if (undo(document, &former))
			return no_memory(error);
		return r;
	}
	if (document->now.version++ == 0)
		document->made = now;
	document->now.exists = true;
	document->timestamp = now;
	*before = former;
	return 0;
}

static int64_t newest(const json_t *stamps)
{
	int64_t most = json_is_integer(stamps) ? json_integer_value(stamps) : 0;
	const char *key;
	json_t *item;
	size_t i;
	json_object_foreach((json_t *)(uintptr_t)stamps, key, item) if (newest(item) > most) most =
	        newest(item);
	json_array_foreach(stamps, i, item) if (newest(item) > most) most = newest(item);
	return most;
}

/* Whether something changed; -ENOMEM. Subtrees are shared, and so are their stamps. */
static int unite(json_t *state, json_t *metadata, const json_t *other, const json_t *stamps)
{
	const char *key;
	json_t *theirs;
	int changed = 0;
	json_object_foreach((json_t *)(uintptr_t)other, key, theirs)
	{
		json_t *ours = json_object_get(state, key), *our_stamps = json_object_get(metadata, key);
		json_t *their_stamps = json_object_get(stamps, key);
		if (json_is_object(ours) && json_is_object(theirs)) {
			int r = unite(ours, our_stamps, theirs, their_stamps);
			if (r < 0)
				return r;
			changed |= r;
		} else if (!ours ||
		           (!tree_equal(ours, theirs) && newest(their_stamps) > newest(our_stamps))) {
			if (json_object_set_new(state, key, json_deep_copy(theirs)) ||
			        json_object_set_new(metadata, key, json_deep_copy(their_stamps)))
				return -ENOMEM;
			changed = 1;
		}
	}
	return changed;
}

/* The other one's contents instead of ours. */
static int replace_all(struct document *document, const struct document *other)
{
	json_t *state = json_deep_copy(other->state), *metadata = json_deep_copy(other->metadata);
	json_decref(document->state);
	json_decref(document->metadata);
	document->state = state;
	document->metadata = metadata;
	document->now.exists = other->now.exists;
	return state && metadata ? 1 : -ENOMEM;
}

int document_unite(
        struct document *document, const struct document *other, struct printed *before, bool *ret_changed)
{
	struct printed former = document->now;
	bool first = former.version == 0, deleted = former.exists != other->now.exists;
	int r = 0;
	document->now.text = NULL; /* it is in `former` */
	if (first || (deleted && other->timestamp > document->timestamp))
		r = replace_all(document, other);
	else if (!deleted)
		r = unite(document->state, document->metadata, other->state, other->metadata);
	if (r < 0 || print(document)) {
		printed_fini(&former);
		return -ENOMEM;
	}
	*ret_changed = r || other->now.version >= former.version;
	if (*ret_changed && !first)
		document->now.version =
		        (other->now.version > former.version ? other->now.version : former.version) + 1;
	if (first) {
		document->now.version = other->now.version;
		document->made = other->made;
		document->moves = other->moves;
	}
	if (other->timestamp > document->timestamp)
		document->timestamp = other->timestamp;
	*before = former;
	return 0;
}

int document_delete(struct document *document, const struct shadow_request *request, int64_t now,
        struct printed *before, struct shadow_error *error)
{
	int r = check_version(document, request, error);
	if (r)
		return r;
	struct printed former = document->now;
	r = change(document, json_null(), false, now, NULL, error);
	if (r) {
		(void)undo(document, &former);
		return no_memory(error);
	}
	document->now.exists = false;
	document->timestamp = now;
	*before = former;
	return 0;
}

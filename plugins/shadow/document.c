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
	int exists;
	json_t *state, *metadata;
	*document = (struct document){ 0 };
	if (!root ||
	        json_unpack(root, "{s:o, s:o, s:I, s:I, s:b}", "state", &state, "metadata", &metadata,
	                "version", &version, "timestamp", &timestamp, "exists", &exists) ||
	        !json_is_object(state) || !json_is_object(metadata) || version < 0) {
		json_decref(root);
		return -EINVAL;
	}
	*document = (struct document){ .state = json_incref(state),
		.metadata = tree_read_stamps(metadata),
		.timestamp = timestamp,
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
	text_add(&text, now->exists ? "true}" : "false}", now->exists ? 5 : 6);
	return text_take(&text);
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
	int64_t timestamp = document->timestamp;
	json_decref(written);
	document_fini(document);
	*document = (struct document){ state, metadata, *before, timestamp };
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
	document->now.version++;
	document->now.exists = true;
	document->timestamp = now;
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

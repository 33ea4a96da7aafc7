/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include <string.h>

#include "text.h"
#include "tree.h"

/* Ends a message with version (below 0: none), timestamp and token. */
static char *finish(struct text *text, int64_t version, int64_t timestamp, const char *token)
{
	if (version >= 0) {
		text_add_literal(text, ",\"version\":");
		text_add_int(text, version);
	}
	text_add_literal(text, ",\"timestamp\":");
	text_add_int(text, timestamp);
	if (token) {
		text_add_literal(text, ",\"clientToken\":");
		text_add_string(text, token, strlen(token));
	}
	text_add_literal(text, "}");
	return text_take(text);
}

static json_t *delta_of(const struct document *document, json_t **ret_metadata, int *ret_error)
{
	return tree_delta(json_object_get(document->state, "desired"),
	        json_object_get(document->state, "reported"), json_object_get(document->metadata, "desired"),
	        ret_metadata, ret_error);
}

/* A printed object, with one more member. */
static void add_with_delta(struct text *text, const char *object, size_t n, const json_t *delta,
        void (*add)(struct text *text, const json_t *value))
{
	text_add(text, object, delta ? n - 1 : n);
	if (!delta)
		return;
	/* There is a delta, so there is a desired section in front of it. */
	text_add_literal(text, ",\"delta\":");
	add(text, delta);
	text_add_literal(text, "}");
}

char *message_get(const struct document *document, const char *token)
{
	int error = 0;
	json_t *stamps = NULL;
	json_t *delta = delta_of(document, &stamps, &error);
	const struct printed *now = &document->now;
	struct text text = { .failed = error != 0 };
	text_add_literal(&text, "{\"state\":");
	add_with_delta(&text, now->text, now->state, delta, text_add_json);
	text_add_literal(&text, ",\"metadata\":");
	add_with_delta(&text, now->text + now->state, now->len - now->state, stamps, text_add_stamps);
	json_decref(delta);
	json_decref(stamps);
	return finish(&text, now->version, document->timestamp, token);
}

char *message_accepted(const struct document *document, const struct shadow_request *request, int64_t now)
{
	struct text text = { 0 };
	text_add_literal(&text, "{\"state\":");
	text_add_json(&text, request->state);
	text_add_literal(&text, ",\"metadata\":");
	text_add_stamped(&text, request->state, now);
	return finish(&text, document->now.version, now, request->token);
}

char *message_delta(const struct document *document, const char *token, int64_t now, bool *ret_differs)
{
	int error = 0;
	json_t *stamps = NULL;
	json_t *delta = delta_of(document, &stamps, &error);
	*ret_differs = delta || error;
	if (!delta)
		return NULL;
	struct text text = { 0 };
	text_add_literal(&text, "{\"version\":");
	text_add_int(&text, document->now.version);
	text_add_literal(&text, ",\"state\":");
	text_add_json(&text, delta);
	text_add_literal(&text, ",\"metadata\":");
	text_add_stamps(&text, stamps);
	json_decref(delta);
	json_decref(stamps);
	return finish(&text, -1, now, token);
}

static void add_printed(struct text *text, const struct printed *printed)
{
	if (!printed->exists) {
		text_add_literal(text, "null");
		return;
	}
	text_add_literal(text, "{\"state\":");
	text_add(text, printed->text, printed->state);
	text_add_literal(text, ",\"metadata\":");
	text_add(text, printed->text + printed->state, printed->len - printed->state);
	text_add_literal(text, ",\"version\":");
	text_add_int(text, printed->version);
	text_add_literal(text, "}");
}

char *message_documents(
        const struct printed *before, const struct document *after, const char *token, int64_t now)
{
	struct text text = { 0 };
	text_add_literal(&text, "{\"previous\":");
	add_printed(&text, before);
	text_add_literal(&text, ",\"current\":");
	add_printed(&text, &after->now);
	return finish(&text, -1, now, token);
}

char *message_deleted(int64_t version, const char *token, int64_t now)
{
	struct text text = { 0 };
	text_add_literal(&text, "{\"version\":");
	text_add_int(&text, version);
	return finish(&text, -1, now, token);
}

char *message_rejected(const struct shadow_error *error, const char *token, int64_t now)
{
	struct text text = { 0 };
	text_add_literal(&text, "{\"code\":");
	text_add_int(&text, error->code);
	text_add_literal(&text, ",\"message\":");
	text_add_string(&text, error->message, strlen(error->message));
	return finish(&text, -1, now, token);
}

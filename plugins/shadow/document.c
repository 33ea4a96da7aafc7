/* SPDX-License-Identifier: Apache-2.0 */
#include "document.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree.h"

static const char *const sections[] = { "desired", "reported" };
enum { SECTIONS = 2, TOKEN_MAX = 64 };

int shadow_refuse(struct shadow_error *error, int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	error->code = code;
	return -EINVAL;
}

static int no_memory(struct shadow_error *error)
{
	(void)shadow_refuse(error, 500, "Internal service failure");
	return -ENOMEM;
}

/* --- the document
 * ----------------------------------------------------------------------------------------------- */

int document_init(struct document *document)
{
	*document = (struct document){ .state = json_object(), .metadata = json_object() };
	if (document->state && document->metadata)
		return 0;
	document_fini(document);
	return -ENOMEM;
}

void document_fini(struct document *document)
{
	json_decref(document->state);
	json_decref(document->metadata);
	*document = (struct document){ 0 };
}

int document_parse(struct document *document, struct edged_slice text)
{
	json_t *root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	json_int_t version, timestamp;
	int exists;
	json_t *state, *metadata;
	if (!root ||
	        json_unpack(root, "{s:o, s:o, s:I, s:I, s:b}", "state", &state, "metadata", &metadata,
	                "version", &version, "timestamp", &timestamp, "exists", &exists) ||
	        !json_is_object(state) || !json_is_object(metadata) || version < 0) {
		json_decref(root);
		return -EINVAL;
	}
	*document = (struct document){ .state = json_incref(state),
		.metadata = json_incref(metadata),
		.version = version,
		.timestamp = timestamp,
		.exists = exists };
	json_decref(root);
	return 0;
}

/* Prints and frees `root`; NULL stays NULL. */
static char *print(json_t *root)
{
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	return text;
}

char *document_print(const struct document *document)
{
	return print(json_pack("{s:O, s:O, s:I, s:I, s:b}", "state", document->state, "metadata",
	        document->metadata, "version", (json_int_t)document->version, "timestamp",
	        (json_int_t)document->timestamp, "exists", document->exists));
}

int document_copy(struct document *copy, const struct document *document)
{
	*copy = *document;
	copy->state = json_deep_copy(document->state);
	copy->metadata = json_deep_copy(document->metadata);
	if (copy->state && copy->metadata)
		return 0;
	document_fini(copy);
	return -ENOMEM;
}

/* --- requests
 * ----------------------------------------------------------------------------------------------------- */

static int parse_root(struct shadow_request *request, struct edged_slice payload, struct shadow_error *error)
{
	json_error_t why;
	*request = (struct shadow_request){ 0 };
	request->root = json_loadb(payload.ptr, payload.len, JSON_REJECT_DUPLICATES, &why);
	if (request->root && json_is_object(request->root))
		return 0;
	if (!request->root && json_error_code(&why) == json_error_invalid_utf8)
		return shadow_refuse(
		        error, 415, "Unsupported documented encoding; supported encoding is UTF-8");
	return shadow_refuse(error, 400, "Invalid JSON");
}

static int parse_token(struct shadow_request *request, struct shadow_error *error)
{
	json_t *token = json_object_get(request->root, "clientToken");
	if (!token)
		return 0;
	if (!json_is_string(token) || json_string_length(token) > TOKEN_MAX ||
	        strlen(json_string_value(token)) != json_string_length(token))
		return shadow_refuse(error, 400, "Invalid clientToken");
	request->token = json_string_value(token);
	return 0;
}

static int parse_version(struct shadow_request *request, struct shadow_error *error)
{
	json_t *version = json_object_get(request->root, "version");
	if (!version)
		return 0;
	if (!json_is_integer(version) || json_integer_value(version) < 0)
		return shadow_refuse(error, 400, "Invalid version");
	request->has_version = true;
	request->version = json_integer_value(version);
	return 0;
}

static int check_section(const char *name, const json_t *section, const struct document_limits *limits,
        struct shadow_error *error)
{
	if (json_is_null(section))
		return 0;
	bool desired = strcmp(name, "desired") == 0;
	if (!desired && strcmp(name, "reported") != 0)
		return shadow_refuse(error, 400, "State contains an invalid node: '%.64s'", name);
	if (!json_is_object(section))
		return shadow_refuse(
		        error, 400, "%s node must be an object", desired ? "Desired" : "Reported");
	if (tree_depth(section) > limits->depth)
		return shadow_refuse(
		        error, 400, "JSON contains too many levels of nesting; maximum is %u", limits->depth);
	if (tree_has_null_in_array(section))
		return shadow_refuse(error, 400, "Invalid JSON: null is not allowed in an array");
	return 0;
}

static int check_state(
        struct shadow_request *request, const struct document_limits *limits, struct shadow_error *error)
{
	request->state = json_object_get(request->root, "state");
	if (!request->state)
		return shadow_refuse(error, 400, "Missing required node: state");
	if (json_is_null(request->state))
		return 0;
	if (!json_is_object(request->state))
		return shadow_refuse(error, 400, "State node must be an object");
	const char *name;
	json_t *section;
	json_object_foreach(request->state, name, section)
	{
		int r = check_section(name, section, limits, error);
		if (r)
			return r;
	}
	return 0;
}

int shadow_request_parse_update(struct shadow_request *request, struct edged_slice payload,
        const struct document_limits *limits, struct shadow_error *error)
{
	int r = parse_root(request, payload, error);
	if (!r)
		r = parse_token(request, error);
	if (!r)
		r = check_state(request, limits, error);
	if (!r)
		r = parse_version(request, error);
	return r;
}

int shadow_request_parse_plain(
        struct shadow_request *request, struct edged_slice payload, struct shadow_error *error)
{
	*request = (struct shadow_request){ 0 };
	if (payload.len == 0)
		return 0;
	int r = parse_root(request, payload, error);
	if (!r)
		r = parse_token(request, error);
	if (!r)
		r = parse_version(request, error);
	return r;
}

void shadow_request_fini(struct shadow_request *request)
{
	json_decref(request->root);
	*request = (struct shadow_request){ 0 };
}

/* --- changes
 * ------------------------------------------------------------------------------------------------------- */

static int check_version(
        const struct document *document, const struct shadow_request *request, struct shadow_error *error)
{
	if (!request->has_version)
		return 0;
	/* A shadow that does not exist yet: clients that count from 0 and those that count from 1 are both
	 * right. */
	bool fits = document->exists ? request->version == document->version : request->version <= 1;
	return fits ? 0 : shadow_refuse(error, 409, "Version conflict");
}

static json_t *section_of(json_t *tree, const char *name)
{
	json_t *section = json_object_get(tree, name);
	if (!section && json_object_set_new(tree, name, json_object()) == 0)
		section = json_object_get(tree, name);
	return section;
}

static int merge_section(struct document *document, const char *name, const json_t *patch, int64_t now)
{
	if (json_is_null(patch)) {
		(void)json_object_del(document->state, name);
		(void)json_object_del(document->metadata, name);
		return 0;
	}
	json_t *state = section_of(document->state, name), *metadata = section_of(document->metadata, name);
	int r = state && metadata ? tree_merge(state, metadata, patch, now) : -ENOMEM;
	if (!r && json_object_size(state) == 0) {
		(void)json_object_del(document->state, name);
		(void)json_object_del(document->metadata, name);
	}
	return r;
}

static int merge(struct document *document, const json_t *state, int64_t now)
{
	if (json_is_null(state)) {
		(void)json_object_clear(document->state);
		(void)json_object_clear(document->metadata);
		return 0;
	}
	for (size_t i = 0; i < SECTIONS; i++) {
		const json_t *patch = json_object_get(state, sections[i]);
		int r = patch ? merge_section(document, sections[i], patch, now) : 0;
		if (r)
			return r;
	}
	return 0;
}

static size_t state_bytes(const json_t *state)
{
	size_t bytes = 0;
	for (size_t i = 0; i < SECTIONS; i++) {
		json_t *section = json_object_get(state, sections[i]);
		bytes += section ? json_dumpb(section, NULL, 0, JSON_COMPACT) : 0;
	}
	return bytes;
}

int document_update(struct document *document, const struct shadow_request *request, int64_t now,
        const struct document_limits *limits, struct shadow_error *error)
{
	int r = check_version(document, request, error);
	if (r)
		return r;
	struct document next;
	if (document_copy(&next, document))
		return no_memory(error);
	r = merge(&next, request->state, now);
	if (r) {
		document_fini(&next);
		return no_memory(error);
	}
	if (state_bytes(next.state) > limits->bytes) {
		document_fini(&next);
		return shadow_refuse(error, 413, "The payload exceeds the maximum size allowed");
	}
	next.version = document->version + 1;
	next.timestamp = now;
	next.exists = true;
	document_fini(document);
	*document = next;
	return 0;
}

int document_delete(struct document *document, const struct shadow_request *request, int64_t now,
        struct shadow_error *error)
{
	int r = check_version(document, request, error);
	if (r)
		return r;
	(void)json_object_clear(document->state);
	(void)json_object_clear(document->metadata);
	document->exists = false;
	document->timestamp = now;
	return 0;
}

/* --- messages
 * ---------------------------------------------------------------------------------------------------------
 */

static json_t *with_token(json_t *root, const char *token)
{
	if (root && token && json_object_set_new(root, "clientToken", json_string(token))) {
		json_decref(root);
		return NULL;
	}
	return root;
}

static json_t *delta_of(const struct document *document, json_t **ret_metadata, int *ret_error)
{
	return tree_delta(json_object_get(document->state, "desired"),
	        json_object_get(document->state, "reported"), json_object_get(document->metadata, "desired"),
	        ret_metadata, ret_error);
}

char *message_get(const struct document *document, const char *token)
{
	int error = 0;
	json_t *delta_stamps = NULL;
	json_t *delta = delta_of(document, &delta_stamps, &error);
	if (error)
		return NULL;
	json_t *state = json_copy(document->state), *metadata = json_copy(document->metadata);
	if (delta && state && metadata) {
		error = json_object_set_new(state, "delta", delta);
		error |= json_object_set_new(metadata, "delta", delta_stamps);
	}
	json_t *root = json_pack("{s:o, s:o, s:I, s:I}", "state", state, "metadata", metadata, "version",
	        (json_int_t)document->version, "timestamp", (json_int_t)document->timestamp);
	if (error) {
		json_decref(root);
		return NULL;
	}
	return print(with_token(root, token));
}

char *message_accepted(const struct document *document, const struct shadow_request *request, int64_t now)
{
	return print(with_token(json_pack("{s:O, s:o, s:I, s:I}", "state", request->state, "metadata",
	                                tree_stamp(request->state, now), "version",
	                                (json_int_t)document->version, "timestamp", (json_int_t)now),
	        request->token));
}

char *message_delta(const struct document *document, const char *token, int64_t now, bool *ret_differs)
{
	int error = 0;
	json_t *stamps = NULL;
	json_t *delta = delta_of(document, &stamps, &error);
	*ret_differs = delta || error;
	if (!delta)
		return NULL;
	return print(with_token(json_pack("{s:I, s:I, s:o, s:o}", "version", (json_int_t)document->version,
	                                "timestamp", (json_int_t)now, "state", delta, "metadata", stamps),
	        token));
}

static json_t *snapshot(const struct document *document)
{
	if (!document->exists)
		return json_null();
	return json_pack("{s:O, s:O, s:I}", "state", document->state, "metadata", document->metadata,
	        "version", (json_int_t)document->version);
}

char *message_documents(
        const struct document *before, const struct document *after, const char *token, int64_t now)
{
	return print(with_token(json_pack("{s:o, s:o, s:I}", "previous", snapshot(before), "current",
	                                snapshot(after), "timestamp", (json_int_t)now),
	        token));
}

char *message_deleted(int64_t version, const char *token, int64_t now)
{
	return print(with_token(
	        json_pack("{s:I, s:I}", "version", (json_int_t)version, "timestamp", (json_int_t)now),
	        token));
}

char *message_rejected(const struct shadow_error *error, const char *token, int64_t now)
{
	return print(with_token(json_pack("{s:i, s:s, s:I}", "code", error->code, "message", error->message,
	                                "timestamp", (json_int_t)now),
	        token));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tree.h"

int shadow_refuse(struct shadow_error *error, int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	error->code = code;
	return -EINVAL;
}

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
	if (!json_is_string(token) || json_string_length(token) > SHADOW_TOKEN_MAX ||
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
	request->state = json_object_get(request->root, "state");
	if (!r)
		r = check_state(request, limits, error);
	if (!r)
		r = parse_version(request, error);
	return r;
}

int shadow_request_parse_patch(struct shadow_request *request, struct edged_slice payload,
        const struct document_limits *limits, struct shadow_error *error)
{
	int r = parse_root(request, payload, error);
	request->state = request->root;
	return r ? r : check_state(request, limits, error);
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TOKEN_MAX = 64, NAME_MAX_BYTES = 128, VALUE_MAX_CHARS = 1024 };

int jobs_refuse(struct jobs_error *error, enum jobs_code code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	error->code = code;
	return -EINVAL;
}

static const struct {
	const char *text, *type;
	int status;
} codes[] = { [JOBS_DONE] = { "", "", 200 },
#define ROW(name, code, http, exception) [JOBS_##name] = { code, exception, http },
	JOBS_CODES(ROW)
#undef ROW
};

const char *jobs_code_text(enum jobs_code code)
{
	return codes[code].text;
}

int jobs_code_status(enum jobs_code code)
{
	return codes[code].status;
}

const char *jobs_code_type(enum jobs_code code)
{
	return codes[code].type;
}

/* --- members --------------------------------------------------------------------------------------------------------- */

static int read_token(struct jobs_request *request, struct jobs_error *error)
{
	const json_t *token = json_object_get(request->root, "clientToken");
	if (!token)
		return 0;
	if (!json_is_string(token) || json_string_length(token) > TOKEN_MAX ||
	        strlen(json_string_value(token)) != json_string_length(token))
		return jobs_refuse(error, JOBS_INVALID_REQUEST, "clientToken is a string of at most %d bytes",
		        TOKEN_MAX);
	request->token = json_string_value(token);
	return 0;
}

static int read_number(const struct jobs_request *request, const char *name, int64_t least, int64_t most,
        int64_t *ret, struct jobs_error *error)
{
	const json_t *value = json_object_get(request->root, name);
	char *end = NULL;
	if (!value)
		return 0;
	*ret = json_integer_value(value);
	if (json_is_string(value)) { /* the Developer Guide writes versions as strings, too */
		*ret = strtoll(json_string_value(value), &end, 10);
		if (json_string_length(value) == 0 || *end != '\0')
			*ret = least - 1;
	} else if (!json_is_integer(value)) {
		*ret = least - 1;
	}
	if (*ret >= least && *ret <= most)
		return 0;
	return jobs_refuse(error, JOBS_INVALID_REQUEST, "%s is a number from %lld to %lld", name,
	        (long long)least, (long long)most);
}

static int read_bool(
        const struct jobs_request *request, const char *name, bool *ret, struct jobs_error *error)
{
	const json_t *value = json_object_get(request->root, name);
	if (!value)
		return 0;
	if (!json_is_boolean(value))
		return jobs_refuse(error, JOBS_INVALID_REQUEST, "%s is true or false", name);
	*ret = json_is_true(value);
	return 0;
}

static int read_step(struct jobs_request *request, struct jobs_error *error)
{
	int r = read_number(request, "stepTimeoutInMinutes", STEP_CANCEL, STEP_MAX, &request->step, error);
	if (r || !json_object_get(request->root, "stepTimeoutInMinutes") || request->step != STEP_NONE)
		return r;
	return jobs_refuse(error, JOBS_INVALID_REQUEST,
	        "stepTimeoutInMinutes is a number from 1 to %d, or -1 to end the timer", STEP_MAX);
}

/* --- status details ---------------------------------------------------------------------------------------------------- */

static bool name_fits(const char *name, size_t len)
{
	struct shadow_name unused; /* their characters are those of things' names */
	return len <= NAME_MAX_BYTES && shadow_name_set(&unused, edged_slice(name, len), edged_slice("", 0));
}

static bool value_fits(const json_t *value)
{
	const char *text = json_string_value(value);
	size_t len = json_string_length(value), chars = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c < 0x20 || c == 0x7f)
			return false;
		chars += (c & 0xc0) != 0x80;
	}
	return chars >= 1 && chars <= VALUE_MAX_CHARS;
}

static int read_details(
        struct jobs_request *request, const struct details_limits *limits, struct jobs_error *error)
{
	json_t *details = json_object_get(request->root, "statusDetails"), *value;
	const char *name;
	size_t len, bytes = 0;
	if (!details)
		return 0;
	if (!json_is_object(details))
		return jobs_refuse(error, JOBS_INVALID_REQUEST, "statusDetails is an object of strings");
	if (json_object_size(details) > limits->pairs)
		return jobs_refuse(
		        error, JOBS_INVALID_REQUEST, "statusDetails has more than %u members", limits->pairs);
	json_object_keylen_foreach(details, name, len, value)
	{
		if (!name_fits(name, len) || !json_is_string(value) || !value_fits(value))
			return jobs_refuse(error, JOBS_INVALID_REQUEST,
			        "statusDetails has a member that is not allowed: names are 1 to 128 of "
			        "[a-zA-Z0-9:_-], values strings of 1 to 1024 characters");
		bytes += len + json_string_length(value);
	}
	if (bytes > limits->bytes)
		return jobs_refuse(
		        error, JOBS_INVALID_REQUEST, "statusDetails is larger than %zu bytes", limits->bytes);
	request->details = details;
	return 0;
}

static int read_status(struct jobs_request *request, struct jobs_error *error)
{
	const json_t *status = json_object_get(request->root, "status");
	if (status && json_is_string(status) &&
	        execution_status_parse(json_string_value(status), &request->status) &&
	        execution_may_report(request->status))
		return 0;
	return jobs_refuse(
	        error, JOBS_INVALID_REQUEST, "status is IN_PROGRESS, SUCCEEDED, FAILED or REJECTED");
}

/* --- all of it --------------------------------------------------------------------------------------------------------- */

static int read_root(struct jobs_request *request, enum jobs_verb verb, struct edged_slice payload,
        struct jobs_error *error)
{
	if (payload.len == 0 && verb != JOBS_UPDATE)
		return 0;
	request->root = json_loadb(payload.ptr ? payload.ptr : "", payload.len, JSON_REJECT_DUPLICATES, NULL);
	if (!request->root)
		return jobs_refuse(error, JOBS_INVALID_JSON, "The payload is not JSON in UTF-8");
	if (!json_is_object(request->root))
		return jobs_refuse(error, JOBS_INVALID_REQUEST, "The payload is not a JSON object");
	return 0;
}

int jobs_request_parse(struct jobs_request *request, enum jobs_verb verb, struct edged_slice payload,
        const struct details_limits *limits, struct jobs_error *error)
{
	bool changes = verb == JOBS_START_NEXT || verb == JOBS_UPDATE;
	*request = (struct jobs_request){ .with_document = verb == JOBS_DESCRIBE };
	int r = read_root(request, verb, payload, error);
	if (!r)
		r = read_token(request, error);
	if (!r && verb == JOBS_UPDATE)
		r = read_status(request, error);
	if (!r && changes)
		r = read_details(request, limits, error);
	if (!r && changes)
		r = read_step(request, error);
	if (!r && verb == JOBS_UPDATE)
		r = read_number(request, "expectedVersion", 0, INT64_MAX, &request->expected, error);
	if (!r && verb == JOBS_UPDATE)
		r = read_bool(request, "includeJobExecutionState", &request->with_state, error);
	if (!r && (verb == JOBS_UPDATE || verb == JOBS_DESCRIBE))
		r = read_bool(request, "includeJobDocument", &request->with_document, error);
	if (!r && (verb == JOBS_UPDATE || verb == JOBS_DESCRIBE))
		r = read_number(request, "executionNumber", 1, INT64_MAX, &request->number, error);
	return r;
}

void jobs_request_fini(struct jobs_request *request)
{
	json_decref(request->root);
	*request = (struct jobs_request){ 0 };
}

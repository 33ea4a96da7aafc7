/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request of a device: parsed, checked, and refused with the codes of AWS (AWS IoT Developer Guide, "Jobs device MQTT API",
 * ErrorResponse; API reference of IoT Jobs data for HTTP). Pure.
 */
#ifndef JOBS_REQUEST_H
#define JOBS_REQUEST_H

#include <jansson.h>
#include <stdint.h>
#include "execution.h"
#include "topic.h"

/* The code over MQTT; status and x-amzn-errortype over HTTP. */
#define JOBS_CODES(ROW)                                                                                      \
	ROW(INVALID_TOPIC, "InvalidTopic", 400, "InvalidRequestException")                                   \
	ROW(INVALID_JSON, "InvalidJson", 400, "InvalidRequestException")                                     \
	ROW(INVALID_REQUEST, "InvalidRequest", 400, "InvalidRequestException")                               \
	ROW(INVALID_STATE, "InvalidStateTransition", 409, "InvalidStateTransitionException")                 \
	ROW(NOT_FOUND, "ResourceNotFound", 404, "ResourceNotFoundException")                                 \
	ROW(VERSION, "VersionMismatch", 409, "VersionConflictException")                                     \
	ROW(INTERNAL, "InternalError", 503, "ServiceUnavailableException")                                   \
	ROW(THROTTLED, "RequestThrottled", 429, "ThrottlingException")                                       \
	ROW(TERMINAL, "TerminalStateReached", 410, "TerminalStateException")

enum jobs_code {
	JOBS_DONE,
#define ROW(name, text, status, type) JOBS_##name,
	JOBS_CODES(ROW)
#undef ROW
};

struct jobs_error {
	enum jobs_code code;
	char message[160];
};
/* Sets both and returns -EINVAL, so that callers can `return jobs_refuse(...)`. */
int jobs_refuse(struct jobs_error *error, enum jobs_code code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
const char *jobs_code_text(enum jobs_code code);
int jobs_code_status(enum jobs_code code);
const char *jobs_code_type(enum jobs_code code);

struct details_limits {
	unsigned pairs;
	size_t bytes; /* of names and values together */
};

enum { STEP_NONE = 0, STEP_CANCEL = -1, STEP_MAX = 10080 };

struct jobs_request {
	json_t *root;
	const char *token;            /* borrowed from root; NULL: none */
	enum execution_status status; /* of an update */
	json_t *details;              /* borrowed; NULL: they stay as they are */
	int64_t expected;             /* version; 0: any */
	int64_t number;               /* of the execution; 0: the latest */
	int64_t step;                 /* timeout in minutes; STEP_NONE, STEP_CANCEL */
	bool with_state, with_document;
};

/* `payload` may be empty unless it is an update. */
int jobs_request_parse(struct jobs_request *request, enum jobs_verb verb, struct edged_slice payload,
        const struct details_limits *limits, struct jobs_error *error);
void jobs_request_fini(struct jobs_request *request);

#endif

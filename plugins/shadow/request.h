/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request to a shadow: parsed, checked, and refused with the code and the sentence of AWS (AWS IoT Developer Guide, "Device
 * Shadow error messages"). Pure.
 */
#ifndef SHADOW_REQUEST_H
#define SHADOW_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "edged/slice.h"

enum { SHADOW_TOKEN_MAX = 64 }; /* bytes of a client token */

/* Why a request is refused, in AWS's codes (which are HTTP statuses). */
struct shadow_error {
	int code; /* 0: none */
	char message[160];
};
/* Sets both and returns -EINVAL, so that callers can `return shadow_refuse(...)`. */
int shadow_refuse(struct shadow_error *error, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

struct document_limits {
	size_t bytes;   /* of desired and reported as compact JSON; metadata is not counted */
	unsigned depth; /* levels of objects and arrays in a section */
};

/* A request, parsed and checked: update, or get and delete, whose payload is empty or has a client token. */
struct shadow_request {
	json_t *root;
	json_t *state; /* borrowed from root; JSON null when the request says so; NULL in get and delete */
	const char *token; /* borrowed from root; NULL: none */
	bool replace; /* update: sections of the state are put in the place of those that there are, not merged */
	bool has_version;
	int64_t version;
};
int shadow_request_parse_update(struct shadow_request *request, struct edged_slice payload,
        const struct document_limits *limits, struct shadow_error *error);
int shadow_request_parse_plain(
        struct shadow_request *request, struct edged_slice payload, struct shadow_error *error);
/* A merge patch (RFC 7396) of the state: {"desired": .., "reported": ..}. */
int shadow_request_parse_patch(struct shadow_request *request, struct edged_slice payload,
        const struct document_limits *limits, struct shadow_error *error);
void shadow_request_fini(struct shadow_request *request);

#endif

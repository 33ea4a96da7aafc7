/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shadow document: what it holds, how an update changes it, and the messages that follow from it. Pure: no
 * I/O, time comes in. Rules: AWS IoT Developer Guide, "Device Shadow service documents"; numbers are equal
 * when their values are.
 */
#ifndef SHADOW_DOCUMENT_H
#define SHADOW_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "edged/slice.h"

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

struct document {
	json_t *state;    /* {"desired": {..}, "reported": {..}}; an empty section is absent */
	json_t *metadata; /* the same tree; a scalar leaf is {"timestamp": seconds} */
	int64_t version;  /* 0: never existed */
	int64_t timestamp;
	bool exists; /* false with a version above 0: deleted, the version goes on from here */
};

int document_init(struct document *document);
void document_fini(struct document *document); /* NULL members are fine */
/* The form in the store. -EINVAL: not a stored document. */
int document_parse(struct document *document, struct edged_slice text);
char *document_print(const struct document *document); /* free(); NULL: no memory */
int document_copy(struct document *copy, const struct document *document);

/* A request, parsed and checked: update, or get and delete, whose payload is empty or has a client token. */
struct shadow_request {
	json_t *root;
	json_t *state; /* borrowed from root; JSON null when the request says so; NULL in get and delete */
	const char *token; /* borrowed from root; NULL: none */
	bool has_version;
	int64_t version;
};
int shadow_request_parse_update(struct shadow_request *request, struct edged_slice payload,
        const struct document_limits *limits, struct shadow_error *error);
int shadow_request_parse_plain(
        struct shadow_request *request, struct edged_slice payload, struct shadow_error *error);
void shadow_request_fini(struct shadow_request *request);

/* Changes the document, or leaves it as it was and says why. `now` in seconds since 1970. */
int document_update(struct document *document, const struct shadow_request *request, int64_t now,
        const struct document_limits *limits, struct shadow_error *error);
/* After it the document does not exist; its version counts on. */
int document_delete(struct document *document, const struct shadow_request *request, int64_t now,
        struct shadow_error *error);

/* Messages as compact JSON, free(); NULL: no memory. `token` NULL: none. */
char *message_get(const struct document *document, const char *token);
char *message_accepted(const struct document *document, const struct shadow_request *request, int64_t now);
/* *ret_differs false: desired and reported agree, and NULL is returned. */
char *message_delta(const struct document *document, const char *token, int64_t now, bool *ret_differs);
char *message_documents(
        const struct document *before, const struct document *after, const char *token, int64_t now);
char *message_deleted(int64_t version, const char *token, int64_t now);
char *message_rejected(const struct shadow_error *error, const char *token, int64_t now);

#endif

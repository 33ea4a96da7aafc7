/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shadow document: what it holds, and how an update changes it. Pure: no I/O, time comes in. Rules: AWS IoT Developer
 * Guide, "Device Shadow service documents"; numbers are equal when their values are.
 *
 * A document is changed in place and printed once; the same text goes to the store and into messages. What it was before
 * is kept as text until the change is durable.
 */
#ifndef SHADOW_DOCUMENT_H
#define SHADOW_DOCUMENT_H

#include "frames.h"
#include "request.h"

/* A document as text: the JSON of the state, and behind it that of the metadata. */
struct printed {
	char *text;
	size_t state, len; /* bytes of the state, and of both */
	int64_t version;
	bool exists;
};
void printed_fini(struct printed *printed);

struct document {
	json_t *state;    /* {"desired": {..}, "reported": {..}}; an empty section is absent */
	json_t *metadata; /* the same tree; see tree.h */
	struct printed now;
	int64_t timestamp;
	int64_t made; /* s since 1970, when it first was; 0: before this was noted. Which of two homes stays; see frames.h */
	uint32_t moves; /* how often its home was moved by hand */
};
/* now.version 0: never existed. now.exists false with a version above 0: deleted, the version goes on from here. */

int document_init(struct document *document);
void document_fini(struct document *document); /* NULL members are fine */
/* The form in the store. -EINVAL: not a stored document; -ENOMEM. */
int document_parse(struct document *document, struct edged_slice text);
char *document_print(const struct document *document); /* free(); NULL: no memory */
/* What the stored form says of itself behind its contents, without parsing those. False: it is not of that form. */
bool document_peek(struct edged_slice text, struct claim *ret);
struct claim document_claim(const struct document *document);

/* Changes the document, and gives what it was in *before, or leaves it as it was and says why. `now` in seconds since 1970.
 * -EINVAL; -ENOMEM: it may be damaged, read it again. */
int document_update(struct document *document, const struct shadow_request *request, int64_t now,
        const struct document_limits *limits, struct printed *before, struct shadow_error *error);
/* Takes in what another node has of the same shadow: of each value the one that was set later, and what only one of them has. Where
 * one is deleted and the other is not, the later change decides. The version is then above both. The same again changes
 * nothing: *ret_changed. -ENOMEM: it may be damaged, read it again. */
int document_unite(
        struct document *document, const struct document *other, struct printed *before, bool *ret_changed);
/* After it the document does not exist; its version counts on. */
int document_delete(struct document *document, const struct shadow_request *request, int64_t now,
        struct printed *before, struct shadow_error *error);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of other nodes in memory, bounded: by URI, and of each URI by the request fields that Vary names (RFC 9111 section
 * 4.1). When room is needed, those go that were used least recently; what is still coming counts, too. Main loop.
 */
#ifndef CACHE_ANSWERS_H
#define CACHE_ANSWERS_H

#include <sys/queue.h>
#include "rules.h"

enum {
	ANSWER_FIELDS = 24,  /* one with more is not stored */
	ANSWER_VARIANTS = 8, /* of one URI; beyond, the oldest goes */
};

/* Fields in one block, texts terminated. */
struct field_block {
	size_t count, bytes; /* of the whole block */
	struct edged_http_field fields[];
};

struct resource;

struct answer {
	TAILQ_ENTRY(answer) use;
	LIST_ENTRY(answer) variant;
	struct resource *resource; /* NULL: it is not stored (yet, any more) */
	unsigned holds;            /* who looks at it; freed at 0 when it is not stored */
	int status;
	struct freshness fresh;
	struct field_block *fields; /* of the answer */
	struct field_block *vary;   /* of the request: those that Vary names; value.ptr NULL: it had none */
	char *body;
	size_t body_len, body_room;
	size_t bytes; /* all that it takes */
};

TAILQ_HEAD(answer_list, answer);

struct answers {
	void *tree;             /* tsearch(3): resources by URI */
	struct answer_list use; /* the one used least recently comes first */
	size_t count, bytes;    /* stored; bytes: what still comes, or is looked at, too */
	size_t most_count, most_bytes, most_answer; /* limits */
	uint64_t evicted;
};

void answers_init(struct answers *answers, size_t count, size_t bytes, size_t answer);
/* Everything goes; those that are held, when they are let go. */
void answers_clear(struct answers *answers);

/* One that fits what is asked, or NULL; *ret_known: there is something for that URI. */
struct answer *answers_find(const struct answers *answers, struct edged_slice uri,
        const struct edged_http_field *request, size_t count, bool *ret_known);
void answers_used(struct answers *answers, struct answer *answer);
struct answer *answer_hold(struct answer *answer);                /* returns it */
void answer_drop(struct answers *answers, struct answer *answer); /* NULL is fine */

/* A new one, held by the caller, not stored yet: its body comes with answer_append(). NULL: too large, or no memory. */
struct answer *answers_new(struct answers *answers, const struct edged_proxy_request *request,
        const struct edged_proxy_answer *answer, const struct freshness *fresh);
/* False: it would be too large, or there is no memory. */
bool answer_append(struct answers *answers, struct answer *answer, struct edged_slice bytes);
/* Stores it under that URI, in the place of the one that fits the same requests. False: no memory. */
bool answers_add(struct answers *answers, struct edged_slice uri, struct answer *answer);
/* Takes the fields of a 304, and is as fresh as they say (section 3.2). False: no memory, or too large: as before. */
bool answer_update(struct answers *answers, struct answer *answer, const struct edged_proxy_answer *came,
        const struct moment *moment);
void answers_remove(struct answers *answers, struct answer *answer);
/* All of that URI. */
void answers_forget(struct answers *answers, struct edged_slice uri);
/* All whose URIs begin like that; returns how many. */
size_t answers_purge(struct answers *answers, struct edged_slice prefix);
/* By URI, those that begin with `prefix` and come behind `after` ("": all). */
void answers_each(const struct answers *answers, struct edged_slice prefix, struct edged_slice after,
        void (*each)(void *arg, struct edged_slice uri, const struct answer *answer), void *arg);

#endif

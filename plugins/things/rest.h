/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and answers of all REST paths of the plugin (/things/v1/...). Main loop. */
#ifndef THINGS_REST_H
#define THINGS_REST_H

#include "plugin.h"

enum { ANSWERED = 1 }; /* the request has got its answer, which says what is wrong */

/* The whole answer; takes the body. */
int rest_reply(struct things *t, edged_handle request, int status, json_t *body);
/* A problem document; always ANSWERED or a negative errno. */
int rest_problem(struct things *t, edged_handle request, int status, const char *type, const char *title,
        const char *detail);

/* Each 0, ANSWERED, or a negative errno. */
/* The body as an object; an empty body is an empty object when `optional`. */
int rest_body(struct things *t, edged_handle request, bool optional, json_t **ret);
/* The record that {param} of the path names; 404. */
int rest_record(
        struct things *t, edged_handle request, const char *param, enum kind kind, const struct record **ret);
/* A name for a new record; 400. */
int rest_name(struct things *t, edged_handle request, struct edged_slice name, enum kind kind);
/* If-Match of the request against the record's version (RFC 9110 section 13.1.1); 412. */
int rest_match(struct things *t, edged_handle request, const struct record *record);

/* Writes the changes; the answer follows once they are on the disk: the first changed record as clients see it with the
 * members of `extra` (may be NULL; taken), or 204 when it was removed. ANSWERED when the changes were refused. */
int rest_write(struct things *t, edged_handle request, const struct change *changes, size_t count, int status,
        json_t *extra);

/* The answer to a change that could not be stored: what registry_write() said. ANSWERED. */
int rest_refuse(struct things *t, edged_handle request, int result);

/* The handlers return what the route must: ANSWERED is fine. */
static inline int rest_done(int r)
{
	return r < 0 ? r : 0;
}

#endif

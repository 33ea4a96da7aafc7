/* SPDX-License-Identifier: Apache-2.0 */
/* Answers and bodies of JSON, for routes whose documents are small. */
#ifndef CLUSTER_ANSWER_H
#define CLUSTER_ANSWER_H

#include <jansson.h>
#include "core/request.h"

/* Takes `json`, which may be NULL for want of memory. */
int answer_json(struct requests *requests, edged_handle request, int status, json_t *json);
/* The body as a JSON object; an empty one is an empty object. NULL: it is none, and the request was answered; `example` says
 * what it should be. */
json_t *answer_body(struct requests *requests, edged_handle request, const char *example);
/* "2026-01-31T23:59:59Z" */
void answer_time(uint64_t ms, char ret[32]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What clients may write into records: members by kind, judged one by one. Main loop. */
#ifndef THINGS_DOC_H
#define THINGS_DOC_H

#include "registry.h"

enum { DOC_WHY_MAX = 300 };

/* Is each member of `doc` one that clients may set in a record of this kind, and is its value right? Names of other records
 * must exist. -EINVAL with a sentence. */
int doc_check(const struct registry *registry, enum kind kind, const json_t *doc, char why[DOC_WHY_MAX]);
/* JSON merge patch (RFC 7396) of objects, in place. -ENOMEM. */
int doc_merge(json_t *target, const json_t *patch);
/* The record as clients see it, without secrets; NULL: no memory. `whole`: with what is long. */
json_t *doc_public(const struct record *record, enum kind kind, bool whole);
/* Is `name` in the list `member` of the object? */
bool doc_lists(const json_t *doc, const char *member, const char *name);
/* Puts it in or takes it out. 0, -EALREADY, -ENOMEM. */
int doc_list_set(json_t *doc, const char *member, const char *name, bool in);

#endif

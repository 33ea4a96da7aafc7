/* SPDX-License-Identifier: Apache-2.0 */
/* REST of what is the same for all kinds of records: lists, reading, changing, removing. */
#ifndef THINGS_REST_COMMON_H
#define THINGS_REST_COMMON_H

#include "rest.h"

/* Is the record named in the list `member` of any record of that kind? Its name, for the answer; NULL: no. */
const char *named_by(const struct registry *registry, enum kind kind, const char *member, const char *name);

/* Puts `doc` (taken) in the place of a record, if If-Match and If-None-Match agree (RFC 9110 sections 13.1.1, 13.1.2); when it
 * was made stays. 0, ANSWERED or a negative errno. */
int rest_put(struct things *t, edged_handle request, enum kind kind, struct edged_slice name, json_t *doc);

#endif

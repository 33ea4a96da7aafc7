/* SPDX-License-Identifier: Apache-2.0 */
/* REST of what is the same for all kinds of records: lists, reading, changing, removing. */
#ifndef THINGS_REST_COMMON_H
#define THINGS_REST_COMMON_H

#include "rest.h"

/* Is the record named in the list `member` of any record of that kind? Its name, for the answer; NULL: no. */
const char *named_by(const struct registry *registry, enum kind kind, const char *member, const char *name);

#endif

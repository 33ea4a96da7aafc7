/* SPDX-License-Identifier: Apache-2.0 */
/* Skims JSON text (RFC 8259) without building anything: is it well-formed, and what are the members of an object? Pure. */
#ifndef CORE_JSON_SKIM_H
#define CORE_JSON_SKIM_H

#include <stdbool.h>
#include "edged/slice.h"

/* Is the text one object, well-formed, at most 32 levels deep? */
bool json_skim_object(struct edged_slice text);
/* The next member of an object that is well-formed. *at starts as the whole text and moves on. The key comes with its
 * quotes, the value as it is written. False: there are no more. */
bool json_skim_member(struct edged_slice *at, struct edged_slice *ret_key, struct edged_slice *ret_value);
/* The value of the member whose key is written `key`; .ptr NULL when there is none. */
struct edged_slice json_skim_find(struct edged_slice object, const char *key);

#endif

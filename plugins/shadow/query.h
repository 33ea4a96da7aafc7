/* SPDX-License-Identifier: Apache-2.0 */
/* What requests carry beside their path. Pure. */
#ifndef SHADOW_QUERY_H
#define SHADOW_QUERY_H

#include <stdbool.h>
#include <stdint.h>
#include "edged/slice.h"

/* A number from 1 to `most`; `def` when there is no text. */
bool query_number(struct edged_slice text, size_t most, size_t def, size_t *ret);
/* If-Match (RFC 9110 section 13.1.1): one version in quotes, as the ETag of an answer; `any` for "*", `none` when there is
 * no such header. */
bool query_match(struct edged_slice text, int64_t any, int64_t none, int64_t *ret);
/* Is that the content type of a merge patch (RFC 7396), or just JSON? */
bool query_is_patch(struct edged_slice type);

#endif

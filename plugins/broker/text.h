/* SPDX-License-Identifier: Apache-2.0 */
/* Forms that the REST interface needs. Pure. */
#ifndef BROKER_TEXT_H
#define BROKER_TEXT_H

#include <jansson.h>
#include "edged/slice.h"

/* A JSON string; NULL when the text is no UTF-8 or there is no memory. */
json_t *text_json(struct edged_slice text);
/* Base64 with padding (RFC 4648) as a JSON string. */
json_t *base64_json(struct edged_slice bytes);
/* Decodes base64; -EINVAL. *ret is malloc'ed. */
int base64_decode(struct edged_slice text, uint8_t **ret, size_t *ret_len);
/* A decimal number without sign; -EINVAL, also beyond max. */
int number_parse(struct edged_slice text, uint64_t max, uint64_t *ret);

#endif

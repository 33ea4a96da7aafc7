/* SPDX-License-Identifier: Apache-2.0 */
/* Durations ("250ms", "5s", "2m", "1h", "7d") and sizes ("512", "64k", "1M", "2G") as text and as numbers. */
#ifndef CONF_UNITS_H
#define CONF_UNITS_H

#include <stdint.h>
#include "base/err.h"

struct units_text {
	char text[32];
};

/* Milliseconds. -EINVAL: malformed or too large. */
EDGED_MUST_CHECK int units_parse_duration(const char *text, int64_t *ret);
/* Bytes; k, M and G are powers of 1024. -EINVAL: malformed or too large. */
EDGED_MUST_CHECK int units_parse_size(const char *text, int64_t *ret);

/* The shortest text that says exactly that. Negative numbers are not for units: they are written as they are.
 */
struct units_text units_duration(int64_t ms);
struct units_text units_size(int64_t bytes);

#endif

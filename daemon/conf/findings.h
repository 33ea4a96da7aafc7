/* SPDX-License-Identifier: Apache-2.0 */
/* Adding lines to a struct conf_findings. */
#ifndef CONF_FINDINGS_H
#define CONF_FINDINGS_H

#include <stdarg.h>
#include "conf/conf.h"

/* "WHERE: key: message"; `key` NULL or "": "WHERE: message". An error; a line beyond the limit of 64 KiB is
 * counted but not kept. Returns -EINVAL. */
int findings_add(struct conf_findings *findings, const char *where, const char *key, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
int findings_addv(struct conf_findings *findings, const char *where, const char *key, const char *format,
        va_list args) __attribute__((format(printf, 4, 0)));
/* The same as "WHERE: warning: key: message", not counted as an error. */
void findings_warn(struct conf_findings *findings, const char *where, const char *key, const char *format,
        ...) __attribute__((format(printf, 4, 5)));

#endif

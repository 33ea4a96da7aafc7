/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error contract of the whole code base. A function that can fail returns int:
 *   < 0  a negative errno, to be passed up untouched
 *   = 0  done
 *   > 0  a named outcome of that one function (KV_ABSENT, ...), which the caller must handle
 * Leaf code returns and stays silent; the caller that decides (refuse a request, drop a plugin, exit) logs once.
 * Start-up and configuration errors carry their sentence up in a last argument `struct err *`, which may be NULL.
 * Outputs are untouched on failure.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>

#ifndef EDGED_MUST_CHECK
#define EDGED_MUST_CHECK __attribute__((warn_unused_result))
#endif

/* A sentence for a person: what failed, where, why, what to do. */
struct err {
	char text[1024];
};

/* Writes the sentence and returns `code`, so that `return err_set(err, -EINVAL, "...")` reads well. */
int err_set(struct err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts text in front of what is there already ("config: " + "..."). Returns `code`. */
int err_prefix(struct err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Problem documents (RFC 9457) and the names of HTTP status codes. Pure. */
#ifndef CORE_PROBLEM_H
#define CORE_PROBLEM_H

#include "base/buf.h"

#define PROBLEM_CONTENT_TYPE "application/problem+json"
#define PROBLEM_URN          "urn:edged:problem:"

/* "Not Found"; "Unknown" for a code that RFC 9110 and its kin do not name. */
const char *status_phrase(int status);
/* Appends the document. title NULL is the status' phrase; detail NULL and an empty instance are left out. */
EDGED_MUST_CHECK int problem_render(struct buf *buf, int status, const char *type, const char *title,
        const char *detail, struct edged_slice instance);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenAPI 3.1 document of what is served right now. Pure. */
#ifndef CORE_OPENAPI_H
#define CORE_OPENAPI_H

#include "base/buf.h"
#include "core/router.h"

/* Appends the document. Members of a route's `openapi` come before generated ones of the same name; when that text is
 * no JSON object it is left out. A route for all methods is shown for the usual five. */
EDGED_MUST_CHECK int openapi_print(const struct router *router, const char *version, struct buf *out);

#endif

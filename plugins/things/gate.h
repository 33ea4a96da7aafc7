/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks over HTTP, and may they? For routes that are open to devices (EDGED_ROUTE_OPEN): a certificate of the registry is
 * judged by its policies; others may what the daemon trusts them to. Main loop.
 */
#ifndef THINGS_GATE_H
#define THINGS_GATE_H

#include "edged/cap_auth.h"
#include "plugin.h"

struct gate;

int gate_new(struct things *things, struct gate **ret);
/* Questions that are open are dropped. NULL is fine. */
void gate_free(struct gate *gate);
/* then() is called with the answer, maybe at once; the request may be gone by then. `resource` is copied. */
EDGED_MUST_CHECK int gate_ask(struct gate *gate, edged_handle request, enum edged_action action,
        struct edged_slice resource, void (*then)(struct things *things, edged_handle request, bool allowed));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dialling by name: a thread of its own looks the name up and reads the files for TLS, both of which may take long; then
 * dial.h connects.
 */
#ifndef IO_OUTBOUND_H
#define IO_OUTBOUND_H

#include "edged/cap_dial.h"
#include "io/loop.h"

struct outbound;

/* As edged_dial_1.dial(). After open() or failed() it has gone by itself, and `over` is called right before. */
EDGED_MUST_CHECK int outbound_start(struct loop *loop, const struct edged_dial_options *options,
        void (*over)(void *arg), void *arg, struct outbound **ret);
void outbound_cancel(struct outbound *outbound); /* nothing is called any more */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds systemd's watchdog only while every loop turns: each round pokes all loops and feeds once all have answered. A loop
 * that hangs starves the watchdog, and systemd restarts the daemon. Without WATCHDOG_USEC it does nothing.
 */
#ifndef WATCHDOG_H
#define WATCHDOG_H

#include "base/err.h"
#include "io/loop.h"

struct watchdog;

EDGED_MUST_CHECK int watchdog_new(struct loops *loops, struct watchdog **ret);
void watchdog_free(struct watchdog *watchdog); /* after the loops have ended, before loops_free() */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talks to the service manager (systemd, Type=notify) through $NOTIFY_SOCKET, see sd_notify(3); without it
 * nothing happens. Written out here because libsystemd would cost 1 MB of memory (it brings libgcrypt, zstd
 * and others) for what is one datagram.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdint.h>

void notify_ready(void);     /* start or reload is complete */
void notify_reloading(void); /* until notify_ready() */
void notify_stopping(void);
void notify_status(const char *text); /* one line for `systemctl status`; a line break ends it */
void notify_watchdog(void);           /* the daemon lives */
/* How often notify_watchdog() should be called: half of the time limit; 0: nobody watches. */
uint64_t notify_watchdog_interval_ms(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stored messages and queue entries take in the log, as long as they are needed there. Messages may outlive the broker: a
 * stream still sends its last bytes, a plugin still holds one. Counted; any thread.
 */
#ifndef BROKER_HOME_H
#define BROKER_HOME_H

#include <stdint.h>

struct home;

struct home *home_new(void); /* NULL: no memory */
struct home *home_ref(struct home *home);
void home_unref(struct home *home); /* NULL is fine */
/* So many bytes more (or less) are needed. */
void home_add(struct home *home, int64_t bytes);
uint64_t home_bytes(const struct home *home);

#endif

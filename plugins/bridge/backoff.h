/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long to wait before the next attempt: exponential back-off with full jitter, so that many nodes do not come back to a
 * broker at the same moment. Pure.
 */
#ifndef BRIDGE_BACKOFF_H
#define BRIDGE_BACKOFF_H

#include <stdint.h>

#define BACKOFF_FLOOR 10 /* ms */

/* After `failures` (1 for the first) attempts that failed in a row: evenly spread over 0 to min * 2^(failures - 1), at most
 * max, at least BACKOFF_FLOOR; all in ms. `random` is any 64-bit number. */
uint64_t backoff_ms(unsigned failures, uint64_t min, uint64_t max, uint64_t random);

#endif

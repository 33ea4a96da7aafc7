/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes bytes fewer that repeat what came before, as the records of one group do: names, numbers, the same fields. Pure; LZ77
 * without entropy coding, so that it costs about as much as copying.
 *
 * A row of steps. Each is a byte (high half: literals, low half: length of a match less MATCH_MIN; 15: more of it follows
 * as a number), the literals, and the distance of the match as a number; the last step has literals only and ends the
 * input. Numbers have 7 bits a byte, low ones first.
 */
#ifndef STORE_SQUEEZE_H
#define STORE_SQUEEZE_H

#include <stdbool.h>
#include <stddef.h>
#include "edged/slice.h"

/* Writes to `out`, which has `room` bytes, and returns how many; 0: they would not be enough. At most 4 GiB go in. */
size_t squeeze(struct edged_slice bytes, char *out, size_t room);
/* Exactly `len` bytes to `out`; false: that is not what was squeezed. Any input may come, `out` is never overrun. */
bool unsqueeze(struct edged_slice squeezed, char *out, size_t len);

#endif

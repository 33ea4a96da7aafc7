/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes bytes fewer that repeat what came before, as the records of one group do: names, numbers, the same fields. A block of
 * LZ4 without a frame, which costs about as much as copying. Pure.
 */
#ifndef STORE_SQUEEZE_H
#define STORE_SQUEEZE_H

#include <stdbool.h>
#include <stddef.h>
#include "edged/slice.h"

/* Writes to `out`, which has `room` bytes, and returns how many; 0: they would not be enough. At most 2 GB go in. */
size_t squeeze(struct edged_slice bytes, char *out, size_t room);
/* Exactly `len` bytes to `out`; false: that is not what was squeezed. Any input may come, `out` is never overrun. */
bool unsqueeze(struct edged_slice squeezed, char *out, size_t len);

#endif

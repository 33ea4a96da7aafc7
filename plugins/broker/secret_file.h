/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a file that others must not change or see. */
#ifndef BROKER_SECRET_FILE_H
#define BROKER_SECRET_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All of it, with an end behind it, to be freed; at most `max` bytes. It belongs to root or to us, nobody else may write
 * it, and not everybody may read it unless it is `open` to all. 0, or a negative errno with a sentence. */
int secret_file_read(
        const char *path, size_t max, bool open, char **ret, size_t *ret_len, char *why, size_t why_size);

#endif

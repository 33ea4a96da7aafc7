/* SPDX-License-Identifier: Apache-2.0 */
/* A folder for one test, gone afterwards. */
#ifndef TESTS_TEMP_H
#define TESTS_TEMP_H

#include <stddef.h>

struct temp {
	char path[256];
};

void temp_init(struct temp *temp); /* aborts when it cannot be made */
void temp_fini(struct temp *temp); /* with all that is in it */
/* The path of a file in it, in a buffer of `size` bytes. Returns `buffer`. */
char *temp_file(const struct temp *temp, const char *name, char *buffer, size_t size);
/* How many files in it begin with `prefix`. */
unsigned temp_count(const struct temp *temp, const char *prefix);

#endif

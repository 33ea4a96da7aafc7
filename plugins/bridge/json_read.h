/* SPDX-License-Identifier: Apache-2.0 */
/* Members of JSON objects, judged: -EINVAL comes with a sentence that names the key. An absent key leaves *ret as it is. Pure. */
#ifndef BRIDGE_JSON_READ_H
#define BRIDGE_JSON_READ_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is being read, and where a sentence goes. */
struct reading {
	const char *bridge;
	char where[80]; /* "topics[2]" */
	char *why;
	size_t why_size;
};

struct unit {
	const char *name;
	uint64_t factor;
};
extern const struct unit read_durations[]; /* to ms */
extern const struct unit read_sizes[];     /* to bytes */
extern const struct unit read_plain[];

struct range {
	uint64_t min, max;
	const char *text; /* "must be ..." */
};

__attribute__((format(printf, 3, 4))) int read_wrong(
        const struct reading *in, const char *key, const char *format, ...);
/* Text of 1 to `most` bytes, malloc'ed. */
int read_text(const struct reading *in, json_t *object, const char *key, size_t most, char **ret);
int read_bool(const struct reading *in, json_t *object, const char *key, bool *ret);
int read_number(const struct reading *in, json_t *object, const char *key, const struct unit *units,
        const struct range *range, uint64_t *ret);
/* The place of the word in a list that ends with NULL. */
int read_choice(
        const struct reading *in, json_t *object, const char *key, const char *const *words, unsigned *ret);
/* No others than the known ones, NULL-terminated. */
int read_keys(const struct reading *in, json_t *object, const char *const *known);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text that grows while JSON is written into it. After a failed allocation it stays empty-handed: what is added is lost, and
 * text_take() gives NULL, so that only the end has to be checked.
 */
#ifndef SHADOW_TEXT_H
#define SHADOW_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *ptr;
	size_t len, size;
	bool failed;
};

void text_add(struct text *text, const char *bytes, size_t n);
#define text_add_literal(text, literal) text_add((text), (literal), sizeof(literal) - 1)
void text_add_int(struct text *text, int64_t value);
void text_add_string(
        struct text *text, const char *string, size_t n);   /* quoted and escaped (RFC 8259 section 7) */
void text_add_json(struct text *text, const json_t *value); /* compact */
/* Metadata: like JSON, but an integer is a stamp and is written {"timestamp":N}. */
void text_add_stamps(struct text *text, const json_t *metadata);
/* The metadata of a value whose scalars are all stamped `now`. */
void text_add_stamped(struct text *text, const json_t *value, int64_t now);
/* The bytes, terminated, which are the caller's to free(); NULL: no memory. The text is empty again. */
char *text_take(struct text *text);

#endif

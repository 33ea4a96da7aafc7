/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <stdlib.h>
#include <string.h>

static bool reserve(struct text *text, size_t n)
{
	if (text->failed)
		return false;
	if (text->size - text->len > n)
		return true;
	size_t size = text->size ? text->size * 2 : 512;
	while (size - text->len <= n)
		size *= 2;
	char *ptr = realloc(text->ptr, size);
	if (!ptr) {
		text->failed = true;
		return false;
	}
	text->ptr = ptr;
	text->size = size;
	return true;
}

void text_add(struct text *text, const char *bytes, size_t n)
{
	if (!reserve(text, n))
		return;
	memcpy(text->ptr + text->len, bytes, n);
	text->len += n;
}

void text_add_int(struct text *text, int64_t value)
{
	char digits[24];
	size_t at = sizeof(digits);
	uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	do
		digits[--at] = (char)('0' + left % 10);
	while ((left /= 10) != 0);
	if (value < 0)
		digits[--at] = '-';
	text_add(text, digits + at, sizeof(digits) - at);
}

static void add_escaped(struct text *text, unsigned char c)
{
	static const char letters[] = "btnvfr", hex[] = "0123456789abcdef";
	char escape[6] = { '\\', 'u', '0', '0', hex[c >> 4 & 15], hex[c & 15] };
	if (c == '"' || c == '\\')
		escape[1] = (char)c;
	else if (c >= '\b' && c <= '\r' && c != '\v')
		escape[1] = letters[c - '\b'];
	text_add(text, escape, escape[1] == 'u' ? 6 : 2);
}

void text_add_string(struct text *text, const char *string, size_t n)
{
	size_t from = 0;
	text_add_literal(text, "\"");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)string[i];
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		text_add(text, string + from, i - from);
		add_escaped(text, c);
		from = i + 1;
	}
	text_add(text, string + from, n - from);
	text_add_literal(text, "\"");
}

static void add_real(struct text *text, const json_t *value)
{
	char digits[64];
	size_t n = json_dumpb(value, digits, sizeof(digits), JSON_ENCODE_ANY);
	if (n == 0 || n > sizeof(digits))
		text->failed = true;
	else
		text_add(text, digits, n);
}

/* Writes a container; `scalar` writes what is none. */
static void add_tree(struct text *text, const json_t *value,
        void (*scalar)(struct text *text, const json_t *value, int64_t arg), int64_t arg)
{
	const char *key, *comma = "";
	size_t key_len, i;
	json_t *item;
	if (json_is_object(value)) {
		text_add_literal(text, "{");
		json_object_keylen_foreach((json_t *)(uintptr_t)value, key, key_len, item)
		{
			text_add(text, comma, *comma != '\0');
			text_add_string(text, key, key_len);
			text_add_literal(text, ":");
			add_tree(text, item, scalar, arg);
			comma = ",";
		}
		text_add_literal(text, "}");
	} else if (json_is_array(value)) {
		text_add_literal(text, "[");
		json_array_foreach(value, i, item)
		{
			text_add(text, comma, *comma != '\0');
			add_tree(text, item, scalar, arg);
			comma = ",";
		}
		text_add_literal(text, "]");
	} else {
		scalar(text, value, arg);
	}
}

static void add_scalar(struct text *text, const json_t *value, int64_t unused)
{
	(void)unused;
	switch (json_typeof(value)) {
	case JSON_STRING:
		text_add_string(text, json_string_value(value), json_string_length(value));
		return;
	case JSON_INTEGER:
		text_add_int(text, json_integer_value(value));
		return;
	case JSON_REAL:
		add_real(text, value);
		return;
	case JSON_TRUE:
		text_add_literal(text, "true");
		return;
	case JSON_FALSE:
		text_add_literal(text, "false");
		return;
	case JSON_NULL:
	case JSON_OBJECT:
	case JSON_ARRAY:
		text_add_literal(text, "null");
		return;
	}
}

void text_add_json(struct text *text, const json_t *value)
{
	add_tree(text, value, add_scalar, 0);
}

static void add_stamp(struct text *text, const json_t *unused, int64_t now)
{
	(void)unused;
	text_add_literal(text, "{\"timestamp\":");
	text_add_int(text, now);
	text_add_literal(text, "}");
}

static void add_stored_stamp(struct text *text, const json_t *stamp, int64_t unused)
{
	(void)unused;
	add_stamp(text, stamp, json_integer_value(stamp));
}

void text_add_stamps(struct text *text, const json_t *metadata)
{
	add_tree(text, metadata, add_stored_stamp, 0);
}

void text_add_stamped(struct text *text, const json_t *value, int64_t now)
{
	add_tree(text, value, add_stamp, now);
}

char *text_take(struct text *text)
{
	char *ptr = NULL;
	if (reserve(text, 1)) {
		ptr = text->ptr;
		ptr[text->len] = '\0';
		text->ptr = NULL;
	}
	free(text->ptr);
	*text = (struct text){ 0 };
	return ptr;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "json_read.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int read_wrong(const struct reading *in, const char *key, const char *format, ...)
{
	char text[400];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(in->why, in->why_size, "bridges.%s%s%s%s%s: %s", in->bridge, *in->where ? "." : "",
	        in->where, *key ? "." : "", key, text);
	return -EINVAL;
}

int read_text(const struct reading *in, json_t *object, const char *key, size_t most, char **ret)
{
	json_t *value = json_object_get(object, key);
	if (!value)
		return 0;
	size_t n = json_string_length(value);
	const char *text = json_string_value(value);
	if (!text || n == 0 || n > most || strlen(text) != n)
		return read_wrong(in, key, "must be text of 1 to %zu bytes", most);
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

int read_bool(const struct reading *in, json_t *object, const char *key, bool *ret)
{
	json_t *value = json_object_get(object, key);
	if (value && !json_is_boolean(value))
		return read_wrong(in, key, "must be true or false");
	if (value)
		*ret = json_is_true(value);
	return 0;
}

const struct unit read_durations[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 },
	{ "d", 86400000 }, { NULL, 0 } };
const struct unit read_sizes[] = { { "", 1 }, { "k", 1024 }, { "M", 1048576 }, { "G", 1073741824 },
	{ NULL, 0 } };
const struct unit read_plain[] = { { NULL, 0 } };

static bool number_of(json_t *value, const struct unit *units, uint64_t *ret)
{
	if (json_is_integer(value)) {
		*ret = (uint64_t)json_integer_value(value);
		return json_integer_value(value) >= 0;
	}
	const char *text = json_string_value(value);
	char *end;
	if (!text || !isdigit((unsigned char)*text))
		return false;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	for (; units->name; units++)
		if (strcmp(end, units->name) == 0 && !errno && number <= UINT64_MAX / units->factor) {
			*ret = number * units->factor;
			return true;
		}
	return false;
}

int read_number(const struct reading *in, json_t *object, const char *key, const struct unit *units,
        const struct range *range, uint64_t *ret)
{
	json_t *value = json_object_get(object, key);
	uint64_t number;
	if (!value)
		return 0;
	if (!number_of(value, units, &number) || number < range->min || number > range->max)
		return read_wrong(in, key, "must be %s", range->text);
	*ret = number;
	return 0;
}

/* The place of a word in a list that ends with NULL; `ret` stays when the key is absent. */
int read_choice(
        const struct reading *in, json_t *object, const char *key, const char *const *words, unsigned *ret)
{
	json_t *value = json_object_get(object, key);
	char list[100] = "";
	if (!value)
		return 0;
	for (unsigned i = 0; words[i]; i++) {
		if (json_string_value(value) && strcmp(json_string_value(value), words[i]) == 0) {
			*ret = i;
			return 0;
		}
		size_t n = strlen(list);
		snprintf(list + n, sizeof(list) - n, "%s\"%s\"", i ? ", " : "", words[i]);
	}
	return read_wrong(in, key, "must be one of %s", list);
}

int read_keys(const struct reading *in, json_t *object, const char *const *known)
{
	const char *key;
	json_t *value;
	json_object_foreach(object, key, value)
	{
		size_t i = 0;
		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (strcmp(key, "insecure") == 0)
			return read_wrong(in, "insecure",
			        "the other side's certificate is always verified; name its CA in \"ca\"");
		if (!known[i])
			return read_wrong(in, key, "there is no such key");
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"

struct unit {
	const char *name;
	int64_t factor;
};

/* Each ends with the smallest unit, which divides everything. */
static const struct unit durations[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 },
	{ "ms", 1 } };
static const struct unit sizes[] = { { "G", 1 << 30 }, { "M", 1 << 20 }, { "k", 1 << 10 }, { "", 1 },
	{ "K", 1 << 10 } };
#define SIZES_WRITTEN 4 /* "K" is only read */

static int parse(const char *text, const struct unit *units, size_t count, int64_t *ret)
{
	int64_t value = 0;
	const char *c = text;
	for (; *c >= '0' && *c <= '9'; c++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		        __builtin_add_overflow(value, *c - '0', &value))
			return -EINVAL;
	if (c == text)
		return -EINVAL;
	for (size_t i = 0; i < count; i++)
		if (strcmp(c, units[i].name) == 0) {
			if (__builtin_mul_overflow(value, units[i].factor, &value))
				return -EINVAL;
			*ret = value;
			return 0;
		}
	return -EINVAL;
}

int units_parse_duration(const char *text, int64_t *ret)
{
	return parse(text, durations, ARRAY_LEN(durations), ret);
}

int units_parse_size(const char *text, int64_t *ret)
{
	return parse(text, sizes, ARRAY_LEN(sizes), ret);
}

static struct units_text format(int64_t value, const struct unit *units, size_t count)
{
	struct units_text ret;
	size_t i = value > 0 ? 0 : count - 1;
	while (value % units[i].factor != 0)
		i++;
	snprintf(ret.text, sizeof(ret.text), "%" PRId64 "%s", value / units[i].factor, units[i].name);
	return ret;
}

struct units_text units_duration(int64_t ms)
{
	return format(ms, durations, ARRAY_LEN(durations));
}

struct units_text units_size(int64_t bytes)
{
	return format(bytes, sizes, SIZES_WRITTEN);
}

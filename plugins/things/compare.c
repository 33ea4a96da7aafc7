/* SPDX-License-Identifier: Apache-2.0 */
#include "compare.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "variable.h"

static const struct operator operators[] = {
	{ "StringEquals", COMPARE_TEXT, false },
	{ "StringNotEquals", COMPARE_TEXT, true },
	{ "StringEqualsIgnoreCase", COMPARE_TEXT_ANY_CASE, false },
	{ "StringNotEqualsIgnoreCase", COMPARE_TEXT_ANY_CASE, true },
	{ "StringLike", COMPARE_LIKE, false },
	{ "StringNotLike", COMPARE_LIKE, true },
	{ "Bool", COMPARE_BOOL, false },
	{ "Null", COMPARE_NULL, false },
	{ "IpAddress", COMPARE_IP, false },
	{ "NotIpAddress", COMPARE_IP, true },
	{ "NumericEquals", COMPARE_NUMBER_EQUAL, false },
	{ "NumericNotEquals", COMPARE_NUMBER_EQUAL, true },
	{ "NumericLessThan", COMPARE_NUMBER_LESS, false },
	{ "NumericLessThanEquals", COMPARE_NUMBER_LESS_EQUAL, false },
	{ "NumericGreaterThan", COMPARE_NUMBER_GREATER, false },
	{ "NumericGreaterThanEquals", COMPARE_NUMBER_GREATER_EQUAL, false },
	{ "DateEquals", COMPARE_TIME_EQUAL, false },
	{ "DateNotEquals", COMPARE_TIME_EQUAL, true },
	{ "DateLessThan", COMPARE_TIME_LESS, false },
	{ "DateLessThanEquals", COMPARE_TIME_LESS_EQUAL, false },
	{ "DateGreaterThan", COMPARE_TIME_GREATER, false },
	{ "DateGreaterThanEquals", COMPARE_TIME_GREATER_EQUAL, false },
};

const struct operator* operator_find(struct edged_slice name)
{
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
		if (text_same(name, edged_str(operators[i].name)))
			return &operators[i];
	return NULL;
}

/* --- addresses -------------------------------------------------------------------------------------------------- */

bool network_read(struct edged_slice text, struct network *ret)
{
	char address[INET6_ADDRSTRLEN + 8];
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const char *slash = memchr(text.ptr, '/', text.len);
	size_t n = slash ? (size_t)(slash - text.ptr) : text.len;
	*ret = (struct network){ .bits = 128 };
	if (n == 0 || n >= sizeof(address))
		return false;
	memcpy(address, text.ptr, n);
	address[n] = '\0';
	bool v4 = inet_pton(AF_INET, address, ret->bytes + 12) == 1;
	if (v4)
		memcpy(ret->bytes, mapped, sizeof(mapped));
	else if (inet_pton(AF_INET6, address, ret->bytes) != 1)
		return false;
	if (!slash)
		return true;
	unsigned bits = 0;
	if (n + 1 == text.len || text.len - n > 4)
		return false;
	for (size_t i = n + 1; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		bits = bits * 10 + (unsigned)(text.ptr[i] - '0');
	}
	ret->bits = v4 ? bits + 96 : bits;
	return ret->bits <= 128;
}

bool network_has(const struct network *network, const struct network *address)
{
	unsigned whole = network->bits / 8, rest = network->bits % 8;
	if (memcmp(network->bytes, address->bytes, whole) != 0)
		return false;
	return rest == 0 || (network->bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

/* --- numbers and times ------------------------------------------------------------------------------------------ */

bool number_read(struct edged_slice text, double *ret)
{
	char copy[64], *end;
	if (text.len == 0 || text.len >= sizeof(copy) || !strchr("+-.0123456789", text.ptr[0]))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	*ret = strtod(copy, &end);
	return *end == '\0' && end == copy + text.len && isfinite(*ret);
}

/* What follows the seconds: nothing or "Z", or "+01:00". */
static bool read_zone(const char *text, int64_t *ret)
{
	int hours, minutes, n = 0;
	*ret = 0;
	if (strcmp(text, "Z") == 0 || text[0] == '\0')
		return true;
	if (strchr("+-", text[0]) == NULL || sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &n) != 2 ||
	        text[1 + n] || hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
		return false;
	*ret = (hours * 60 + minutes) * (text[0] == '-' ? -60 : 60);
	return true;
}

bool time_read(struct edged_slice text, int64_t *ret)
{
	char copy[48];
	struct tm tm = { 0 };
	double number;
	int n = 0;
	int64_t zone = 0;
	if (number_read(text, &number)) {
		*ret = (int64_t)number;
		return fabs(number) < 1e15;
	}
	if (text.len < 10 || text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (sscanf(copy, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &n) != 3 || n != 10)
		return false;
	if (copy[10] == 'T') {
		n = 0;
		if (sscanf(copy + 11, "%2d:%2d:%2d%n", &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &n) != 3 ||
		        n != 8)
			return false;
		const char *rest = copy + 19;
		if (rest[0] == '.')
			rest += 1 + strspn(rest + 1, "0123456789");
		if (!read_zone(rest, &zone))
			return false;
	} else if (copy[10]) {
		return false;
	}
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0 ||
	        tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*ret = (int64_t)timegm(&tm) - zone;
	return true;
}

bool compare_numbers(enum compare compare, double a, double b)
{
	switch (compare) {
	case COMPARE_NUMBER_EQUAL:
	case COMPARE_TIME_EQUAL:
		return a >= b && a <= b;
	case COMPARE_NUMBER_LESS:
	case COMPARE_TIME_LESS:
		return a < b;
	case COMPARE_NUMBER_LESS_EQUAL:
	case COMPARE_TIME_LESS_EQUAL:
		return a <= b;
	case COMPARE_NUMBER_GREATER:
	case COMPARE_TIME_GREATER:
		return a > b;
	case COMPARE_NUMBER_GREATER_EQUAL:
	case COMPARE_TIME_GREATER_EQUAL:
		return a >= b;
	case COMPARE_TEXT:
	case COMPARE_TEXT_ANY_CASE:
	case COMPARE_LIKE:
	case COMPARE_BOOL:
	case COMPARE_NULL:
	case COMPARE_IP:
		break;
	}
	return false;
}

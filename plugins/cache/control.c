/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <strings.h>
#include <time.h>

/* --- fields --- */

static bool same(struct edged_slice a, const char *name)
{
	return a.len == strlen(name) && strncasecmp(a.ptr, name, a.len) == 0;
}

bool field_is(const struct edged_http_field *field, const char *name)
{
	return same(field->name, name);
}

struct edged_slice field_value(const struct edged_http_field *fields, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (field_is(&fields[i], name))
			return edged_slice(
			        fields[i].value.ptr ? fields[i].value.ptr : "", fields[i].value.len);
	return edged_slice(NULL, 0);
}

/* Of optional white space (RFC 9110 section 5.6.3). */
static struct edged_slice trim(struct edged_slice text)
{
	return edged_slice_trim(text, " \t");
}

/* Where the item ends: at a comma that is in no quoted string. */
static size_t item_length(struct edged_slice text)
{
	bool quoted = false;
	size_t at = 0;
	for (; at < text.len && (quoted || text.ptr[at] != ','); at++)
		if (text.ptr[at] == '"')
			quoted = !quoted;
		else if (quoted && text.ptr[at] == '\\' && at + 1 < text.len)
			at++;
	return at;
}

bool items_next(struct edged_slice *left, struct edged_slice *ret)
{
	while (left->len) {
		size_t n = item_length(*left), past = n < left->len ? n + 1 : n;
		*ret = trim(edged_slice(left->ptr, n));
		*left = edged_slice(left->ptr + past, left->len - past);
		if (ret->len)
			return true;
	}
	return false;
}

static struct edged_slice opaque_tag(struct edged_slice tag)
{
	return edged_slice_starts(tag, "W/") ? edged_slice(tag.ptr + 2, tag.len - 2) : tag;
}

bool tags_hold(const struct edged_http_field *fields, size_t count, const char *name, struct edged_slice tag)
{
	for (size_t i = 0; i < count; i++) {
		struct edged_slice left = fields[i].value, item;
		while (field_is(&fields[i], name) && items_next(&left, &item))
			if (edged_slice_is(item, "*") ||
			        (tag.len && edged_slice_eq(opaque_tag(item), opaque_tag(tag))))
				return true;
	}
	return false;
}

/* --- Cache-Control --- */

/* A number may stand in quotes, though nobody should write it that way (RFC 9111 section 5.2). */
static int64_t read_seconds(struct edged_slice text)
{
	int64_t seconds = 0;
	if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
		text = edged_slice(text.ptr + 1, text.len - 2);
	if (!text.len)
		return CONTROL_BAD;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return CONTROL_BAD;
		if (seconds < CONTROL_MOST)
			seconds = seconds * 10 + (text.ptr[i] - '0');
	}
	return seconds < CONTROL_MOST ? seconds : CONTROL_MOST;
}

static void take_number(struct control *c, struct edged_slice name, struct edged_slice value)
{
	const struct {
		const char *name;
		int64_t *seconds;
	} numbers[] = { { "max-age", &c->max_age }, { "s-maxage", &c->s_maxage },
		{ "min-fresh", &c->min_fresh }, { "max-stale", &c->max_stale },
		{ "stale-if-error", &c->stale_if_error } };
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (same(name, numbers[i].name) && *numbers[i].seconds == CONTROL_NONE)
			*numbers[i].seconds = read_seconds(value);
}

static void take_flag(struct control *c, struct edged_slice name)
{
	const struct {
		const char *name;
		bool *flag;
	} flags[] = { { "no-store", &c->no_store }, { "no-cache", &c->no_cache },
		{ "private", &c->is_private }, { "public", &c->is_public },
		{ "must-revalidate", &c->must_revalidate }, { "proxy-revalidate", &c->proxy_revalidate },
		{ "only-if-cached", &c->only_if_cached } };
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (same(name, flags[i].name))
			*flags[i].flag = true;
}

static void take_directives(struct control *c, struct edged_slice left)
{
	struct edged_slice item;
	while (items_next(&left, &item)) {
		const char *equals = memchr(item.ptr, '=', item.len);
		size_t n = equals ? (size_t)(equals - item.ptr) : item.len;
		struct edged_slice name = trim(edged_slice(item.ptr, n));
		struct edged_slice value =
		        equals ? trim(edged_slice(equals + 1, item.len - n - 1)) : edged_slice(NULL, 0);
		take_flag(c, name);
		if (!equals && same(name, "max-stale"))
			c->any_stale |= c->max_stale == CONTROL_NONE;
		else
			take_number(c, name, value);
	}
}

static struct control nothing(void)
{
	return (struct control){ .max_age = CONTROL_NONE,
		.s_maxage = CONTROL_NONE,
		.min_fresh = CONTROL_NONE,
		.max_stale = CONTROL_NONE,
		.stale_if_error = CONTROL_NONE };
}

struct control control_parse(struct edged_slice value)
{
	struct control c = nothing();
	take_directives(&c, value);
	return c;
}

struct control control_of(const struct edged_http_field *fields, size_t count)
{
	struct control c = nothing();
	bool said = false, pragma = false;
	for (size_t i = 0; i < count; i++) {
		struct edged_slice left = fields[i].value, item;
		if (field_is(&fields[i], "cache-control")) {
			take_directives(&c, left);
			said = true;
		}
		while (field_is(&fields[i], "pragma") && items_next(&left, &item))
			pragma |= same(item, "no-cache");
	}
	c.no_cache |= pragma && !said;
	return c;
}

/* --- dates --- */

static int month_of(const char *name)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	for (int i = 0; i < 12; i++)
		if (memcmp(names + 3 * i, name, 3) == 0)
			return i;
	return -1;
}

/* A year of two digits is at most 50 years ahead. */
static int century_of(int year)
{
	time_t now = time(NULL);
	struct tm tm;
	int today = gmtime_r(&now, &tm) ? tm.tm_year + 1900 : 2000;
	year += today - today % 100;
	return year > today + 50 ? year - 100 : year;
}

/* The next n digits; -1: there are none. A blank may be in the place of the first. */
static int take_digits(struct edged_slice *left, size_t n, bool blank)
{
	int number = 0;
	if (left->len < n)
		return -1;
	for (size_t i = 0; i < n; i++) {
		char c = left->ptr[i];
		if (i == 0 && blank && c == ' ')
			continue;
		if (c < '0' || c > '9')
			return -1;
		number = number * 10 + (c - '0');
	}
	*left = edged_slice(left->ptr + n, left->len - n);
	return number;
}

static bool skip_letters(struct edged_slice *left)
{
	size_t n = 0;
	while (n < left->len && ((left->ptr[n] >= 'a' && left->ptr[n] <= 'z') ||
	                                (left->ptr[n] >= 'A' && left->ptr[n] <= 'Z')))
		n++;
	*left = edged_slice(left->ptr + n, left->len - n);
	return n > 0;
}

static bool take_month(struct edged_slice *left, int *ret)
{
	*ret = left->len >= 3 ? month_of(left->ptr) : -1;
	if (*ret >= 0)
		*left = edged_slice(left->ptr + 3, left->len - 3);
	return *ret >= 0;
}

/* w: letters of a weekday, d: day, _: day with a blank, B: month, Y and y: year of four and of two digits, h, m, s: time; all
 * else stands for itself. */
static bool read_date(struct edged_slice left, const char *pattern, struct tm *ret)
{
	bool ok = true;
	for (; *pattern && ok; pattern++) {
		int *number = NULL;
		switch (*pattern) {
		case 'w':
			ok = skip_letters(&left);
			break;
		case 'B':
			ok = take_month(&left, &ret->tm_mon);
			break;
		case 'd':
		case '_':
			number = &ret->tm_mday;
			break;
		case 'Y':
		case 'y':
			number = &ret->tm_year;
			break;
		case 'h':
			number = &ret->tm_hour;
			break;
		case 'm':
			number = &ret->tm_min;
			break;
		case 's':
			number = &ret->tm_sec;
			break;
		default:
			ok = left.len && left.ptr[0] == *pattern;
			if (ok)
				left = edged_slice(left.ptr + 1, left.len - 1);
		}
		if (number)
			ok = (*number = take_digits(&left, *pattern == 'Y' ? 4 : 2, *pattern == '_')) >= 0;
	}
	return ok && !left.len;
}

static bool in_range(const struct tm *tm)
{
	return tm->tm_mday >= 1 && tm->tm_mday <= 31 && tm->tm_hour <= 23 && tm->tm_min <= 59 &&
	       tm->tm_sec <= 60 && tm->tm_year >= 1970;
}

int64_t date_parse(struct edged_slice text)
{
	static const char *const forms[] = { "w, d B Y h:m:s GMT", "w, d-B-y h:m:s GMT", "w B _ h:m:s Y" };
	if (!text.ptr)
		return -1;
	text = trim(text);
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = { 0 };
		if (!read_date(text, forms[i], &tm))
			continue;
		if (strchr(forms[i], 'y'))
			tm.tm_year = century_of(tm.tm_year);
		if (!in_range(&tm))
			return -1;
		tm.tm_year -= 1900;
		return (int64_t)timegm(&tm);
	}
	return -1;
}

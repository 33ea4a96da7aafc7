/* SPDX-License-Identifier: Apache-2.0 */
#include "query.h"

#include <strings.h>

bool query_number(struct edged_slice text, size_t most, size_t def, size_t *ret)
{
	size_t n = 0;
	*ret = def;
	if (!text.ptr)
		return true;
	for (size_t i = 0; i < text.len && n <= most; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		n = n * 10 + (size_t)(text.ptr[i] - '0');
	}
	*ret = n;
	return n >= 1 && n <= most;
}

bool query_match(struct edged_slice text, int64_t any, int64_t none, int64_t *ret)
{
	size_t version;
	*ret = text.ptr ? any : none;
	if (!text.ptr || edged_slice_is(text, "*"))
		return true;
	if (text.len < 3 || text.ptr[0] != '"' || text.ptr[text.len - 1] != '"' ||
	        !query_number(edged_slice(text.ptr + 1, text.len - 2), INT64_MAX / 16, 0, &version))
		return false;
	*ret = (int64_t)version;
	return true;
}

bool query_is_patch(struct edged_slice type)
{
	static const char *const types[] = { "application/merge-patch+json", "application/json" };
	const char *end = type.len ? memchr(type.ptr, ';', type.len) : NULL;
	size_t n = end ? (size_t)(end - type.ptr) : type.len;
	while (n && type.ptr[n - 1] == ' ')
		n--;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strlen(types[i]) == n && strncasecmp(type.ptr, types[i], n) == 0)
			return true;
	return false;
}

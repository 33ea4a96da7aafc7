/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "text.h"

json_t *text_json(struct edged_slice text)
{
	return json_stringn(text.ptr ? text.ptr : "", text.len);
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

json_t *base64_json(struct edged_slice bytes)
{
	const uint8_t *in = (const uint8_t *)bytes.ptr;
	size_t n = (bytes.len + 2) / 3 * 4, at = 0;
	char *out = malloc(n + 1);
	if (!out)
		return NULL;
	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t left = bytes.len - i;
		uint32_t v = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
		             (left > 2 ? in[i + 2] : 0);
		out[at++] = digits[v >> 18];
		out[at++] = digits[v >> 12 & 63];
		out[at++] = left > 1 ? digits[v >> 6 & 63] : '=';
		out[at++] = left > 2 ? digits[v & 63] : '=';
	}
	json_t *json = json_stringn_nocheck(out, n);
	free(out);
	return json;
}

int base64_decode(struct edged_slice text, uint8_t **ret, size_t *ret_len)
{
	while (text.len && text.ptr[text.len - 1] == '=')
		text.len--;
	uint8_t *out = malloc(text.len * 3 / 4 + 1);
	if (!out)
		return -ENOMEM;
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		const char *digit = text.ptr[i] ? strchr(digits, text.ptr[i]) : NULL;
		if (!digit) {
			free(out);
			return -EINVAL;
		}
		bits = bits << 6 | (uint32_t)(digit - digits);
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (uint8_t)(bits >> have);
		}
	}
	*ret = out;
	*ret_len = n;
	return 0;
}

int number_parse(struct edged_slice text, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	if (text.len == 0 || text.len > 18)
		return -EINVAL;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return -EINVAL;
		v = v * 10 + (uint64_t)(text.ptr[i] - '0');
	}
	if (v > max)
		return -EINVAL;
	*ret = v;
	return 0;
}

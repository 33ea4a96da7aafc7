/* SPDX-License-Identifier: Apache-2.0 */
#include "seconds.h"

enum { WHOLE_MAX = 7, DECIMALS_MAX = 3 };

/* Takes digits off the front; how many there were. */
static size_t take_digits(struct edged_slice *text, size_t most, uint64_t *number)
{
	size_t n = 0;
	for (; n < most && n < text->len && text->ptr[n] >= '0' && text->ptr[n] <= '9'; n++)
		*number = *number * 10 + (uint64_t)(text->ptr[n] - '0');
	*text = edged_slice(text->ptr + n, text->len - n);
	return n;
}

bool seconds_parse(struct edged_slice text, uint64_t *ret_ms)
{
	uint64_t number = 0;
	size_t decimals = 0;
	if (take_digits(&text, WHOLE_MAX, &number) == 0)
		return false;
	if (edged_slice_starts(text, ".")) {
		text = edged_slice(text.ptr + 1, text.len - 1);
		decimals = take_digits(&text, DECIMALS_MAX, &number);
		if (decimals == 0)
			return false;
	}
	for (; decimals < DECIMALS_MAX; decimals++)
		number *= 10;
	*ret_ms = number;
	return text.len == 0;
}

/* layers: base core cluster */
/* SPDX-License-Identifier: Apache-2.0 */
/* Join tokens: whatever is read can be written again and is then the same. */
#include <stdlib.h>
#include <string.h>

#include "cluster/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct edged_slice text)
{
	struct join_token token, again;
	struct err err;
	CLEANUP(buf_fini) struct buf back = BUF_EMPTY;
	if (token_read(text, &token, &err))
		return;
	if (token_write(&token, &back) || token_read(buf_slice(&back), &again, &err) ||
	        memcmp(&token, &again, sizeof(token)) != 0)
		abort();
}

/* The check sum would keep nearly all input out: the bytes are also wrapped up as a token of their own. */
static void check_wrapped(struct edged_slice bytes)
{
	CLEANUP(buf_fini) struct buf all = BUF_EMPTY, text = BUF_EMPTY;
	uint32_t sum = 2166136261u;
	for (size_t i = 0; i < bytes.len; i++)
		sum = (sum ^ (uint8_t)bytes.ptr[i]) * 16777619u;
	const uint8_t tail[] = { (uint8_t)(sum >> 24), (uint8_t)(sum >> 16), (uint8_t)(sum >> 8),
		(uint8_t)sum };
	if (buf_add(&all, bytes.ptr, bytes.len) == 0 && buf_add(&all, tail, sizeof(tail)) == 0 &&
	        buf_add_str(&text, "edged1.") == 0 && base64_write(buf_slice(&all), &text) == 0)
		check(buf_slice(&text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(edged_slice(data, size));
	check_wrapped(edged_slice(data, size));
	return 0;
}

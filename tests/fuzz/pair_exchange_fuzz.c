/* layers: base core cluster */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a stranger may send to either side of a pairing: frames in any order, cut anywhere. Nothing but what knows the code
 * proves anything. */
#include <stdlib.h>

#include "cluster/pair_exchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct pair_binding session = { "node-a", "node-b", { 1 } };

static void feed(bool shown, struct edged_slice bytes)
{
	struct pair_exchange exchange;
	struct buf out = BUF_EMPTY;
	struct pair_frame frame;
	ssize_t n;
	if (pair_exchange_init(&exchange, shown, "07940701", &session, &out))
		abort();
	while ((n = pair_frame_read(bytes, &frame)) > 0) {
		int r = pair_exchange_take(&exchange, &frame, &out);
		if (r == PAIR_PROVEN)
			abort();
		if (r)
			break;
		bytes = edged_slice(bytes.ptr + n, bytes.len - (size_t)n);
	}
	pair_exchange_fini(&exchange);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char code[PAIR_CODE + 1];
	struct err err;
	feed(false, edged_slice(data, size));
	feed(true, edged_slice(data, size));
	(void)!pair_code_read(edged_slice(data, size), code, &err);
	return 0;
}

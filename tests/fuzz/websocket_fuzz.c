/* layers: io core base */
/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket frames as a client may send them: whole, and cut where the first byte says. */
#include <stdlib.h>
#include <string.h>
#include "io/stream_out.h"
#include "io/stream_websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void turn_end(struct deferred *deferred)
{
	(void)deferred;
}

static struct loops *loops;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || (!loops && loops_new(1, &loops)))
		return 0;
	struct edged_stream s = { .fd = -1, .state = STREAM_OPEN, .high = 65536, .loop = loops_at(loops, 0) };
	deferred_init(&s.turn_end, turn_end);
	if (websocket_new(&s.websocket))
		return 0;
	size_t step = data[0] ? data[0] : size;
	int r = 0;
	for (size_t i = 1, n; !r && i < size; i += n) {
		n = step < size - i ? step : size - i;
		uint8_t *copy = malloc(n);
		size_t got = 0;
		memcpy(copy, data + i, n);
		r = websocket_decode(&s, copy, n, &got);
		if (got > n)
			abort();
		free(copy);
	}
	deferred_cancel(&s.turn_end);
	websocket_free(s.websocket);
	stream_drop_queue(&s);
	return 0;
}

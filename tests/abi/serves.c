/* SPDX-License-Identifier: Apache-2.0 */
/* Serves streams of a protocol. */
#include "edged/cap_stream.h"

struct probe;
static int serve_streams(struct probe *probe);
#define NAME          "serves"
#define NEEDS         "edged.stream/1"
#define CREATE(probe) serve_streams(probe)
#include "probe.h"

static const struct edged_stream_handler handler = { .struct_size = sizeof(handler) };

static int serve_streams(struct probe *probe)
{
	const struct edged_stream_1 *stream = edged_cap(probe->host, EDGED_STREAM_1);
	return stream->serve(probe->host, "test", &handler, probe);
}

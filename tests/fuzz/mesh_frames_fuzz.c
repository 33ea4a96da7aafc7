/* layers: plugins/mesh base */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What another node may say: every frame is read within its bytes; a message that was understood is written again and is then
 * the same; a list of filters and the digest that follows from it are the same in whatever order they were told.
 */
#include <stdlib.h>
#include "../../plugins/mesh/frames.h"
#include "../../plugins/mesh/interest.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_message(struct edged_slice body)
{
	struct mesh_message m, again;
	if (!read_mesh_message(body, &m))
		return;
	MUST(MESSAGE_FIXED - (m.share ? 0 : 4) + m.topic.len + m.props.len + m.payload.len == body.len);
	size_t n = FRAME_HEAD + body.len;
	uint8_t *bytes = malloc(n);
	MUST(bytes);
	struct writer w = writer(bytes, n);
	write_mesh_message_head(&w, &m);
	const struct edged_slice parts[] = { m.topic, m.props, m.payload };
	for (size_t i = 0; i < 3; i++)
		if (parts[i].len)
			write_bytes(&w, parts[i].ptr, parts[i].len);
	struct mesh_frame f;
	MUST(!w.failed && w.at == w.end);
	MUST(mesh_frame_read(bytes, n, body.len, &f) == 0 && f.type == FRAME_MESSAGE);
	MUST(edged_slice_eq(f.body, body) && read_mesh_message(f.body, &again));
	free(bytes);
}

static void check_filters(struct edged_slice body)
{
	static struct told one, other;
	struct reader r = reader(body.ptr, body.len);
	struct edged_slice filter;
	uint8_t level;
	while (read_filter(&r, &filter, &level))
		if (told_set(&one, filter, level))
			break;
	for (uint32_t i = one.count; i-- > 0;)
		MUST(told_set(&other, edged_str(one.filters[i]), one.levels[i]) == 0);
	MUST(one.count == other.count && one.digest == other.digest);
	told_fini(&one);
	told_fini(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mesh_frame f;
	struct mesh_hello hello;
	struct mesh_complete complete;
	struct mesh_ack ack;
	uint64_t digest[DIGEST_PARTS];
	while (mesh_frame_read(data, size, 65536, &f) == 0) {
		MUST(f.size <= size);
		(void)read_mesh_hello(f.body, &hello);
		(void)read_mesh_complete(f.body, &complete);
		(void)read_mesh_ack(f.body, &ack);
		(void)read_mesh_digest(f.body, digest);
		(void)read_mesh_ping(f.body, &digest[0]);
		check_message(f.body);
		check_filters(f.body);
		data += f.size;
		size -= f.size;
	}
	return 0;
}

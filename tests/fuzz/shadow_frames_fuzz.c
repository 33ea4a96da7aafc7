/* layers: plugins/shadow base */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the shadow plugin of another node may say: a frame that was understood is written again and is then the same; rows are read
 * within their bytes; what is stored says of itself what is in it, and united twice with the same it is what it was after the first time.
 */
#include <stdlib.h>
#include "../../plugins/shadow/document.h"
#include "../../plugins/shadow/frames.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_frame(struct edged_slice bytes)
{
	struct frame frame, again;
	if (!frame_read(bytes, &frame))
		return;
	size_t room = frame_size(&frame);
	uint8_t *copy = malloc(room);
	MUST(copy);
	size_t n = frame_write(&frame, copy, room);
	MUST(n > 0 && n <= room);
	MUST(frame_read(edged_slice(copy, n), &again));
	MUST(again.type == frame.type && again.id == frame.id && again.code == frame.code);
	MUST(edged_slice_eq(again.body, frame.body) && edged_slice_eq(again.home, frame.home));
	MUST(strcmp(again.name.thing, frame.name.thing) == 0 &&
	        strcmp(again.name.name, frame.name.name) == 0);
	free(copy);
}

static void check_rows(struct edged_slice bytes)
{
	struct reader r = reader(bytes.ptr, bytes.len);
	struct shadow_name name;
	struct claim claim;
	while (row_read(&r, &name, &claim))
		MUST(*name.thing && claim.version > 0);
	r = reader(bytes.ptr, bytes.len);
	while (want_read(&r, &name))
		MUST(*name.thing);
}

static void check_document(struct edged_slice text)
{
	struct document document, other;
	struct printed before = { 0 };
	struct claim claim;
	bool changed;
	(void)document_peek(text, &claim);
	if (document_parse(&other, text))
		return;
	char *printed = document_print(&other);
	MUST(printed);
	MUST(document_peek(edged_str(printed), &claim) && claim.version == other.now.version &&
	        claim.exists == other.now.exists);
	free(printed);
	MUST(document_init(&document) == 0);
	for (int i = 0; i < 3; i++) {
		MUST(document_unite(&document, &other, &before, &changed) == 0);
		MUST(i < 2 || !changed);
		printed_fini(&before);
	}
	document_fini(&document);
	document_fini(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct edged_slice bytes = edged_slice(data, size);
	check_frame(bytes);
	check_rows(bytes);
	check_document(bytes);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "frames.h"

#include <string.h>

enum { HELLO_WANTS = 1, HELLO_BEGINS = 2 };
enum { NUMBERS = 64 }; /* more than all members but the slices and the name take */

bool claim_better(const struct claim *a, const char *a_node, const struct claim *b, const char *b_node)
{
	if (a->moves != b->moves)
		return a->moves > b->moves;
	if (a->made != b->made)
		return a->made < b->made;
	return strcmp(a_node, b_node) < 0;
}

/* --- rows ---------------------------------------------------------------------------------------------------------------- */

void want_write(struct writer *w, const struct shadow_name *name)
{
	char key[SHADOW_KEY_MAX];
	write_binary(w, *name->thing ? shadow_key(key, name) : edged_slice(NULL, 0));
}

/* Also the empty name. */
static bool name_read(struct reader *r, struct shadow_name *ret)
{
	struct edged_slice key = read_binary(r);
	*ret = (struct shadow_name){ 0 };
	if (!r->failed && key.len && !shadow_key_parse(key, ret))
		r->failed = true;
	return !r->failed;
}

bool want_read(struct reader *r, struct shadow_name *ret)
{
	return !r->failed && read_left(r) > 0 && name_read(r, ret) && *ret->thing;
}

void row_write(struct writer *w, const struct shadow_name *name, const struct claim *claim)
{
	want_write(w, name);
	write_u64(w, (uint64_t)claim->version);
	write_u64(w, (uint64_t)claim->made);
	write_u32(w, claim->moves);
	write_u8(w, claim->exists);
}

bool row_read(struct reader *r, struct shadow_name *ret_name, struct claim *ret_claim)
{
	if (!want_read(r, ret_name))
		return false;
	ret_claim->version = (int64_t)read_u64(r);
	ret_claim->made = (int64_t)read_u64(r);
	ret_claim->moves = read_u32(r);
	ret_claim->exists = read_u8(r) == 1;
	return !r->failed && ret_claim->version > 0;
}

/* --- frames -------------------------------------------------------------------------------------------------------------- */

size_t frame_size(const struct frame *f)
{
	return NUMBERS + ROW_MAX + f->home.len + f->text.len + f->body.len;
}

static void write_request(struct writer *w, const struct frame *f)
{
	write_u32(w, f->id);
	write_u8(w, f->verb);
	write_u8(w, f->flags);
	write_u64(w, (uint64_t)f->number);
	want_write(w, &f->name);
}

static void write_answer(struct writer *w, const struct frame *f)
{
	write_u32(w, f->id);
	write_u16(w, f->code);
	write_u64(w, (uint64_t)f->number);
	write_u64(w, (uint64_t)f->seconds);
	write_binary(w, f->text);
}

static void write_copy(struct writer *w, const struct frame *f)
{
	write_u32(w, f->id);
	want_write(w, &f->name);
	write_binary(w, f->home);
	write_u64(w, (uint64_t)f->seconds);
}

size_t frame_write(const struct frame *f, void *bytes, size_t n)
{
	struct writer w = writer(bytes, n);
	write_u8(&w, (uint8_t)f->type);
	switch (f->type) {
	case FRAME_HELLO:
		write_u8(&w, (uint8_t)((f->wants ? HELLO_WANTS : 0) | (f->begins ? HELLO_BEGINS : 0)));
		break;
	case FRAME_PAGE:
		write_u32(&w, f->id);
		write_u8(&w, f->last);
		break;
	case FRAME_SYNC:
		write_u32(&w, f->id);
		want_write(&w, &f->name);
		break;
	case FRAME_HAVE:
		row_write(&w, &f->name, &f->claim);
		break;
	case FRAME_COPY:
		write_copy(&w, f);
		break;
	case FRAME_REQUEST:
		write_request(&w, f);
		break;
	case FRAME_ANSWER:
		write_answer(&w, f);
		break;
	case FRAME_WANT:
		write_u32(&w, f->id);
		break;
	case FRAME_BEHIND:
	case FRAME_GOODBYE:
		break;
	}
	if (f->body.len)
		write_bytes(&w, f->body.ptr, f->body.len);
	return w.failed ? 0 : (size_t)(w.at - (uint8_t *)bytes);
}

static void read_hello(struct reader *r, struct frame *f)
{
	uint8_t flags = read_u8(r);
	f->wants = flags & HELLO_WANTS;
	f->begins = flags & HELLO_BEGINS;
}

static bool read_request(struct reader *r, struct frame *f)
{
	f->id = read_u32(r);
	f->verb = read_u8(r);
	f->flags = read_u8(r);
	f->number = (int64_t)read_u64(r);
	return name_read(r, &f->name) && *f->name.thing && f->verb <= SHADOW_MERGE;
}

static void read_answer(struct reader *r, struct frame *f)
{
	f->id = read_u32(r);
	f->code = read_u16(r);
	f->number = (int64_t)read_u64(r);
	f->seconds = (int64_t)read_u64(r);
	f->text = read_binary(r);
}

static bool read_copy(struct reader *r, struct frame *f)
{
	f->id = read_u32(r);
	bool named = name_read(r, &f->name) && *f->name.thing;
	f->home = read_binary(r);
	f->seconds = (int64_t)read_u64(r);
	return named;
}

bool frame_read(struct edged_slice bytes, struct frame *f)
{
	struct reader r = reader(bytes.ptr, bytes.len);
	bool known = true;
	*f = (struct frame){ .type = read_u8(&r) };
	switch (f->type) {
	case FRAME_HELLO:
		read_hello(&r, f);
		break;
	case FRAME_PAGE:
		f->id = read_u32(&r);
		f->last = read_u8(&r) == 1;
		break;
	case FRAME_SYNC:
		f->id = read_u32(&r);
		known = name_read(&r, &f->name);
		break;
	case FRAME_HAVE:
		known = row_read(&r, &f->name, &f->claim);
		break;
	case FRAME_COPY:
		known = read_copy(&r, f);
		break;
	case FRAME_REQUEST:
		known = read_request(&r, f);
		break;
	case FRAME_ANSWER:
		read_answer(&r, f);
		break;
	case FRAME_WANT:
		f->id = read_u32(&r);
		break;
	case FRAME_BEHIND:
	case FRAME_GOODBYE:
		break;
	default:
		return false;
	}
	f->body = read_bytes(&r, read_left(&r));
	return known && !r.failed;
}

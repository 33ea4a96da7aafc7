/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/pair_exchange.h"

#include <errno.h>
#include <string.h>

/* --- frames --- */

ssize_t pair_frame_read(struct edged_slice bytes, struct pair_frame *ret)
{
	const uint8_t *head = (const uint8_t *)bytes.ptr;
	if (bytes.len < PAIR_HEAD)
		return 0;
	size_t n = (size_t)head[1] << 8 | head[2];
	if (head[0] < PAIR_SHARE || head[0] > PAIR_REFUSED || n > PAIR_BODY_MAX)
		return -EPROTO;
	if (bytes.len - PAIR_HEAD < n)
		return 0;
	ret->type = (enum pair_type)head[0];
	ret->body = edged_slice(bytes.ptr + PAIR_HEAD, n);
	return (ssize_t)(PAIR_HEAD + n);
}

int pair_frame_write(struct buf *out, enum pair_type type, struct edged_slice body)
{
	const uint8_t head[PAIR_HEAD] = { (uint8_t)type, (uint8_t)(body.len >> 8), (uint8_t)body.len };
	if (body.len > PAIR_BODY_MAX)
		return -EMSGSIZE;
	int r = buf_add(out, head, sizeof(head));
	return r ? r : buf_add(out, body.ptr, body.len);
}

/* --- the exchange --- */

static int add_text(struct buf *out, const char *text)
{
	uint8_t length = (uint8_t)strlen(text);
	int r = buf_add(out, &length, 1);
	return r ? r : buf_add_str(out, text);
}

/* CPace's channel identifier: the protocol, then the initiator and the responder. */
static int write_channel(const struct pair_binding *binding, struct buf *out)
{
	int r = add_text(out, PAIR_PROTOCOL);
	if (!r)
		r = add_text(out, binding->typed_id);
	return r ? r : add_text(out, binding->shown_id);
}

static int make_share(struct pair_exchange *x, const char *code, const struct pair_binding *binding)
{
	CLEANUP(buf_fini) struct buf channel = BUF_EMPTY;
	uint8_t generator[CPACE_POINT];
	int r = write_channel(binding, &channel);
	const struct cpace_input input = { edged_slice(code, PAIR_CODE), buf_slice(&channel),
		edged_slice(x->session, PAIR_EXPORT) };
	if (!r)
		r = cpace_generator(&input, generator);
	if (!r)
		r = cpace_scalar(x->scalar);
	if (!r)
		r = cpace_share(x->scalar, generator, x->own);
	explicit_bzero(generator, sizeof(generator));
	return r;
}

static int send_share(const struct pair_exchange *x, struct buf *out)
{
	return pair_frame_write(out, PAIR_SHARE, edged_slice(x->own, CPACE_POINT));
}

int pair_exchange_init(struct pair_exchange *x, bool shown, const char *code,
        const struct pair_binding *binding, struct buf *out)
{
	memset(x, 0, sizeof(*x));
	x->shown = shown;
	x->wants = PAIR_SHARE;
	memcpy(x->session, binding->exported, PAIR_EXPORT);
	int r = make_share(x, code, binding);
	return r || shown ? r : send_share(x, out);
}

void pair_exchange_fini(struct pair_exchange *x)
{
	explicit_bzero(x, sizeof(*x));
}

/* Nothing is sent beside the share: who is who stands in the channel identifier. */
static struct cpace_sent sent_by(const struct pair_exchange *x, bool shown)
{
	return (struct cpace_sent){ shown == x->shown ? x->own : x->theirs, { NULL, 0 } };
}

static int make_tag(const struct pair_exchange *x, bool shown, uint8_t ret[CPACE_TAG])
{
	const struct cpace_sent sent = sent_by(x, shown);
	return cpace_tag(x->isk, edged_slice(x->session, PAIR_EXPORT), &sent, ret);
}

static int send_tag(const struct pair_exchange *x, struct buf *out)
{
	uint8_t tag[CPACE_TAG];
	int r = make_tag(x, x->shown, tag);
	return r ? r : pair_frame_write(out, PAIR_TAG, edged_slice(tag, CPACE_TAG));
}

static int take_share(struct pair_exchange *x, struct edged_slice share, struct buf *out)
{
	/* Our own share can only have been sent back. */
	if (share.len != CPACE_POINT || memcmp(share.ptr, x->own, CPACE_POINT) == 0)
		return -EINVAL;
	memcpy(x->theirs, share.ptr, CPACE_POINT);
	const struct cpace_sent typed = sent_by(x, false), shown = sent_by(x, true);
	int r = cpace_isk(x->scalar, x->theirs, edged_slice(x->session, PAIR_EXPORT), &typed, &shown, x->isk);
	if (r)
		return r;
	explicit_bzero(x->scalar, sizeof(x->scalar));
	x->wants = PAIR_TAG;
	return x->shown ? send_share(x, out) : send_tag(x, out);
}

static int take_tag(struct pair_exchange *x, struct edged_slice tag, struct buf *out)
{
	uint8_t right[CPACE_TAG];
	int r = make_tag(x, !x->shown, right);
	bool fits = !r && cpace_tag_fits(right, tag);
	explicit_bzero(right, sizeof(right));
	if (r || !fits)
		return r ? r : -EACCES;
	x->wants = PAIR_TOKEN;
	if (x->shown)
		r = send_tag(x, out);
	return r ? r : PAIR_PROVEN;
}

int pair_exchange_take(struct pair_exchange *x, const struct pair_frame *frame, struct buf *out)
{
	if (frame->type != x->wants)
		return -EPROTO;
	if (frame->type == PAIR_SHARE)
		return take_share(x, frame->body, out);
	return frame->type == PAIR_TAG ? take_tag(x, frame->body, out) : -EPROTO;
}

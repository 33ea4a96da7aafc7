/* SPDX-License-Identifier: Apache-2.0 */
/* What another node has: asked for page by page, and told of what changes. */
#include "pull.h"

#include <string.h>

#include "hand.h"

/* --- how old ------------------------------------------------------------------------------------------------------------- */

bool copy_is_current(const struct peers *peers, const struct other *other)
{
	return peers->keeper && other->version > 0 && peer_available(other->home) &&
	       other->home->peer->synced;
}

int64_t copy_age(const struct peers *peers, const struct other *other)
{
	int64_t then = other->copied, now = peers->deps.service.now();
	if (copy_is_current(peers, other))
		return 0;
	if (other->version > 0 && other->home->as_of > then)
		then = other->home->as_of;
	return now > then ? now - then : 0;
}

/* --- all of it ----------------------------------------------------------------------------------------------------------- */

static void drop_wants(struct peer *peer)
{
	free(peer->wants);
	peer->wants = NULL;
	peer->want_count = peer->want_next = 0;
}

void pull_end(struct peer *peer)
{
	if (peer->synced && peer->peers->keeper)
		others_as_of(peer->peers->deps.others, peer->home, peer->peers->deps.service.now());
	peer->synced = false;
	peer->round++;
	peer->waiting = 0;
	drop_wants(peer);
}

static void ask_page(struct peer *peer)
{
	(void)peer_say(peer, &(struct frame){ .type = FRAME_SYNC, .id = peer->round, .name = peer->after });
}

void pull_begin(struct peer *peer)
{
	pull_end(peer);
	if (!peer->greeted || !peer->there)
		return;
	others_round(peer->home);
	peer->after = (struct shadow_name){ 0 };
	ask_page(peer);
}

/* The copies that are wanted of a page have come: the next ones, the next page, or that was all. */
static void go_on(struct peer *peer)
{
	uint8_t keys[FRAME_WANTS * (2 + SHADOW_KEY_MAX)];
	struct writer w = writer(keys, sizeof(keys));
	for (peer->waiting = 0; peer->waiting < FRAME_WANTS && peer->want_next < peer->want_count;
	        peer->waiting++)
		want_write(&w, &peer->wants[peer->want_next++]);
	if (peer->waiting) {
		(void)peer_say(peer, &(struct frame){ .type = FRAME_WANT,
		                             .id = peer->round,
		                             .body = edged_slice(keys, (size_t)(w.at - keys)) });
		return;
	}
	drop_wants(peer);
	if (!peer->last) {
		ask_page(peer);
		return;
	}
	others_sweep(peer->peers->deps.others, peer->home);
	peer->synced = true;
}

/* It says that it is the home of a shadow. NULL: so does a better one, or there is no room. */
static struct other *take_claim(struct peer *peer, const struct shadow_name *name, const struct claim *claim)
{
	struct other *other = others_set(peer->peers->deps.others, name, peer->home, claim);
	if (!other || !other->checked)
		hand_check(peer, name, claim);
	if (other)
		other->checked = true;
	return other;
}

static void want(struct peer *peer, const struct shadow_name *name)
{
	if (!peer->wants)
		peer->wants = malloc(FRAME_ROWS * sizeof(*peer->wants));
	if (peer->wants && peer->want_count < FRAME_ROWS)
		peer->wants[peer->want_count++] = *name;
}

void pull_page(struct peer *peer, const struct frame *frame)
{
	struct reader r = reader(frame->body.ptr, frame->body.len);
	struct shadow_name name;
	struct claim claim;
	if (frame->id != peer->round || peer->waiting)
		return;
	peer->last = frame->last;
	while (row_read(&r, &name, &claim)) {
		const struct other *other = take_claim(peer, &name, &claim);
		peer->after = name;
		if (peer->peers->keeper && other && other->version != claim.version)
			want(peer, &name);
	}
	go_on(peer);
}

void pull_have(struct peer *peer, const struct frame *frame)
{
	(void)take_claim(peer, &frame->name, &frame->claim);
}

/* --- copies -------------------------------------------------------------------------------------------------------------- */

/* Of its own. */
static void keep_copy(struct peer *peer, const struct frame *frame, const struct claim *claim)
{
	struct peers *peers = peer->peers;
	struct other *other = take_claim(peer, &frame->name, claim);
	if (other && peers->keeper &&
	        !others_keep(peers->deps.others, other, claim, frame->body, peers->deps.service.now()))
		other->version = 0; /* what there is of it is not the home's any more */
}

/* Of a node that is away, by one who had kept it. */
static void keep_relayed(struct peer *peer, const struct frame *frame, const struct claim *claim)
{
	struct peers *peers = peer->peers;
	struct others *others = peers->deps.others;
	struct home *home = others_home(others, frame->home);
	if (!home || !peers->keeper || edged_slice_is(frame->home, peers->id) || peer_available(home))
		return;
	struct other *other = others_set(others, &frame->name, home, claim);
	if (other && (other->version < claim->version ||
	                     (other->version == claim->version && other->copied < frame->seconds)))
		(void)others_keep(others, other, claim, frame->body, frame->seconds);
}

void pull_copy(struct peer *peer, const struct frame *frame)
{
	struct claim claim;
	bool there = document_peek(frame->body, &claim);
	struct other *other = there ? NULL : others_find(peer->peers->deps.others, &frame->name);
	if (other && other->home == peer->home)
		other->version = 0; /* it has another one now, which cannot be had */
	if (there && frame->home.len)
		keep_relayed(peer, frame, &claim);
	else if (there)
		keep_copy(peer, frame, &claim);
	if (frame->id && frame->id == peer->round && peer->waiting && --peer->waiting == 0)
		go_on(peer);
}

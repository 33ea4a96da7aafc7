/* SPDX-License-Identifier: Apache-2.0 */
/* What other nodes are told of the shadows here, and answered. */
#include "push.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "away.h"
#include "hand.h"
#include "pull.h"

/* --- pages --------------------------------------------------------------------------------------------------------------- */

/* One that is being put together. The peer stays; that it is the same round over there its id tells. */
struct page {
	struct peer *peer;
	uint32_t id;
	size_t rows;
	struct writer writer;
	uint8_t bytes[FRAME_ROWS * ROW_MAX];
};

static int page_row(void *arg, struct edged_slice key, struct edged_slice value)
{
	struct page *page = arg;
	struct shadow_name name;
	struct claim claim;
	page->rows++;
	if (shadow_key_parse(key, &name) && document_peek(value, &claim))
		row_write(&page->writer, &name, &claim);
	return 0;
}

static void page_end(void *arg, int result)
{
	struct page *page = arg;
	const struct frame frame = { .type = FRAME_PAGE,
		.id = page->id,
		.last = page->rows < FRAME_ROWS,
		.body = edged_slice(page->bytes, (size_t)(page->writer.at - page->bytes)) };
	if (!result && page->peer->joined)
		(void)peer_say(page->peer, &frame);
	peers_release(page);
}

void push_page(struct peer *peer, const struct frame *frame)
{
	const struct service_deps *deps = &peer->peers->deps.service;
	char from[SHADOW_KEY_MAX + 1];
	struct page *page = peers_alloc(peer->peers, sizeof(*page));
	if (!page)
		return;
	page->peer = peer;
	page->id = frame->id;
	page->writer = writer(page->bytes, sizeof(page->bytes));
	struct edged_slice first = { NULL, 0 };
	if (*frame->name.thing) { /* the key right behind it in memcmp order */
		first = shadow_key(from, &frame->name);
		from[first.len++] = '\0';
	}
	if (deps->store->scan(deps->host, SHADOW_TABLE, first, edged_slice(NULL, 0), FRAME_ROWS, page_row,
	            page_end, page))
		peers_release(page);
}

void push_have(struct peer *peer, const struct shadow_name *name, const struct claim *claim)
{
	(void)peer_say(peer, &(struct frame){ .type = FRAME_HAVE, .name = *name, .claim = *claim });
}

/* --- copies -------------------------------------------------------------------------------------------------------------- */

struct reading {
	struct peer *peer;
	uint32_t id;
	struct shadow_name name;
};

static void send_copy(void *arg, int result, struct edged_slice value)
{
	struct reading *reading = arg;
	struct frame frame = { .type = FRAME_COPY, .id = reading->id, .name = reading->name };
	if (!result)
		frame.body = value;
	if (reading->peer->joined && peer_say(reading->peer, &frame) == -EMSGSIZE) {
		frame.body = edged_slice(NULL, 0);
		(void)peer_say(reading->peer, &frame);
	}
	peers_release(reading);
}

static void read_copy(struct peer *peer, uint32_t id, const struct shadow_name *name)
{
	const struct service_deps *deps = &peer->peers->deps.service;
	char key[SHADOW_KEY_MAX];
	struct reading *reading = peers_alloc(peer->peers, sizeof(*reading));
	if (!reading)
		return;
	*reading = (struct reading){ peer, id, *name };
	if (deps->store->get(deps->host, SHADOW_TABLE, shadow_key(key, name), send_copy, reading))
		peers_release(reading);
}

void push_copies(struct peer *peer, const struct frame *frame)
{
	struct reader r = reader(frame->body.ptr, frame->body.len);
	struct shadow_name name;
	for (unsigned i = 0; i < FRAME_WANTS && want_read(&r, &name); i++)
		read_copy(peer, frame->id, &name);
}

/* One that is too slow gets no more, hears so, and asks for all that it lacks when there is room again. */
static void push_copy(struct peer *peer, const struct frame *frame)
{
	if (peer->behind)
		return;
	int r = peer_say(peer, frame);
	if (r == -EMSGSIZE)
		r = peer_say(peer, &(struct frame){ .type = FRAME_COPY, .name = frame->name });
	peer->behind = r == EDGED_CHANNEL_FULL;
	if (peer->behind)
		(void)peer_say(peer, &(struct frame){ .type = FRAME_BEHIND });
}

void push_changed(void *arg, const struct shadow_name *name, const struct document *document, bool appears)
{
	struct peers *peers = arg;
	struct claim claim = document_claim(document);
	struct peer *peer;
	char *text = NULL;
	LIST_FOREACH(peer, &peers->list, link)
	{
		if (!peer->greeted)
			continue;
		if (appears)
			push_have(peer, name, &claim);
		if (!peer->keeper)
			continue;
		if (!text)
			text = document_print(document);
		if (text)
			push_copy(peer, &(struct frame){
			                        .type = FRAME_COPY, .name = *name, .body = edged_str(text) });
	}
	free(text);
	struct other *other = appears ? others_find(peers->deps.others, name) : NULL;
	if (other)
		others_drop(peers->deps.others, other);
}

/* --- copies of others' shadows ------------------------------------------------------------------------------------------- */

static void relay_on(struct peer *peer);

static void collect(void *arg, struct other *other)
{
	struct peer *peer = arg;
	if (other->bytes && !peer_available(other->home) && other->home != peer->home)
		other_name(other, &peer->relayed[peer->relay_count++]);
}

void push_relay(struct peer *peer)
{
	struct others *others = peer->peers->deps.others;
	peer->relay_again = peer->relayed != NULL;
	if (peer->relayed || !others_copies(others))
		return;
	peer->relayed = malloc(others_copies(others) * sizeof(*peer->relayed));
	if (!peer->relayed)
		return;
	peer->relay_count = peer->relay_next = 0;
	others_each(others, collect, peer);
	relay_on(peer);
}

void push_end(struct peer *peer)
{
	if (peer->relaying) { /* the one that is being read is the last */
		peer->relay_count = peer->relay_next;
		return;
	}
	free(peer->relayed);
	peer->relayed = NULL;
}

static void relay_one(void *arg, int result, struct edged_slice value)
{
	struct peer *peer = arg;
	struct peers *peers = peer->peers;
	const struct shadow_name *name = &peer->relayed[peer->relay_next - 1];
	const struct other *other = others_find(peers->deps.others, name);
	peer->relaying = false;
	int r = 0;
	if (!result && other && peer->greeted)
		r = peer_say(peer, &(struct frame){ .type = FRAME_COPY,
		                           .name = *name,
		                           .home = edged_str(other->home->id),
		                           .seconds = peers->deps.service.now() - copy_age(peers, other),
		                           .body = value });
	if (r != EDGED_CHANNEL_FULL)
		relay_on(peer);
}

static void relay_on(struct peer *peer)
{
	if (!peer->relayed || peer->relaying)
		return;
	if (peer->relay_next >= peer->relay_count) {
		push_end(peer);
		if (peer->relay_again)
			push_relay(peer);
		return;
	}
	peer->relaying = true;
	const struct shadow_name *name = &peer->relayed[peer->relay_next++];
	if (others_text(peer->peers->deps.others, name, relay_one, peer)) {
		peer->relaying = false;
		push_end(peer);
	}
}

void push_room(struct peer *peer)
{
	relay_on(peer);
	if (!peer->behind)
		return;
	peer->behind = false;
	(void)peer_say(peer, &(struct frame){ .type = FRAME_BEHIND });
}

/* --- requests ------------------------------------------------------------------------------------------------------------ */

/* One that another node waits for. */
struct asked {
	struct peer *peer;
	uint32_t id;
	uint8_t flags;
	struct shadow_name name;
	char token[SHADOW_TOKEN_MAX + 1]; /* of a request for what may be a copy; "": none */
};

static void answer(const struct asked *asked, const struct shadow_outcome *outcome)
{
	struct frame frame = { .type = FRAME_ANSWER,
		.id = asked->id,
		.code = (uint16_t)outcome->error->code,
		.number = outcome->version,
		.seconds = outcome->age,
		.text = edged_str(outcome->error->message) };
	if ((asked->flags & ASK_BODY) && !frame.code)
		frame.body = outcome->body;
	if (!asked->peer->joined || peer_say(asked->peer, &frame) != -EMSGSIZE)
		return;
	frame.code = 413;
	frame.text = edged_str("The shadow is too large to be passed on between nodes (mesh.message)");
	frame.body = edged_slice(NULL, 0);
	(void)peer_say(asked->peer, &frame);
}

static void answer_copy(void *arg, int result, struct edged_slice value)
{
	struct asked *asked = arg;
	const struct peers *peers = asked->peer->peers;
	const struct other *other = others_find(peers->deps.others, &asked->name);
	struct shadow_error error = { 0 };
	int64_t version = 0, age = other ? copy_age(peers, other) : 0;
	char *body = NULL;
	if (result || !other)
		(void)shadow_refuse(&error, SHADOW_GONE, "There is no copy here");
	else
		body = away_copy_body(
		        value, &asked->name, *asked->token ? asked->token : NULL, age, &version, &error);
	answer(asked, &(struct shadow_outcome){ &error, version, edged_str(body), age });
	free(body);
	peers_release(asked);
}

static void answered(void *arg, const struct shadow_outcome *outcome)
{
	struct asked *asked = arg;
	if (outcome->error->code == SHADOW_GONE && (asked->flags & ASK_COPY) &&
	        others_text(asked->peer->peers->deps.others, &asked->name, answer_copy, asked) == 0)
		return;
	answer(asked, outcome);
	peers_release(asked);
}

static void read_token(const struct frame *frame, char ret[SHADOW_TOKEN_MAX + 1])
{
	struct shadow_request request;
	struct shadow_error error;
	bool valid = shadow_request_parse_plain(&request, frame->body, &error) == 0;
	if (valid && request.token)
		snprintf(ret, SHADOW_TOKEN_MAX + 1, "%s", request.token);
	shadow_request_fini(&request);
}

void push_answer(struct peer *peer, const struct frame *frame)
{
	struct asked *asked = peers_alloc(peer->peers, sizeof(*asked));
	if (!asked)
		return; /* its time runs out over there */
	*asked = (struct asked){ peer, frame->id, frame->flags, frame->name, "" };
	if (frame->flags & ASK_COPY)
		read_token(frame, asked->token);
	const struct shadow_call call = { .verb = (enum shadow_verb)frame->verb,
		.payload = frame->body,
		.match = frame->number,
		.mirror = frame->flags & ASK_MIRROR,
		.patch = frame->flags & ASK_PATCH,
		.replace = frame->flags & ASK_REPLACE,
		.whole = frame->flags & ASK_WHOLE,
		.make = frame->flags & ASK_MAKE,
		.here = true,
		.answer = answered,
		.arg = asked };
	service_run(peer->peers->service, &frame->name, &call);
}

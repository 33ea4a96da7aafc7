/* SPDX-License-Identifier: Apache-2.0 */
#include "sync.h"

#include <stdlib.h>
#include <string.h>
#include "outward.h"

enum {
	SYNC_MOST = 2,   /* nodes that are told at once what we have */
	SYNC_MS = 10000, /* for which the next ones wait for them */
};

/* --- what differs ---------------------------------------------------------------------------------------------------------- */

struct choice {
	struct sync *sync;
	const struct digest *ours;
	const struct travel *travel;
	bool failed;
};

static bool make_room(struct sync *s)
{
	if (s->count < s->size)
		return true;
	size_t size = s->size ? s->size * 2 : 64;
	char **topics = realloc(s->topics, size * sizeof(*topics));
	if (!topics)
		return false;
	s->topics = topics;
	s->size = size;
	return true;
}

static void choose(void *arg, const struct edged_session_message *m)
{
	struct choice *c = arg;
	struct sync *s = c->sync;
	size_t part = digest_part(m->topic);
	if (c->ours->parts[part] == s->theirs[part] || !topic_travels(c->travel, m->topic))
		return;
	char *topic = make_room(s) ? strndup(m->topic.ptr, m->topic.len) : NULL;
	if (topic)
		s->topics[s->count++] = topic;
	c->failed |= !topic;
}

static void drop_theirs(struct sync *s)
{
	free(s->theirs);
	s->theirs = NULL;
	s->asked = false;
}

static void choose_all(struct peer *p)
{
	struct mesh *m = p->mesh;
	struct choice c = { .sync = &p->sync, .ours = digest_of_all(m), .travel = &m->settings.travel };
	if (memcmp(c.ours->parts, p->sync.theirs, sizeof(c.ours->parts)) != 0) {
		m->session->retained(m->session->ctx, edged_slice(NULL, 0), choose, &c);
		if (!p->sync.counted) /* what we told it is long ago: it may be we who lack something */
			p->sync.told = false;
	}
	if (c.failed)
		m->log->log(m->host, EDGED_WARNING,
		        "no memory to send node %.8s all the retained messages that it lacks", p->id);
	drop_theirs(&p->sync);
	p->sync.answering = true;
}

static void send_one(void *arg, const struct edged_session_message *m)
{
	outward_missed(arg, m);
}

static void drop_topics(struct sync *s)
{
	for (; s->next < s->count; s->next++)
		free(s->topics[s->next]);
	free(s->topics);
	s->topics = NULL;
	s->next = s->count = s->size = 0;
}

static void send_some(struct peer *p)
{
	const struct mesh *m = p->mesh;
	struct sync *s = &p->sync;
	uint8_t bytes[FRAME_HEAD];
	struct writer w = writer(bytes, sizeof(bytes));
	while (s->next < s->count && p->stream && !m->stream->is_full(p->stream)) {
		char *topic = s->topics[s->next++];
		m->session->retained(m->session->ctx, edged_str(topic), send_one, p);
		free(topic);
	}
	if (s->next < s->count || !p->stream)
		return;
	drop_topics(s);
	s->answering = false;
	write_frame_head(&w, FRAME_SYNCED, 0);
	peer_write(p, bytes, sizeof(bytes));
}

/* --- what we lack ---------------------------------------------------------------------------------------------------------- */

static void tell_digest(struct peer *p)
{
	uint8_t bytes[FRAME_HEAD + DIGEST_BODY];
	struct writer w = writer(bytes, sizeof(bytes));
	write_mesh_digest(&w, digest_of_all(p->mesh)->parts);
	peer_write(p, bytes, sizeof(bytes));
	p->sync.told = p->sync.counted = true;
	p->sync.told_ms = p->mesh->loop->now(p->mesh->host);
	p->mesh->syncing++;
}

/* It has sent what we lacked, or takes too long for others to wait for that: the next one is told. */
static void count_out(struct peer *p)
{
	if (!p->sync.counted)
		return;
	p->sync.counted = false;
	p->mesh->syncing--;
	mesh_look(p->mesh);
}

/* The others are told again. */
static void tell_others(struct peer *p)
{
	const struct mesh *m = p->mesh;
	if (!p->sync.learned)
		return;
	p->sync.learned = false;
	for (size_t i = 0; i < m->peer_count; i++)
		if (m->peers[i] != p)
			m->peers[i]->sync.told = false;
	mesh_look(p->mesh);
}

void sync_done(struct peer *p)
{
	count_out(p);
	tell_others(p);
}

/* Nodes that let different topics travel differ always: once for each change is enough. */
void sync_compare(struct peer *p, uint64_t sum)
{
	struct sync *s = &p->sync;
	uint64_t ours = digest_of_all(p->mesh)->sum;
	if (ours == sum || (s->compared_ours == ours && s->compared_theirs == sum))
		return;
	s->compared_ours = ours;
	s->compared_theirs = sum;
	s->told = false;
	sync_step(p);
}

/* --- the way of it --------------------------------------------------------------------------------------------------------- */

static struct edged_session_figures figures_of(const struct peer *p)
{
	struct edged_session_figures f = { .struct_size = sizeof(f) };
	(void)p->mesh->session->figures(p->mesh->session->ctx, p->session, &f);
	return f;
}

void sync_begin(struct peer *p)
{
	struct edged_session_figures f = figures_of(p);
	p->sync.backlog = f.acknowledged + f.dropped + f.waiting + f.in_flight;
	sync_step(p);
}

void sync_end(struct peer *p)
{
	count_out(p);
	tell_others(p);
	drop_topics(&p->sync);
	drop_theirs(&p->sync);
	p->sync.told = p->sync.answering = false;
}

void sync_digest(struct peer *p, const uint64_t theirs[DIGEST_PARTS])
{
	struct sync *s = &p->sync;
	if (s->asked || s->answering) /* once is enough, until it is dealt with */
		return;
	s->theirs = malloc(DIGEST_BODY);
	if (!s->theirs) {
		peer_fail(p, "there was no memory for its digest");
		return;
	}
	s->asked = true;
	memcpy(s->theirs, theirs, DIGEST_BODY);
	sync_step(p);
}

bool sync_is_due(const struct sync *s)
{
	return !s->told || s->asked || s->answering;
}

void sync_step(struct peer *p)
{
	struct sync *s = &p->sync;
	if (s->counted && p->mesh->loop->now(p->mesh->host) - s->told_ms >= SYNC_MS)
		count_out(p);
	if (p->state != PEER_CONNECTED || !sync_is_due(s))
		return;
	struct edged_session_figures f = figures_of(p);
	if (f.acknowledged + f.dropped < s->backlog && f.waiting + f.in_flight)
		return;
	if (s->asked)
		choose_all(p);
	if (!s->told && !s->counted && p->mesh->syncing < SYNC_MOST)
		tell_digest(p);
	if (s->answering)
		send_some(p);
}

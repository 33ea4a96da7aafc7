/* SPDX-License-Identifier: Apache-2.0 */
#include "sync.h"

#include <stdlib.h>
#include <string.h>
#include "hash.h"
#include "outward.h"

static size_t part_of(struct edged_slice topic)
{
	return hash_add(HASH_START, topic) >> 56;
}

/* --- digests --------------------------------------------------------------------------------------------------------------- */

struct digest {
	const struct travel *travel;
	uint64_t parts[DIGEST_PARTS];
};

static void add_message(void *arg, const struct edged_session_message *m)
{
	struct digest *d = arg;
	uint8_t bytes[8];
	struct writer w = writer(bytes, sizeof(bytes));
	write_u64(&w, m->stamp);
	if (topic_travels(d->travel, m->topic))
		d->parts[part_of(m->topic)] ^=
		        hash_add(hash_add(HASH_START, m->topic), edged_slice(bytes, sizeof(bytes)));
}

static void make_digest(const struct mesh *m, struct digest *ret)
{
	*ret = (struct digest){ .travel = &m->settings.travel };
	m->session->retained(m->session->ctx, edged_slice(NULL, 0), add_message, ret);
}

static void tell_digest(struct peer *p)
{
	struct digest ours;
	uint8_t bytes[FRAME_HEAD + DIGEST_BODY];
	struct writer w = writer(bytes, sizeof(bytes));
	make_digest(p->mesh, &ours);
	write_mesh_digest(&w, ours.parts);
	peer_write(p, bytes, sizeof(bytes));
	p->sync.told = true;
}

/* --- what differs ---------------------------------------------------------------------------------------------------------- */

struct choice {
	struct sync *sync;
	struct digest ours;
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
	size_t part = part_of(m->topic);
	if (c->ours.parts[part] == s->theirs[part] || !topic_travels(c->ours.travel, m->topic))
		return;
	char *topic = make_room(s) ? strndup(m->topic.ptr, m->topic.len) : NULL;
	if (topic)
		s->topics[s->count++] = topic;
	c->failed |= !topic;
}

static void choose_all(struct peer *p)
{
	const struct mesh *m = p->mesh;
	struct choice c = { .sync = &p->sync };
	make_digest(m, &c.ours);
	m->session->retained(m->session->ctx, edged_slice(NULL, 0), choose, &c);
	if (c.failed)
		m->log->log(m->host, EDGED_WARNING,
		        "no memory to send node %.8s all the retained messages that it lacks", p->id);
	p->sync.asked = false;
}

static void send_one(void *arg, const struct edged_session_message *m)
{
	outward_missed(arg, m);
}

static void send_some(struct peer *p)
{
	const struct mesh *m = p->mesh;
	struct sync *s = &p->sync;
	while (s->next < s->count && p->stream && !m->stream->is_full(p->stream)) {
		char *topic = s->topics[s->next++];
		m->session->retained(m->session->ctx, edged_str(topic), send_one, p);
		free(topic);
	}
	if (s->next == s->count)
		sync_end(s);
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
	p->sync.told = p->sync.asked = false;
	sync_step(p);
}

void sync_end(struct sync *s)
{
	for (; s->next < s->count; s->next++)
		free(s->topics[s->next]);
	free(s->topics);
	s->topics = NULL;
	s->next = s->count = s->size = 0;
}

void sync_digest(struct peer *p, const uint64_t theirs[DIGEST_PARTS])
{
	struct sync *s = &p->sync;
	if (s->asked || s->count) /* once is enough, until it is dealt with */
		return;
	s->asked = true;
	memcpy(s->theirs, theirs, sizeof(s->theirs));
	sync_step(p);
}

void sync_step(struct peer *p)
{
	struct sync *s = &p->sync;
	if (p->state != PEER_CONNECTED || (s->told && !s->asked && !s->count))
		return;
	struct edged_session_figures f = figures_of(p);
	if (f.acknowledged + f.dropped < s->backlog && f.waiting + f.in_flight)
		return;
	if (!s->told)
		tell_digest(p);
	if (s->asked)
		choose_all(p);
	if (s->count)
		send_some(p);
}

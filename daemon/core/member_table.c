/* SPDX-License-Identifier: Apache-2.0 */
#include "core/member_table.h"

#include <errno.h>
#include <stdlib.h>
#include "core/member_impl.h"

const char *member_state_name(enum member_state state)
{
	switch (state) {
#define MEMBER_NAME(name, text)                                                                              \
	case MEMBER_##name:                                                                                  \
		return text;
		MEMBER_STATES(MEMBER_NAME)
#undef MEMBER_NAME
	}
	return "?";
}

struct members_options members_defaults(void)
{
	return (struct members_options){
		.probe_ms = 500,
		.suspicion_ms = 1500,
		.tombstone_ms = 24 * 3600 * 1000,
		.max = 512,
		.max_heard = 256,
	};
}

int members_new(const struct members_options *options, const struct members_env *env,
        const uint8_t key[GOSSIP_KEY], uint64_t instance, struct members **ret)
{
	struct members *ms = calloc(1, sizeof(*ms));
	if (!ms)
		return -ENOMEM;
	ms->options = *options;
	ms->env = *env;
	ms->instance = instance;
	memcpy(ms->key, key, GOSSIP_KEY);
	ms->env.identify(ms->env.arg, key, ms->id);
	ms->self.version = 1;
	ms->wanted = UINT64_MAX;
	ms->sync_tokens8 = 32;
	members_digest_anew(ms);
	map_init(&ms->by_id);
	*ret = ms;
	return 0;
}

void members_free(struct members *ms)
{
	if (!ms)
		return;
	for (unsigned i = 0; i < ms->count; i++)
		free(ms->all[i]);
	free(ms->all);
	map_fini(&ms->by_id);
	free(ms);
}

struct member *members_find(const struct members *ms, const uint8_t id[GOSSIP_ID])
{
	return map_get(&ms->by_id, edged_slice(id, GOSSIP_ID));
}

struct member *members_find_short(const struct members *ms, const uint8_t short_id[GOSSIP_SHORT])
{
	for (unsigned i = 0; i < ms->count; i++)
		if (!memcmp(ms->all[i]->id, short_id, GOSSIP_SHORT))
			return ms->all[i];
	return NULL;
}

struct member *members_at(const struct members *ms, unsigned i)
{
	return i < ms->count ? ms->all[i] : NULL;
}

unsigned members_live(const struct members *ms)
{
	return ms->live;
}

bool members_kin(const struct members *ms, const struct member *m)
{
	return !ms->env.kin || ms->env.kin(ms->env.arg, m);
}

unsigned members_live_kin(const struct members *ms)
{
	unsigned n = 0;
	for (unsigned i = 0; i < ms->count; i++)
		n += member_is_live(ms->all[i]) && members_kin(ms, ms->all[i]);
	return n;
}

/* The tombstone that may go first. */
static struct member *oldest_tombstone(const struct members *ms)
{
	struct member *oldest = NULL;
	for (unsigned i = 0; i < ms->count; i++) {
		struct member *m = ms->all[i];
		bool tombstone = m->state == MEMBER_DEAD || m->state == MEMBER_LEFT;
		if (tombstone && (!oldest || m->since_ms < oldest->since_ms))
			oldest = m;
	}
	return oldest;
}

static int make_room(struct members *ms)
{
	if (ms->heard >= ms->options.max_heard)
		return -ENOSPC;
	if (ms->count - ms->heard >= ms->options.max) {
		struct member *oldest = oldest_tombstone(ms);
		if (!oldest)
			return -ENOSPC;
		members_forget(ms, oldest);
	}
	if (ms->count < ms->cap)
		return 0;
	unsigned cap = ms->cap ? ms->cap * 2 : 8;
	struct member **all = realloc(ms->all, cap * sizeof(struct member *));
	if (!all)
		return -ENOMEM;
	ms->all = all;
	ms->cap = cap;
	return 0;
}

struct member *members_add(struct members *ms, const uint8_t key[GOSSIP_KEY], const uint8_t id[GOSSIP_ID])
{
	struct member *m = make_room(ms) ? NULL : calloc(1, sizeof(*m));
	if (!m || map_add(&ms->by_id, edged_slice(id, GOSSIP_ID), m)) {
		ms->counts.dropped++;
		free(m);
		return NULL;
	}
	memcpy(m->key, key, GOSSIP_KEY);
	memcpy(m->id, id, GOSSIP_ID);
	m->state = MEMBER_HEARD;
	m->since_ms = ms->now;
	ms->all[ms->count++] = m;
	ms->heard++;
	return m;
}

void members_forget(struct members *ms, struct member *m)
{
	if (m->state != MEMBER_HEARD)
		ms->env.changed(ms->env.arg, m, MEMBER_FORGOTTEN);
	member_set_state(ms, m, MEMBER_DEAD); /* settles the counts */
	map_remove(&ms->by_id, edged_slice(m->id, GOSSIP_ID));
	for (unsigned i = 0; i < ms->count; i++)
		if (ms->all[i] == m) {
			ms->all[i] = ms->all[--ms->count];
			break;
		}
	free(m);
}

void member_set_state(struct members *ms, struct member *m, enum member_state state)
{
	bool was_live = member_is_live(m);
	ms->heard -= m->state == MEMBER_HEARD;
	ms->live -= was_live;
	ms->suspects -= m->state == MEMBER_SUSPECT;
	m->state = state;
	m->since_ms = ms->now;
	ms->heard += m->state == MEMBER_HEARD;
	ms->live += member_is_live(m);
	ms->suspects += m->state == MEMBER_SUSPECT;
	if (was_live != member_is_live(m))
		members_digest_anew(ms);
}

uint64_t members_random_below(struct members *ms, uint64_t n)
{
	return n ? ms->env.random(ms->env.arg) % n : 0;
}

void members_shuffle(struct members *ms)
{
	for (unsigned i = ms->count; i > 1; i--) {
		unsigned j = (unsigned)members_random_below(ms, i);
		struct member *swap = ms->all[i - 1];
		ms->all[i - 1] = ms->all[j];
		ms->all[j] = swap;
	}
}

unsigned members_pick(struct members *ms, const struct member * not, struct member **ret, unsigned max)
{
	unsigned n = 0, seen = 0;
	for (unsigned i = 0; i < ms->count; i++) {
		struct member *m = ms->all[i];
		if (m == not || m->state != MEMBER_ALIVE)
			continue;
		seen++;
		if (n < max) {
			ret[n++] = m;
			continue;
		}
		uint64_t at = members_random_below(ms, seen);
		if (at < max)
			ret[at] = m;
	}
	return n;
}

void member_add_try(struct member *m, const struct peer_addr *addr)
{
	for (unsigned i = 0; i < m->try_count; i++)
		if (peer_addr_eq(&m->tries[i], addr))
			return;
	if (m->try_count == MEMBER_TRIES)
		memmove(&m->tries[0], &m->tries[1], sizeof(m->tries[0]) * (MEMBER_TRIES - 1));
	else
		m->try_count++;
	m->tries[m->try_count - 1] = *addr;
}

static bool has_ended(const struct members *ms, const struct member *m)
{
	if (m->state == MEMBER_HEARD)
		return m->retries >= CONTACT_TRIES && ms->now >= m->retry_ms;
	return !member_is_live(m) && ms->now - m->since_ms >= ms->options.tombstone_ms;
}

uint64_t members_expire(struct members *ms)
{
	uint64_t next = UINT64_MAX;
	for (unsigned i = ms->count; i-- > 0 && ms->count > ms->live;) {
		struct member *m = ms->all[i];
		if (has_ended(ms, m)) {
			members_forget(ms, m);
			continue;
		}
		uint64_t end = m->since_ms + ms->options.tombstone_ms;
		if (!member_is_live(m) && m->state != MEMBER_HEARD && end < next)
			next = end;
	}
	return next;
}

/* Spreads bits, so that sums of many do not cancel out. The same on all nodes. */
static uint64_t mix(const uint8_t id[GOSSIP_ID], uint32_t version)
{
	uint64_t x = 0;
	for (int i = 0; i < 8; i++)
		x = x << 8 | id[i];
	x = (x ^ (uint64_t)version << 17) * 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9u;
	return x ^ x >> 32;
}

bool member_is_local(const struct member *m)
{
	for (unsigned i = 0; i < m->record.address_count; i++)
		if (!peer_addr_is_loopback(&m->record.addresses[i]))
			return false;
	return m->record.address_count > 0;
}

void members_digest_anew(struct members *ms)
{
	ms->digest_all = ms->digest_to_hosts = mix(ms->id, ms->self.version);
	for (unsigned i = 0; i < ms->count; i++) {
		const struct member *m = ms->all[i];
		if (!member_is_live(m))
			continue;
		uint64_t share = mix(m->id, m->record.version);
		ms->digest_all ^= share;
		ms->digest_to_hosts ^= member_is_local(m) ? 0 : share;
	}
}

uint64_t members_digest(const struct members *ms)
{
	return ms->digest_all;
}

uint64_t members_digest_for(const struct members *ms, const struct peer_addr *addr)
{
	return peer_addr_is_loopback(addr) ? ms->digest_all : ms->digest_to_hosts;
}

struct members_counts members_counts(const struct members *ms)
{
	return ms->counts;
}

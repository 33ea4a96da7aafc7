/* SPDX-License-Identifier: Apache-2.0 */
#include "core/roles.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct roles {
	struct roles_env env;
	struct members *members;
	bool leading;
	uint64_t epoch;
	uint64_t assigned_ms; /* supernode: last looked at */
	uint64_t news_ms;     /* supernode: when something changed; others are told whole for a while */
	uint32_t hash;        /* supernode: of the grants as last assigned */
	bool taken;           /* of another supernode: those of this hash */
	uint32_t taken_hash;
	struct role_grant grants[GOSSIP_GRANTS];
	unsigned count;
};

const char *role_name(enum role role)
{
	static const char *const names[] = {
#define ROLE_NAME(name, text) #name,
		ROLES(ROLE_NAME)
#undef ROLE_NAME
	};
	return names[role];
}

const char *role_text(enum role role)
{
	static const char *const texts[] = {
#define ROLE_TEXT(name, text) text,
		ROLES(ROLE_TEXT)
#undef ROLE_TEXT
	};
	return texts[role];
}

bool role_by_name(struct edged_slice name, enum role *ret)
{
	for (int i = 0; i < ROLE_COUNT; i++)
		if (edged_slice_is(name, role_name((enum role)i))) {
			*ret = (enum role)i;
			return true;
		}
	return false;
}

int roles_new(const struct roles_env *env, struct members *members, struct roles **ret)
{
	struct roles *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	*r = (struct roles){ .env = *env, .members = members };
	*ret = r;
	return 0;
}

void roles_free(struct roles *r)
{
	free(r);
}

/* --- who is fit for what: 0 is unfit, more is better; coarse, so that small changes move nothing
 * -------------------------- */

static unsigned log2_of(uint32_t n)
{
	unsigned bits = 0;
	for (; n > 1; n /= 2)
		bits++;
	return bits;
}

static unsigned fitness(enum role role, const struct node_description *d)
{
	switch (role) {
	case ROLE_networkProxy:
		return d->rank.uplink ? d->rank.uplink * 64u + d->rank.link * 16u + d->rank.capacity : 0;
	case ROLE_cloudGateway:
		return d->rank.uplink ? d->rank.uplink * 64u + d->rank.capacity * 4u + d->rank.link : 0;
	case ROLE_cache:
		return d->memory_mib >= 64 ? log2_of(d->memory_mib) + log2_of(d->storage_mib + 1) / 2 : 0;
	case ROLE_COUNT:
		break;
	}
	return 0;
}

static void explain(enum role role, const struct node_description *d, unsigned nodes, bool pinned,
        char reason[GOSSIP_REASON])
{
	char of[32] = "the only node";
	if (nodes > 1)
		snprintf(of, sizeof(of), "best of %u nodes", nodes);
	if (pinned)
		snprintf(reason, GOSSIP_REASON, "pinned to this node by its operator");
	else if (role == ROLE_cache)
		snprintf(reason, GOSSIP_REASON, "%s by memory and storage: %u MiB and %u MiB free", of,
		        d->memory_mib, d->storage_mib);
	else
		snprintf(reason, GOSSIP_REASON, "%s by uplink: %s, capacity class %u", of,
		        rank_value_name(RANK_uplink, d->rank.uplink), d->rank.capacity);
}

static void explain_vacancy(enum role role, bool vetoed, char reason[GOSSIP_REASON])
{
	snprintf(reason, GOSSIP_REASON, "%s",
	        vetoed               ? "vetoed by the operator on every node that is fit for it"
	        : role == ROLE_cache ? "no node has 64 MiB of memory for it"
	                             : "no node has an uplink to other networks");
}

/* --- assigning
 * -------------------------------------------------------------------------------------------------------------------
 */

struct candidate {
	const uint8_t *id;
	const struct node_description *record;
	unsigned fitness;
	bool pinned, vetoed; /* vetoed: it would be fit */
};

#define PINNED (1u << 24) /* above all that fitness() gives */

/* The member of index i - 1; 0 is this node. False: no more; fitness 0: passed over. */
static bool candidate_at(const struct roles *r, enum role role, unsigned i, struct candidate *ret)
{
	const struct member *m = i ? members_at(r->members, i - 1) : NULL;
	if (i && !m)
		return false;
	ret->id = m ? m->id : members_self_id(r->members);
	ret->record = m ? &m->record : members_self(r->members);
	bool fit = !m || (m->state == MEMBER_ALIVE && m->record.version && members_kin(r->members, m));
	ret->fitness = fit ? fitness(role, ret->record) : 0;
	ret->vetoed = ret->fitness && ret->record->roles_vetoed >> role & 1;
	ret->pinned = ret->fitness && !ret->vetoed && ret->record->roles_pinned >> role & 1;
	ret->fitness = ret->vetoed ? 0 : ret->fitness + (ret->pinned ? PINNED : 0);
	return true;
}

static bool is_taken(
        const struct roles *r, const struct role_grant *but, enum role role, const uint8_t id[GOSSIP_ID])
{
	for (unsigned i = 0; i < r->count; i++) {
		const struct role_grant *g = &r->grants[i];
		if (g != but && g->role == role && g->held && !memcmp(g->holder, id, GOSSIP_SHORT))
			return true;
	}
	return false;
}

static struct candidate fittest(
        const struct roles *r, const struct role_grant *slot, struct candidate *ret_holder)
{
	struct candidate best = { 0 }, c;
	bool vetoed = false;
	*ret_holder = best;
	for (unsigned i = 0; candidate_at(r, slot->role, i, &c); i++) {
		if (slot->held && !memcmp(c.id, slot->holder, GOSSIP_SHORT))
			*ret_holder = c;
		if (is_taken(r, slot, slot->role, c.id))
			continue;
		vetoed |= c.vetoed;
		bool higher = c.fitness > best.fitness || (c.fitness && c.fitness == best.fitness &&
		                                                  memcmp(c.id, best.id, GOSSIP_ID) < 0);
		if (higher)
			best = c;
	}
	best.vetoed = !best.fitness && vetoed;
	return best;
}

static void give(struct roles *r, uint64_t now, struct role_grant *g, const struct candidate *to)
{
	bool same = g->held == (to->fitness > 0) && g->since_ms &&
	            (!g->held || !memcmp(g->holder, to->id, GOSSIP_SHORT));
	g->better_since = 0;
	if (to->fitness)
		explain(g->role, to->record, members_live_kin(r->members) + 1, to->pinned, g->reason);
	else
		explain_vacancy(g->role, to->vetoed, g->reason);
	if (same)
		return;
	g->held = to->fitness > 0;
	g->since_ms = now ? now : 1;
	memset(g->holder, 0, sizeof(g->holder));
	if (g->held)
		memcpy(g->holder, to->id, GOSSIP_SHORT);
	r->news_ms = now;
	r->env.changed(r->env.arg, g);
}

static void assign(struct roles *r, uint64_t now, struct role_grant *g)
{
	struct candidate holder, best = fittest(r, g, &holder);
	g->epoch = r->epoch;
	g->until_ms = UINT64_MAX;
	if (!g->held || !holder.fitness || best.fitness <= holder.fitness) {
		give(r, now, g, g->held && holder.fitness ? &holder : &best);
		return;
	}
	if (!g->better_since)
		g->better_since = now ? now : 1;
	if (now - g->better_since >= ROLE_BETTER_MS || (best.pinned && !holder.pinned))
		give(r, now, g, &best);
}

/* One slot for each role; two for the cache in larger clusters. Slots of followers' days are kept. */
static void make_slots(struct roles *r, uint64_t now)
{
	static const enum role wanted[] = { ROLE_networkProxy, ROLE_cache, ROLE_cloudGateway, ROLE_cache };
	unsigned slots = members_live_kin(r->members) + 1 >= ROLE_CACHES_FROM ? 4 : 3;
	for (unsigned i = 0; i < slots; i++) {
		if (i < r->count && r->grants[i].role == wanted[i])
			continue;
		r->grants[i] = (struct role_grant){ .role = wanted[i] };
	}
	if (r->count != slots)
		r->news_ms = now;
	r->count = slots;
}

static uint32_t hash_bytes(uint32_t hash, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x01000193u;
	return hash;
}

#define HASH_SEED 0x811c9dc5u /* FNV-1a, as is what follows */

static uint32_t hash_grant(
        uint32_t hash, uint8_t role, bool held, const uint8_t holder[GOSSIP_SHORT], const char *reason)
{
	const uint8_t head[] = { role, held };
	hash = hash_bytes(hash, head, sizeof(head));
	hash = hash_bytes(hash, holder, GOSSIP_SHORT);
	return hash_bytes(hash, reason, strlen(reason));
}

void roles_assign(struct roles *r, uint64_t now)
{
	if (!r->leading)
		return;
	make_slots(r, now);
	r->assigned_ms = now;
	for (unsigned i = 0; i < r->count; i++)
		assign(r, now, &r->grants[i]);
	r->hash = HASH_SEED;
	for (unsigned i = 0; i < r->count; i++) {
		const struct role_grant *g = &r->grants[i];
		r->hash = hash_grant(r->hash, (uint8_t)g->role, g->held, g->holder, g->reason);
	}
}

void roles_lead(struct roles *r, uint64_t now, uint64_t epoch)
{
	r->leading = true;
	r->epoch = epoch;
	r->news_ms = now;
	r->taken = false;
	roles_assign(r, now);
}

void roles_follow(struct roles *r)
{
	if (!r->leading)
		return;
	r->leading = false;
	for (unsigned i = 0; i < r->count; i++)
		r->grants[i].until_ms = 0; /* the new supernode says what holds */
}

/* --- by message
 * ------------------------------------------------------------------------------------------------------------------------
 */

static uint32_t hash_grants(const struct gossip_message *message)
{
	uint32_t hash = HASH_SEED;
	for (unsigned i = 0; i < message->grant_count; i++) {
		const struct gossip_grant *g = &message->grants[i];
		hash = hash_grant(hash, g->role, g->held, g->holder, g->reason);
	}
	return hash;
}

void roles_add(struct roles *r, uint64_t now, struct gossip_message *message, bool whole)
{
	if (!r->leading)
		return;
	if (now - r->assigned_ms >= ROLE_RENEW_MS)
		roles_assign(r, now);
	if (!whole && now - r->news_ms >= ROLE_NEWS_MS) {
		message->flags |= GOSSIP_RENEWED;
		message->grants_hash = r->hash;
		return;
	}
	message->flags |= GOSSIP_GRANTED;
	message->grant_count = (uint8_t)r->count;
	for (unsigned i = 0; i < r->count; i++) {
		struct gossip_grant *to = &message->grants[i];
		*to = (struct gossip_grant){ .role = (uint8_t)r->grants[i].role, .held = r->grants[i].held };
		memcpy(to->holder, r->grants[i].holder, GOSSIP_SHORT);
		memcpy(to->reason, r->grants[i].reason, GOSSIP_REASON);
	}
}

static bool same_holder(const struct role_grant *g, const struct gossip_grant *from)
{
	return g->role == (enum role)from->role && g->held == from->held && g->since_ms &&
	       !memcmp(g->holder, from->holder, GOSSIP_SHORT);
}

/* The same as before, for another while. */
static bool renew(struct roles *r, uint64_t now, const struct gossip_message *message)
{
	if (!r->taken || r->taken_hash != message->grants_hash)
		return false;
	for (unsigned i = 0; i < r->count; i++) {
		r->grants[i].epoch = message->epoch;
		r->grants[i].until_ms = now + ROLE_LEASE_MS;
	}
	return true;
}

bool roles_take(struct roles *r, uint64_t now, const struct gossip_message *message)
{
	unsigned n = 0;
	if ((message->flags & (GOSSIP_GRANTED | GOSSIP_RENEWED)) == GOSSIP_RENEWED)
		return renew(r, now, message);
	for (unsigned i = 0; i < message->grant_count; i++) {
		const struct gossip_grant *from = &message->grants[i];
		if (from->role >= ROLE_COUNT) /* a newer supernode's */
			continue;
		struct role_grant *g = &r->grants[n++];
		bool same = n <= r->count && same_holder(g, from);
		uint64_t since = same ? g->since_ms : now ? now : 1;
		*g = (struct role_grant){ .role = (enum role)from->role,
			.held = from->held,
			.since_ms = since,
			.epoch = message->epoch,
			.until_ms = now + ROLE_LEASE_MS };
		memcpy(g->holder, from->holder, GOSSIP_SHORT);
		memcpy(g->reason, from->reason, GOSSIP_REASON);
		if (!same)
			r->env.changed(r->env.arg, g);
	}
	r->count = n;
	r->taken = true;
	r->taken_hash = hash_grants(message);
	return true;
}

uint64_t roles_tick(struct roles *r, uint64_t now)
{
	uint64_t next = UINT64_MAX;
	for (unsigned i = 0; i < r->count && !r->leading; i++) {
		if (r->grants[i].until_ms <= now) {
			r->grants[i--] = r->grants[--r->count];
			r->taken = false;
		} else if (r->grants[i].until_ms < next)
			next = r->grants[i].until_ms;
	}
	return next;
}

const struct role_grant *roles_at(const struct roles *r, unsigned i)
{
	return i < r->count ? &r->grants[i] : NULL;
}

bool roles_holds(const struct roles *r, const uint8_t id[GOSSIP_ID], enum role role)
{
	return is_taken(r, NULL, role, id);
}

/* Rendezvous hashing: the holder whose id gives the highest hash with the key. */
static uint64_t weight_of(const struct role_grant *g, struct edged_slice key)
{
	uint64_t hash =
	        0xcbf29ce484222325u; /* FNV-1a, then mixed, for its high bits hardly depend on the last bytes */
	for (size_t i = 0; i < GOSSIP_SHORT + key.len; i++)
		hash = (hash ^ (i < GOSSIP_SHORT ? g->holder[i] : (uint8_t)key.ptr[i - GOSSIP_SHORT])) *
		       0x100000001b3u;
	hash = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

const struct role_grant *roles_holder_for(const struct roles *r, enum role role, struct edged_slice key)
{
	const struct role_grant *best = NULL;
	for (unsigned i = 0; i < r->count; i++) {
		const struct role_grant *g = &r->grants[i];
		if (g->role == role && g->held && (!best || weight_of(g, key) > weight_of(best, key)))
			best = g;
	}
	return best;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/gossip_wire.h"

#include <errno.h>
#include <string.h>

/* --- cursors: neither can pass its end; `bad` sticks
 * ------------------------------------------------------------- */

struct writer {
	uint8_t *at;
	size_t room;
	bool bad;
};

struct reader {
	const uint8_t *at;
	size_t left;
	bool bad;
};

static void put(struct writer *w, const void *bytes, size_t n)
{
	if (w->bad || n > w->room) {
		w->bad = true;
		return;
	}
	memcpy(w->at, bytes, n);
	w->at += n;
	w->room -= n;
}

static void put_number(struct writer *w, uint64_t value, unsigned size)
{
	uint8_t bytes[8];
	for (unsigned i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> 8 * (size - 1 - i));
	put(w, bytes, size);
}

static const uint8_t *take(struct reader *r, size_t n)
{
	if (r->bad || n > r->left) {
		r->bad = true;
		return NULL;
	}
	const uint8_t *at = r->at;
	r->at += n;
	r->left -= n;
	return at;
}

static uint64_t take_number(struct reader *r, unsigned size)
{
	const uint8_t *at = take(r, size);
	uint64_t value = 0;
	for (unsigned i = 0; at && i < size; i++)
		value = value << 8 | at[i];
	return value;
}

static void take_bytes(struct reader *r, void *to, size_t n)
{
	const uint8_t *at = take(r, n);
	if (at)
		memcpy(to, at, n);
}

/* Text of another host: kept printable, cut to its place. */
static void take_text(struct reader *r, size_t n, char *to, size_t size)
{
	const uint8_t *at = take(r, n);
	if (!at)
		return;
	size_t len = n < size - 1 ? n : size - 1;
	for (size_t i = 0; i < len; i++)
		to[i] = at[i] < 0x20 || at[i] == 0x7f ? '?' : (char)at[i];
	to[len] = '\0';
}

/* --- addresses: family 1 | port 2 | 4 or 16 bytes
 * ------------------------------------------------------------------ */

static void put_addr(struct writer *w, const struct peer_addr *addr)
{
	put_number(w, addr->family, 1);
	put_number(w, addr->port, 2);
	put(w, addr->ip, addr->family == 4 ? 4 : 16);
}

static void take_addr(struct reader *r, struct peer_addr *ret)
{
	*ret = (struct peer_addr){ .family = (uint8_t)take_number(r, 1) };
	ret->port = (uint16_t)take_number(r, 2);
	if (ret->family != 4 && ret->family != 6)
		r->bad = true;
	take_bytes(r, ret->ip, ret->family == 4 ? 4 : 16);
}

/* --- records
 * -------------------------------------------------------------------------------------------------------- */

enum {
	TAG_NAME = 1,
	TAG_ACCOUNT,
	TAG_OS,
	TAG_KERNEL,
	TAG_CPU,
	TAG_EDGED,
	TAG_ADDRESS,
	TAG_RANK,
	TAG_SIZE,
	TAG_SERVICES,
	TAG_REMOVALS,
	TAG_WISHES
};

static const struct {
	uint8_t tag;
	size_t offset, size;
} texts[] = {
	{ TAG_NAME, offsetof(struct node_description, name), sizeof(((struct node_description *)0)->name) },
	{ TAG_ACCOUNT, offsetof(struct node_description, account),
	        sizeof(((struct node_description *)0)->account) },
	{ TAG_OS, offsetof(struct node_description, os), sizeof(((struct node_description *)0)->os) },
	{ TAG_KERNEL, offsetof(struct node_description, kernel),
	        sizeof(((struct node_description *)0)->kernel) },
	{ TAG_CPU, offsetof(struct node_description, cpu), sizeof(((struct node_description *)0)->cpu) },
	{ TAG_EDGED, offsetof(struct node_description, edged),
	        sizeof(((struct node_description *)0)->edged) },
};

static void put_tag(struct writer *w, uint8_t tag, size_t len)
{
	put_number(w, tag, 1);
	put_number(w, len, 1);
}

static void put_texts(struct writer *w, const struct node_description *record)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *text = (const char *)record + texts[i].offset;
		size_t len = strlen(text);
		if (!len)
			continue;
		put_tag(w, texts[i].tag, len);
		put(w, text, len);
	}
}

static void put_record(struct writer *w, const struct node_description *record)
{
	put_texts(w, record);
	for (unsigned i = 0; i < record->address_count; i++) {
		put_tag(w, TAG_ADDRESS, record->addresses[i].family == 4 ? 7 : 19);
		put_addr(w, &record->addresses[i]);
	}
	put_tag(w, TAG_RANK, RANK_COUNT);
	for (int i = 0; i < RANK_COUNT; i++)
		put_number(w, rank_value(&record->rank, (enum rank_field)i), 1);
	put_tag(w, TAG_SIZE, 10);
	put_number(w, record->cores, 2);
	put_number(w, record->memory_mib, 4);
	put_number(w, record->storage_mib, 4);
	put_tag(w, TAG_SERVICES, 8);
	put_number(w, record->services, 8);
	if (record->roles_pinned || record->roles_vetoed) {
		put_tag(w, TAG_WISHES, 2);
		put_number(w, record->roles_pinned, 1);
		put_number(w, record->roles_vetoed, 1);
	}
	if (record->removals) {
		put_tag(w, TAG_REMOVALS, 8);
		put_number(w, record->removals, 8);
	}
}

static void take_rank(struct reader *r, struct rank *rank)
{
	for (int i = 0; i < RANK_COUNT && r->left; i++)
		rank_set(rank, (enum rank_field)i, (uint8_t)take_number(r, 1));
}

static void take_size(struct reader *r, struct node_description *record)
{
	record->cores = (uint16_t)take_number(r, 2);
	record->memory_mib = (uint32_t)take_number(r, 4);
	record->storage_mib = (uint32_t)take_number(r, 4);
}

static bool take_text_tag(struct reader *r, uint8_t tag, struct node_description *record)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].tag == tag) {
			take_text(r, r->left, (char *)record + texts[i].offset, texts[i].size);
			return true;
		}
	return false;
}

static void take_tag(struct reader *r, uint8_t tag, struct node_description *record)
{
	if (take_text_tag(r, tag, record))
		return;
	switch (tag) {
	case TAG_ADDRESS:
		if (record->address_count < GOSSIP_ADDRESSES)
			take_addr(r, &record->addresses[record->address_count++]);
		break;
	case TAG_RANK:
		take_rank(r, &record->rank);
		break;
	case TAG_SIZE:
		take_size(r, record);
		break;
	case TAG_SERVICES:
		record->services = take_number(r, 8);
		break;
	case TAG_WISHES:
		record->roles_pinned = (uint8_t)take_number(r, 1);
		record->roles_vetoed = (uint8_t)take_number(r, 1);
		break;
	case TAG_REMOVALS:
		record->removals = take_number(r, 8);
		break;
	default: /* a newer node's; the numbers come from the network */
		break;
	}
}

static void take_record(struct reader *r, struct node_description *record)
{
	*record = (struct node_description){ 0 };
	while (!r->bad && r->left) {
		uint8_t tag = (uint8_t)take_number(r, 1);
		size_t len = (size_t)take_number(r, 1);
		struct reader value = { take(r, len), len, false };
		if (r->bad)
			return;
		take_tag(&value, tag, record);
		r->bad = value.bad;
	}
}

/* --- bodies
 * ---------------------------------------------------------------------------------------------------------
 */

static void put_grants(struct writer *w, const struct gossip_message *m)
{
	put_number(w, m->grant_count, 1);
	for (unsigned i = 0; i < m->grant_count; i++) {
		const struct gossip_grant *g = &m->grants[i];
		size_t len = strnlen(g->reason, sizeof(g->reason) - 1);
		put_number(w, g->role, 1);
		put_number(w, g->held, 1);
		put(w, g->holder, GOSSIP_SHORT);
		put_number(w, len, 1);
		put(w, g->reason, len);
	}
}

static void take_grants(struct reader *r, struct gossip_message *m)
{
	m->grant_count = (uint8_t)take_number(r, 1);
	if (m->grant_count > GOSSIP_GRANTS) {
		m->grant_count = 0;
		r->bad = true;
	}
	for (unsigned i = 0; i < m->grant_count && !r->bad; i++) {
		struct gossip_grant *g = &m->grants[i];
		*g = (struct gossip_grant){ .role = (uint8_t)take_number(r, 1) };
		g->held = take_number(r, 1) & 1;
		take_bytes(r, g->holder, GOSSIP_SHORT);
		take_text(r, (size_t)take_number(r, 1), g->reason, sizeof(g->reason));
	}
}

static void put_entries(struct writer *w, const struct gossip_message *m)
{
	put_number(w, m->entry_count, 1);
	for (unsigned i = 0; i < m->entry_count; i++) {
		put(w, m->entries[i].key, GOSSIP_KEY);
		put_addr(w, &m->entries[i].addr);
		put_number(w, m->entries[i].version, 4);
	}
}

static void take_entries(struct reader *r, struct gossip_message *m)
{
	m->entry_count = (uint8_t)take_number(r, 1);
	if (m->entry_count > GOSSIP_SYNC_ENTRIES) {
		m->entry_count = 0;
		r->bad = true;
	}
	for (unsigned i = 0; i < m->entry_count && !r->bad; i++) {
		take_bytes(r, m->entries[i].key, GOSSIP_KEY);
		take_addr(r, &m->entries[i].addr);
		m->entries[i].version = (uint32_t)take_number(r, 4);
	}
}

/* Which parts a type's body has, in the order in which they follow each other. */
enum {
	HAS_SEQ = 1,
	HAS_FLAGS = 2,
	HAS_TARGET = 4,
	HAS_INCARNATION = 8,
	HAS_EPOCH = 16,
	HAS_LEASE = 32,
	HAS_ADDR = 64,
	HAS_ENTRIES = 128,
	HAS_GRANTS = 256, /* in a beacon only with GOSSIP_GRANTED, or their hash with GOSSIP_RENEWED */
	HAS_RECORD = 512  /* what is left, when anything is */
};

static const unsigned parts[] = {
	[GOSSIP_PING] = HAS_SEQ | HAS_FLAGS | HAS_RECORD,
	[GOSSIP_ACK] = HAS_SEQ | HAS_RECORD,
	[GOSSIP_PING_REQ] = HAS_SEQ | HAS_TARGET,
	[GOSSIP_RELAY_ACK] = HAS_SEQ | HAS_TARGET | HAS_INCARNATION,
	[GOSSIP_NACK] = HAS_SEQ | HAS_TARGET,
	[GOSSIP_ACCUSE] = HAS_FLAGS | HAS_TARGET | HAS_INCARNATION,
	[GOSSIP_TELL] = HAS_RECORD,
	[GOSSIP_SYNC] = HAS_FLAGS | HAS_ENTRIES,
	[GOSSIP_LEAVE] = 0,
	[GOSSIP_DUPLICATE] = HAS_ADDR,
	[GOSSIP_BEACON] = HAS_FLAGS | HAS_EPOCH | HAS_LEASE | HAS_GRANTS,
	[GOSSIP_LEADER] = HAS_TARGET | HAS_EPOCH | HAS_LEASE,
	[GOSSIP_PREVOTE] = HAS_EPOCH,
	[GOSSIP_HANDOVER] = HAS_EPOCH | HAS_GRANTS,
	[GOSSIP_RESIGN] = HAS_TARGET | HAS_EPOCH,
	[GOSSIP_ROLES] = HAS_EPOCH,
};

static bool carries_grants(const struct gossip_message *m, unsigned has)
{
	return has & HAS_GRANTS && (m->type != GOSSIP_BEACON || m->flags & GOSSIP_GRANTED);
}

static bool carries_hash(const struct gossip_message *m)
{
	return m->type == GOSSIP_BEACON && (m->flags & (GOSSIP_GRANTED | GOSSIP_RENEWED)) == GOSSIP_RENEWED;
}

static void put_body(struct writer *w, const struct gossip_message *m, unsigned has)
{
	if (has & HAS_SEQ)
		put_number(w, m->seq, 8);
	if (has & HAS_FLAGS)
		put_number(w, m->flags, 1);
	if (has & HAS_TARGET)
		put(w, m->target, GOSSIP_SHORT);
	if (has & HAS_INCARNATION)
		put_number(w, m->target_incarnation, 4);
	if (has & HAS_EPOCH)
		put_number(w, m->epoch, 8);
	if (has & HAS_LEASE)
		put_number(w, m->lease_ms, 2);
	if (has & HAS_ADDR)
		put_addr(w, &m->addr);
	if (has & HAS_ENTRIES)
		put_entries(w, m);
	if (carries_grants(m, has))
		put_grants(w, m);
	if (carries_hash(m))
		put_number(w, m->grants_hash, 4);
	if (has & HAS_RECORD && m->has_record)
		put_record(w, &m->record);
}

static void take_body(struct reader *r, struct gossip_message *m, unsigned has)
{
	if (has & HAS_SEQ)
		m->seq = take_number(r, 8);
	if (has & HAS_FLAGS)
		m->flags = (uint8_t)take_number(r, 1);
	if (has & HAS_TARGET)
		take_bytes(r, m->target, GOSSIP_SHORT);
	if (has & HAS_INCARNATION)
		m->target_incarnation = (uint32_t)take_number(r, 4);
	if (has & HAS_EPOCH)
		m->epoch = take_number(r, 8);
	if (has & HAS_LEASE)
		m->lease_ms = (uint16_t)take_number(r, 2);
	if (has & HAS_ADDR)
		take_addr(r, &m->addr);
	if (has & HAS_ENTRIES)
		take_entries(r, m);
	if (carries_grants(m, has))
		take_grants(r, m);
	if (carries_hash(m))
		m->grants_hash = (uint32_t)take_number(r, 4);
	if (has & HAS_RECORD && r->left && !r->bad) {
		m->has_record = true;
		take_record(r, &m->record);
		m->record.version = m->version;
	}
}

size_t gossip_encode(const struct gossip_message *m, uint8_t *out)
{
	struct writer w = { out, GOSSIP_MAX, false };
	put_number(&w, m->type, 1);
	put_number(&w, m->incarnation, 4);
	put_number(&w, m->version, 4);
	put_number(&w, m->digest, 8);
	put_body(&w, m, parts[m->type]);
	return w.bad ? 0 : GOSSIP_MAX - w.room;
}

int gossip_decode(const uint8_t *bytes, size_t len, struct gossip_message *ret)
{
	struct reader r = { bytes, len, false };
	unsigned type = (unsigned)take_number(&r, 1);
	if (r.bad)
		return -EINVAL;
	if (!type || type >= sizeof(parts) / sizeof(parts[0]))
		return -ENOTSUP;
	ret->type = (enum gossip_type)type;
	ret->incarnation = (uint32_t)take_number(&r, 4);
	ret->version = (uint32_t)take_number(&r, 4);
	ret->digest = take_number(&r, 8);
	ret->flags = ret->entry_count = ret->grant_count = 0;
	ret->grants_hash = 0;
	ret->has_record = false;
	take_body(&r, ret, parts[type]);
	return r.bad ? -EINVAL : 0;
}

const char *gossip_type_name(enum gossip_type type)
{
	switch (type) {
#define GOSSIP_NAME(name, number)                                                                            \
	case GOSSIP_##name:                                                                                  \
		return #name;
		GOSSIP_TYPES(GOSSIP_NAME)
#undef GOSSIP_NAME
	}
	return "?";
}

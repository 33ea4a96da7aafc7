/* SPDX-License-Identifier: Apache-2.0 */
/* Messages: what is sent, and what comes in. */
#include "core/member.h"

#include "core/member_impl.h"

enum { FRESH = 10000, CHALLENGE_EVERY = 200, WANT_EVERY = 300, CALL_EVERY = 1000 };
enum { SYNC_SAME = 10000, SYNC_NEWS = 250, SYNC_A_SECOND = 5, SYNC_BURST = 4 };

static void set_now(struct members *ms, uint64_t now)
{
	if (now > ms->now)
		ms->now = now;
}

/* --- sending
 * -------------------------------------------------------------------------------------------------------------
 */

void members_send_to(struct members *ms, const uint8_t key[GOSSIP_KEY], const struct peer_addr *addr,
        struct gossip_message *message)
{
	uint8_t bytes[GOSSIP_MAX];
	message->incarnation = ms->incarnation;
	message->version = ms->self.version;
	message->digest = members_digest_for(ms, addr);
	size_t len = gossip_encode(message, bytes);
	if (!len)
		return;
	ms->counts.sent++;
	ms->env.send(ms->env.arg, key, addr, bytes, len);
}

void members_send(struct members *ms, const struct member *to, struct gossip_message *message)
{
	members_send_to(ms, to->key, &to->addr, message);
}

static void add_own_record(const struct members *ms, struct gossip_message *message)
{
	message->has_record = true;
	message->record = ms->self;
}

void member_new_seq(struct members *ms, struct member *m)
{
	m->seq = ms->env.random(ms->env.arg) | 1;
	m->sent_ms = ms->now;
}

void member_ping(struct members *ms, struct member *m, const struct peer_addr *addr)
{
	struct gossip_message ping = { .type = GOSSIP_PING, .seq = m->seq };
	if (!m->record.version || m->record.version != m->version_seen || !member_is_live(m))
		ping.flags = GOSSIP_WANT;
	if (!member_is_live(m))
		add_own_record(
		        ms, &ping); /* as long as the answer: nobody gains by faking a sender's address */
	members_send_to(ms, m->key, addr, &ping);
}

static void send_ack(struct members *ms, const struct gossip_from *to, uint64_t seq, bool with_record)
{
	struct gossip_message ack = { .type = GOSSIP_ACK, .seq = seq };
	if (with_record)
		add_own_record(ms, &ack);
	members_send_to(ms, to->key, &to->addr, &ack);
}

void members_health(struct members *ms, int change)
{
	int health = (int)ms->counts.health + change;
	ms->counts.health = (uint32_t)(health < 0 ? 0 : health > HEALTH_MAX ? HEALTH_MAX : health);
}

/* --- lists
 * -----------------------------------------------------------------------------------------------------------------
 */

static bool sync_token(struct members *ms)
{
	uint64_t more = (ms->now - ms->sync_ms) * 8 * SYNC_A_SECOND / 1000;
	if (more) {
		ms->sync_ms = ms->now;
		ms->sync_tokens8 += more;
		if (ms->sync_tokens8 > 8 * SYNC_BURST)
			ms->sync_tokens8 = 8 * SYNC_BURST;
	}
	if (ms->sync_tokens8 < 8)
		return false;
	ms->sync_tokens8 -= 8;
	return true;
}

/* Where a member is for those at `to`: our loopback is not theirs. False: nowhere. */
static bool address_for(const struct member *m, const struct peer_addr *to, struct peer_addr *ret)
{
	*ret = m->addr;
	if (peer_addr_is_loopback(to))
		return true;
	if (member_is_local(m))
		return false;
	for (unsigned i = 0; peer_addr_is_loopback(ret) && i < m->record.address_count; i++) {
		*ret = m->record.addresses[i];
		ret->port = m->addr.port;
	}
	return !peer_addr_is_loopback(ret);
}

static void send_list(struct members *ms, struct member *to, uint8_t flags)
{
	struct gossip_message page = { .type = GOSSIP_SYNC, .flags = flags };
	for (unsigned i = 0; i < ms->count; i++) {
		const struct member *m = ms->all[i];
		struct peer_addr addr;
		if (!member_is_live(m) || m == to || !address_for(m, &to->addr, &addr))
			continue;
		struct gossip_entry *entry = &page.entries[page.entry_count++];
		memcpy(entry->key, m->key, GOSSIP_KEY);
		entry->addr = addr;
		entry->version = m->record.version;
		if (page.entry_count < GOSSIP_SYNC_ENTRIES)
			continue;
		members_send(ms, to, &page);
		page.entry_count = 0;
		page.flags = 0;
	}
	if (page.entry_count || page.flags)
		members_send(ms, to, &page);
	ms->counts.syncs++;
}

static void compare_tables(struct members *ms, struct member *m, uint64_t theirs)
{
	uint64_t mine = members_digest_for(ms, &m->addr);
	if (theirs == mine)
		return;
	uint64_t pair = theirs ^ mine, age = ms->now - m->synced_ms;
	if (m->synced_ms && age < (m->synced_digest == pair ? SYNC_SAME : SYNC_NEWS))
		return;
	if (!sync_token(ms))
		return;
	m->synced_ms = ms->now;
	m->synced_digest = pair;
	send_list(ms, m, GOSSIP_WANT);
}

static void call(struct members *ms, struct member *m)
{
	member_new_seq(ms, m);
	m->retry_ms = ms->now;
	for (unsigned i = 0; i < m->try_count; i++)
		member_ping(ms, m, &m->tries[i]);
}

static bool is_barred(const struct members *ms, const uint8_t id[GOSSIP_ID])
{
	return ms->env.barred && ms->env.barred(ms->env.arg, id);
}

/* Somebody says that the node of this key is at addr: look there. */
static struct member *look_for(
        struct members *ms, const uint8_t key[GOSSIP_KEY], const struct peer_addr *addr)
{
	uint8_t id[GOSSIP_ID];
	ms->env.identify(ms->env.arg, key, id);
	struct member *m = members_find(ms, id);
	if (!m && !is_barred(ms, id))
		m = members_add(ms, key, id);
	if (!m || !addr->port)
		return m;
	member_add_try(m, addr);
	if (m->state == MEMBER_HEARD && (!m->retries || m->retries >= CONTACT_TRIES)) {
		m->retries = 0;
		m->retry_ms = ms->now;
	} else if (!member_is_live(m) && m->state != MEMBER_HEARD && ms->now - m->retry_ms >= CALL_EVERY) {
		call(ms, m);
	}
	return m;
}

static void take_list(struct members *ms, struct member *from, const struct gossip_message *message)
{
	for (unsigned i = 0; i < message->entry_count; i++) {
		const struct gossip_entry *entry = &message->entries[i];
		if (!memcmp(entry->key, ms->key, GOSSIP_KEY))
			continue;
		struct peer_addr addr = entry->addr;
		addr.scope = peer_addr_is_link_local(&addr) ? from->addr.scope : 0;
		struct member *m = look_for(ms, entry->key, &addr);
		bool news = m && member_is_live(m) && entry->version > m->record.version;
		if (news && ms->now - m->sent_ms >= WANT_EVERY) {
			m->version_seen = entry->version;
			m->accused = !m->probe_deadline;
		}
	}
	if (message->flags & GOSSIP_WANT && sync_token(ms)) {
		from->synced_ms = ms->now;
		from->synced_digest = message->digest ^ members_digest_for(ms, &from->addr);
		send_list(ms, from, 0);
	}
}

/* --- messages of members
 * ------------------------------------------------------------------------------------------------------ */

static void take_record_of(struct members *ms, struct member *m, const struct gossip_from *from,
        const struct gossip_message *message)
{
	m->record = message->record;
	unsigned usable = 0;
	for (unsigned i = 0; i < m->record.address_count; i++) {
		struct peer_addr addr = m->record.addresses[i];
		addr.scope = peer_addr_is_link_local(&addr) ? from->addr.scope : 0;
		/* What came over IPv4 does not tell at which interface a link-local address is. */
		if (addr.scope || !peer_addr_is_link_local(&addr))
			m->record.addresses[usable++] = addr;
	}
	m->record.address_count = usable ? (uint8_t)usable : m->record.address_count;
	members_digest_anew(ms);
}

static void take_ack(struct members *ms, struct member *m, const struct gossip_from *from,
        const struct gossip_message *message)
{
	member_rival_check(ms, m, message->seq);
	if (message->seq != m->seq) {
		members_relay_answer(ms, m, message);
		return;
	}
	if (!m->indirect)
		member_measured(m, ms->now - m->sent_ms);
	m->addr = from->addr;
}

static void take_relayed(struct members *ms, const struct gossip_message *message)
{
	struct member *target = members_find_short(ms, message->target);
	if (!target || !target->probe_deadline || target->seq != message->seq)
		return;
	if (message->type == GOSSIP_NACK)
		target->nacks++;
	else
		member_alive(ms, target, true);
}

static void take_leave(struct members *ms, struct member *m)
{
	m->probe_deadline = m->suspect_deadline = 0;
	m->accuser_count = 0;
	member_set_state(ms, m, MEMBER_LEFT);
	ms->env.changed(ms->env.arg, m, MEMBER_GONE);
}

static void take_by_type(struct members *ms, struct member *m, const struct gossip_from *from,
        const struct gossip_message *message)
{
	switch (message->type) {
	case GOSSIP_PING:
		send_ack(ms, from, message->seq, message->flags & GOSSIP_WANT);
		break;
	case GOSSIP_ACK:
		take_ack(ms, m, from, message);
		break;
	case GOSSIP_PING_REQ:
		members_relay(ms, m, message);
		break;
	case GOSSIP_RELAY_ACK:
	case GOSSIP_NACK:
		take_relayed(ms, message);
		break;
	case GOSSIP_ACCUSE:
		members_accused(ms, m, message);
		break;
	case GOSSIP_SYNC:
		take_list(ms, m, message);
		break;
	case GOSSIP_LEAVE:
		take_leave(ms, m);
		break;
	case GOSSIP_DUPLICATE:
		members_own_rival_hint(ms, &message->addr);
		break;
	case GOSSIP_TELL:
	case GOSSIP_BEACON: /* for the election */
	case GOSSIP_LEADER:
	case GOSSIP_PREVOTE:
	case GOSSIP_HANDOVER:
	case GOSSIP_RESIGN:
	case GOSSIP_ROLES:
		break;
	}
}

/* Datagrams may overtake each other: numbers only grow. */
static void take_header(struct members *ms, struct member *m, const struct gossip_message *message)
{
	if (message->incarnation > m->incarnation)
		m->incarnation = message->incarnation;
	if (message->version > m->version_seen || message->type == GOSSIP_ACK)
		m->version_seen = message->version;
	bool outdated = m->version_seen != m->record.version && !message->has_record;
	if (outdated && ms->now - m->sent_ms >= WANT_EVERY && !m->probe_deadline) {
		member_new_seq(ms, m);
		member_ping(ms, m, &m->addr);
	}
}

static void process(struct members *ms, struct member *m, const struct gossip_from *from,
        const struct gossip_message *message, int change)
{
	bool news = message->has_record && message->record.version != m->record.version &&
	            (!m->record.version || message->record.version > m->record.version);
	if (news)
		take_record_of(ms, m, from, message);
	take_header(ms, m, message);
	if (message->type != GOSSIP_LEAVE)
		member_alive(ms, m, message->type == GOSSIP_ACK);
	if (change || news)
		ms->env.changed(ms->env.arg, m, change ? (enum member_change)change : MEMBER_UPDATED);
	take_by_type(ms, m, from, message);
	if (member_is_live(m))
		compare_tables(ms, m, message->digest);
}

/* --- messages of processes that have not proven to be live
 * ------------------------------------------------------------------------ */

void member_verified(struct members *ms, struct member *m, uint64_t instance, const struct peer_addr *addr)
{
	if (m->instance != instance) {
		m->record.version = m->version_seen = 0;
		m->incarnation = 0;
		m->rtt_ms8 = 0;
	}
	m->instance = instance;
	m->addr = *addr;
	m->retries = 0;
	m->probe_deadline = m->suspect_deadline = 0;
	m->indirect = m->accused = false;
	m->accuser_count = 0;
	m->synced_ms = 0;
	member_set_state(ms, m, MEMBER_ALIVE);
	members_digest_anew(ms);
}

static bool stranger(struct members *ms, struct member *m, const struct gossip_from *from,
        const struct gossip_message *message)
{
	if (message->type == GOSSIP_ACK && m->seq && message->seq == m->seq && ms->now - m->sent_ms < FRESH) {
		enum member_change change = m->state == MEMBER_HEARD ? MEMBER_JOINED : MEMBER_BACK;
		member_verified(ms, m, from->instance, &from->addr);
		members_probe_soon(ms); /* whoever is asked learns by the digest that there is news */
		process(ms, m, from, message, (int)change);
		return true;
	}
	member_add_try(m, &from->addr);
	if (message->type == GOSSIP_PING)
		send_ack(ms, from, message->seq, message->flags & GOSSIP_WANT && message->has_record);
	/* What was just sent to its former process, which has died, does not count. */
	if (!m->challenged_ms || ms->now - m->challenged_ms >= CHALLENGE_EVERY) {
		m->challenged_ms = ms->now;
		member_new_seq(ms, m);
		member_ping(ms, m, &from->addr);
		if (m->state == MEMBER_HEARD) {
			m->retries = 1;
			m->retry_ms = ms->now + 250;
		}
	}
	return false;
}

struct member *members_receive(struct members *ms, uint64_t now, const struct gossip_from *from,
        const struct gossip_message *message)
{
	set_now(ms, now);
	ms->counts.received++;
	if (!memcmp(from->key, ms->key, GOSSIP_KEY)) {
		members_own_rival(ms, from, message);
		return NULL;
	}
	uint8_t id[GOSSIP_ID];
	ms->env.identify(ms->env.arg, from->key, id);
	if (is_barred(ms, id)) {
		ms->counts.barred++;
		return NULL;
	}
	struct member *m = members_find(ms, id);
	if (!m)
		m = members_add(ms, from->key, id);
	if (!m)
		return NULL;
	if (!member_is_live(m)) {
		bool late = m->state == MEMBER_LEFT && m->instance == from->instance;
		return !late && stranger(ms, m, from, message) ? m : NULL;
	}
	if (m->instance != from->instance) {
		member_rival_speaks(ms, m, from, message);
		return NULL;
	}
	process(ms, m, from, message, 0);
	return m;
}

/* --- the rest of the interface
 * ----------------------------------------------------------------------------------------------------- */

void members_describe(struct members *ms, uint64_t now, const struct node_description *record)
{
	set_now(ms, now);
	struct node_description next = *record;
	next.version = ms->self.version;
	if (!memcmp(&next, &ms->self, sizeof(next)))
		return;
	next.version++;
	ms->self = next;
	members_digest_anew(ms);
	struct gossip_message tell = { .type = GOSSIP_TELL };
	add_own_record(ms, &tell);
	for (unsigned i = 0; i < ms->count; i++)
		if (member_is_live(ms->all[i]))
			members_send(ms, ms->all[i], &tell);
}

const struct node_description *members_self(const struct members *ms)
{
	return &ms->self;
}

const uint8_t *members_self_id(const struct members *ms)
{
	return ms->id;
}

void members_hint(
        struct members *ms, uint64_t now, const uint8_t key[GOSSIP_KEY], const struct peer_addr *addr)
{
	set_now(ms, now);
	if (!memcmp(key, ms->key, GOSSIP_KEY))
		members_own_rival_hint(ms, addr);
	else
		look_for(ms, key, addr);
}

void members_wake(struct members *ms, uint64_t now)
{
	set_now(ms, now);
	for (unsigned i = 0; i < ms->count; i++) {
		struct member *m = ms->all[i];
		if (m->state == MEMBER_DEAD && ms->now - m->retry_ms >= CALL_EVERY)
			call(ms, m);
		if (m->state == MEMBER_HEARD) {
			m->retries = 0;
			m->retry_ms = ms->now;
		}
	}
}

uint64_t members_tick(struct members *ms, uint64_t now, bool sending)
{
	set_now(ms, now);
	uint64_t next = members_probe_tick(ms, sending);
	uint64_t end = members_expire(ms);
	ms->wanted = next < end ? next : end;
	return ms->wanted;
}

void members_expel(struct members *ms, uint64_t now, const uint8_t id[GOSSIP_ID])
{
	set_now(ms, now);
	struct member *m = members_find(ms, id);
	if (!m)
		return;
	if (member_is_live(m))
		take_leave(ms, m);
	members_forget(ms, m);
}

void members_leave(struct members *ms, uint64_t now)
{
	set_now(ms, now);
	for (int twice = 0; twice < 2; twice++)
		for (unsigned i = 0; i < ms->count; i++) {
			struct gossip_message leave = { .type = GOSSIP_LEAVE };
			if (member_is_live(ms->all[i]))
				members_send(ms, ms->all[i], &leave);
		}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Is it still there? Probing, suspicion, accusations, and probes made for others. */
#include "core/member_probe.h"

#include "core/member_impl.h"

enum { TIMEOUT_MIN = 50, TIMEOUT_MAX = 250, LATE = 200, CALL_ALONE = 1000, CALL = 300 };

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t period(const struct members *ms)
{
	return (uint64_t)ms->options.probe_ms * (1 + ms->counts.health);
}

/* Who falls silent may not be the only one, as when a network is cut in two: then others are looked at sooner. */
static uint64_t pace(const struct members *ms)
{
	return period(ms) / (ms->suspects ? 4 : 1);
}

void members_probe_soon(struct members *ms)
{
	ms->next_probe = sooner(ms->next_probe, ms->now + period(ms) / 4);
}

/* --- round trips
 * ---------------------------------------------------------------------------------------------------- */

void member_measured(struct member *m, uint64_t rtt_ms)
{
	uint32_t sample = (uint32_t)(rtt_ms > 2000 ? 2000 : rtt_ms) * 8 + 1;
	if (!m->rtt_ms8) {
		m->rtt_ms8 = sample;
		m->rtt_var8 = sample / 2;
		return;
	}
	uint32_t off = sample > m->rtt_ms8 ? sample - m->rtt_ms8 : m->rtt_ms8 - sample;
	m->rtt_var8 = (3 * m->rtt_var8 + off) / 4;
	m->rtt_ms8 = (7 * m->rtt_ms8 + sample) / 8;
}

uint64_t member_timeout(const struct members *ms, const struct member *m)
{
	uint64_t ms8 = m->rtt_ms8 ? m->rtt_ms8 + 4 * (uint64_t)m->rtt_var8 : TIMEOUT_MAX * 8;
	uint64_t timeout = ms8 / 8;
	timeout = timeout < TIMEOUT_MIN ? TIMEOUT_MIN : timeout > TIMEOUT_MAX ? TIMEOUT_MAX : timeout;
	return timeout * (1 + ms->counts.health);
}

/* --- a probe
 * -------------------------------------------------------------------------------------------------------- */

void member_probe(struct members *ms, struct member *m)
{
	ms->counts.probes++;
	member_new_seq(ms, m);
	m->indirect = m->accused = false;
	m->nacks = m->nacks_wanted = 0;
	m->probe_deadline = ms->now + member_timeout(ms, m);
	member_ping(ms, m, &m->addr);
}

static void ask_others(struct members *ms, struct member *m)
{
	struct member *helpers[MEMBER_HELPERS];
	unsigned n = members_pick(ms, m, helpers, MEMBER_HELPERS);
	for (unsigned i = 0; i < n; i++) {
		struct gossip_message ask = { .type = GOSSIP_PING_REQ, .seq = m->seq };
		memcpy(ask.target, m->id, GOSSIP_SHORT);
		memcpy(&m->helpers[i], helpers[i]->id, sizeof(m->helpers[i]));
		members_send(ms, helpers[i], &ask);
	}
	m->asked_ms = ms->now;
	for (unsigned i = 0; i < m->try_count; i++)
		if (!peer_addr_eq(&m->tries[i], &m->addr))
			member_ping(ms, m, &m->tries[i]);
	member_ping(ms, m, &m->addr);
	m->indirect = true;
	m->nacks_wanted = (uint8_t)n;
	m->probe_deadline = ms->now + (n ? 3 : 1) * member_timeout(ms, m);
}

/* --- suspicion
 * ------------------------------------------------------------------------------------------------------ */

/* From three times the least time down to the least, by how many others agree of those who could. */
static uint64_t suspicion_time(const struct members *ms, const struct member *m)
{
	static const uint16_t shares[4][4] = { { 1000, 1000, 1000, 1000 }, { 0, 1000, 1000, 1000 },
		{ 0, 631, 1000, 1000 }, { 0, 500, 792, 1000 } };
	uint64_t least = ms->options.suspicion_ms;
	if (ms->live > 32)
		least = least * (ms->live > 100 ? 5 : 4) / 3;
	unsigned possible = ms->live < 2 ? 0 : ms->live - 1;
	unsigned said = m->accuser_count > 3 ? 3 : m->accuser_count;
	return least * 3 - least * 2 * shares[possible > 3 ? 3 : possible][said] / 1000;
}

static void accuse(struct members *ms, struct member *m, uint8_t flags)
{
	struct gossip_message message = {
		.type = GOSSIP_ACCUSE, .flags = flags, .target_incarnation = m->incarnation
	};
	memcpy(message.target, m->id, GOSSIP_SHORT);
	if (!(flags & GOSSIP_DEAD))
		members_send(ms, m, &message);
	struct member *others[ACCUSE_FANOUT];
	unsigned n = members_pick(ms, m, others, ACCUSE_FANOUT);
	for (unsigned i = 0; i < n; i++)
		members_send(ms, others[i], &message);
}

static void die(struct members *ms, struct member *m)
{
	ms->counts.deaths++;
	m->failures++;
	m->probe_deadline = m->suspect_deadline = 0;
	m->accuser_count = 0;
	m->rival = (struct member_rival){ 0 };
	member_set_state(ms, m, MEMBER_DEAD);
	m->retry_ms = ms->now;
	accuse(ms, m, GOSSIP_DEAD);
	ms->env.changed(ms->env.arg, m, MEMBER_FAILED);
}

static void suspect(struct members *ms, struct member *m)
{
	if (m->state == MEMBER_ALIVE) {
		ms->counts.suspicions++;
		member_set_state(ms, m, MEMBER_SUSPECT);
		m->suspect_from = ms->now;
		m->suspect_deadline = ms->now + suspicion_time(ms, m);
		accuse(ms, m, 0);
		members_probe_soon(ms);
	}
	/* Where nobody else can be asked, more questions of our own stand in for them. */
	m->due_ms = ms->now + (m->nacks_wanted ? ms->options.probe_ms : ms->options.probe_ms / 4);
}

static bool heard_since(const struct member *m, uint64_t when)
{
	return member_is_live(m) && m->heard_ms >= when;
}

/* Is it this node that does not hear? Then helpers that are there did not get through with their answers, or nobody does.
 * A helper that is silent altogether may be gone itself, as many are at once when a network is cut in two. */
static bool is_own_fault(const struct members *ms, const struct member *m)
{
	unsigned heard = 0;
	bool anybody = false;
	if (!m->nacks_wanted)
		return m->state == MEMBER_ALIVE;
	for (unsigned i = 0; i < ms->count; i++) {
		const struct member *other = ms->all[i];
		uint64_t id;
		if (other == m || !heard_since(other, m->asked_ms))
			continue;
		anybody = true;
		memcpy(&id, other->id, sizeof(id));
		for (unsigned h = 0; h < m->nacks_wanted; h++)
			heard += m->helpers[h] == id;
	}
	return anybody ? m->nacks < heard : m->nacks < m->nacks_wanted;
}

static void probe_failed(struct members *ms, struct member *m)
{
	ms->counts.failed_probes++;
	m->probe_deadline = 0;
	if (is_own_fault(ms, m))
		members_health(ms, 1);
	suspect(ms, m);
}

void member_alive(struct members *ms, struct member *m, bool asked)
{
	m->heard_ms = ms->now;
	m->due_ms = ms->now + period(ms) + (asked ? 0 : period(ms) / 4);
	m->accused = false;
	if (m->probe_deadline) {
		m->probe_deadline = 0;
		members_health(ms, -1);
	}
	if (m->state == MEMBER_SUSPECT) {
		ms->counts.refuted++;
		m->suspect_deadline = 0;
		m->accuser_count = 0;
		member_set_state(ms, m, MEMBER_ALIVE);
	}
}

/* --- accusations by others
 * --------------------------------------------------------------------------------------------- */

static void tell_all(struct members *ms)
{
	struct gossip_message tell = { .type = GOSSIP_TELL };
	for (unsigned i = 0; i < ms->count; i++)
		if (member_is_live(ms->all[i]))
			members_send(ms, ms->all[i], &tell);
}

/* Nobody knows an incarnation of ours that we did not have: higher claims are nonsense. */
static void defend(struct members *ms, const struct member *by, uint32_t incarnation)
{
	if (incarnation > ms->incarnation)
		return;
	if (ms->now - ms->health_ms >= 1000) {
		ms->health_ms = ms->now;
		members_health(ms, 1);
	}
	if (incarnation == ms->incarnation && ms->now - ms->refuted_ms >= 1000) {
		ms->incarnation++;
		ms->refuted_ms = ms->now;
		tell_all(ms);
		return;
	}
	struct gossip_message tell = { .type = GOSSIP_TELL };
	members_send(ms, by, &tell);
}

static bool note_accuser(struct member *m, const struct member *by)
{
	uint64_t id;
	memcpy(&id, by->id, 8);
	for (unsigned i = 0; i < m->accuser_count; i++)
		if (m->accusers[i] == id)
			return false;
	if (m->accuser_count == MEMBER_ACCUSERS)
		return false;
	m->accusers[m->accuser_count++] = id;
	return true;
}

void members_accused(struct members *ms, const struct member *by, const struct gossip_message *message)
{
	if (!memcmp(message->target, ms->id, GOSSIP_SHORT)) {
		defend(ms, by, message->target_incarnation);
		return;
	}
	struct member *m = members_find_short(ms, message->target);
	if (!m || m == by || !member_is_live(m) || message->target_incarnation < m->incarnation)
		return;
	bool news = note_accuser(m, by);
	if (m->state == MEMBER_ALIVE) {
		m->accused = !m->probe_deadline;
		return;
	}
	if (message->flags & GOSSIP_DEAD)
		m->suspect_deadline = ms->now; /* we found so ourselves, and now somebody has waited it out */
	else if (news)
		m->suspect_deadline = m->suspect_from + suspicion_time(ms, m);
}

/* --- probes for others
 * -------------------------------------------------------------------------------------------------- */

void members_relay(struct members *ms, struct member *for_whom, const struct gossip_message *message)
{
	struct member *target = members_find_short(ms, message->target);
	struct relay *free_one = NULL;
	for (unsigned i = 0; i < RELAYS && !free_one; i++)
		if (!ms->relays[i].deadline)
			free_one = &ms->relays[i];
	if (!target || target == for_whom || !member_is_live(target) || !free_one)
		return;
	ms->relaying++;
	*free_one = (struct relay){ .seq = ms->env.random(ms->env.arg),
		.their_seq = message->seq,
		.deadline = ms->now + member_timeout(ms, target) };
	memcpy(free_one->requester, for_whom->id, GOSSIP_ID);
	memcpy(free_one->target, target->id, GOSSIP_ID);
	struct gossip_message ping = { .type = GOSSIP_PING, .seq = free_one->seq };
	members_send(ms, target, &ping);
}

static void end_relay(struct members *ms, struct relay *relay, const struct member *answered)
{
	struct member *requester = members_find(ms, relay->requester);
	struct gossip_message message = { .type = answered ? GOSSIP_RELAY_ACK : GOSSIP_NACK,
		.seq = relay->their_seq,
		.target_incarnation = answered ? answered->incarnation : 0 };
	memcpy(message.target, relay->target, GOSSIP_SHORT);
	relay->deadline = 0;
	ms->relaying--;
	if (requester && member_is_live(requester))
		members_send(ms, requester, &message);
}

bool members_relay_answer(struct members *ms, struct member *from, const struct gossip_message *message)
{
	for (unsigned i = 0; i < RELAYS && ms->relaying; i++) {
		struct relay *relay = &ms->relays[i];
		if (relay->deadline && relay->seq == message->seq &&
		        !memcmp(relay->target, from->id, GOSSIP_ID)) {
			end_relay(ms, relay, from);
			return true;
		}
	}
	return false;
}

/* --- the clock
 * -----------------------------------------------------------------------------------------------------------
 */

/* We were late (stopped, starved, asleep): that is not the others' fault. */
static void excuse_lateness(struct members *ms)
{
	if (ms->wanted == UINT64_MAX || ms->now < ms->wanted + LATE)
		return;
	uint64_t late = ms->now - ms->wanted;
	members_health(ms, 1);
	for (unsigned i = 0; i < ms->count; i++) {
		struct member *m = ms->all[i];
		if (m->probe_deadline)
			m->probe_deadline += late;
		if (m->suspect_deadline) {
			m->suspect_deadline += late;
			m->suspect_from += late;
		}
		if (m->rival.deadline)
			m->rival.deadline += late;
	}
	for (unsigned i = 0; i < RELAYS; i++)
		if (ms->relays[i].deadline)
			ms->relays[i].deadline += late;
}

static uint64_t watch_live(struct members *ms, struct member *m)
{
	if (m->suspect_deadline && ms->now >= m->suspect_deadline) {
		die(ms, m);
		return UINT64_MAX;
	}
	if (m->probe_deadline && ms->now >= m->probe_deadline) {
		if (m->indirect)
			probe_failed(ms, m);
		else
			ask_others(ms, m);
	}
	bool again = m->accused || (m->state == MEMBER_SUSPECT && ms->now >= m->due_ms);
	if (again && !m->probe_deadline)
		member_probe(ms, m);
	uint64_t next = m->probe_deadline ? m->probe_deadline : UINT64_MAX;
	if (m->state == MEMBER_SUSPECT) {
		next = sooner(next, m->suspect_deadline);
		if (!m->probe_deadline)
			next = sooner(next, m->due_ms);
	}
	return sooner(next, member_rival_tick(ms, m));
}

static bool in_round(const struct member *m)
{
	return m->state == MEMBER_ALIVE && !m->probe_deadline;
}

/* When somebody will not have been heard lately. Asked at each tick, so that a beacon puts off the wake-up. */
static uint64_t round_due(const struct members *ms)
{
	uint64_t due = UINT64_MAX;
	for (unsigned i = 0; i < ms->count; i++)
		if (in_round(ms->all[i]))
			due = sooner(due, ms->all[i]->due_ms);
	return due > ms->next_probe ? due : ms->next_probe;
}

/* The member whose id comes after ours, in a ring; NULL: none in the round. */
static struct member *successor(const struct members *ms)
{
	struct member *first = NULL, *next = NULL;
	for (unsigned i = 0; i < ms->count; i++) {
		struct member *m = ms->all[i];
		if (!in_round(m))
			continue;
		if (!first || memcmp(m->id, first->id, GOSSIP_ID) < 0)
			first = m;
		if (memcmp(m->id, ms->id, GOSSIP_ID) > 0 && (!next || memcmp(m->id, next->id, GOSSIP_ID) < 0))
			next = m;
	}
	return next ? next : first;
}

/* Probes one of those not heard lately: by turns the successor, so that everybody is looked at by somebody at a known
 * rate, and the next in the order of the round, so that in time all are by all. */
static void probe_next(struct members *ms, uint64_t early)
{
	ms->next_probe = ms->now + pace(ms);
	struct member *after = ms->ring_last ? NULL : successor(ms);
	ms->ring_last = after && after->due_ms <= ms->now + period(ms) / 2; /* soon is near enough */
	if (ms->ring_last) {
		member_probe(ms, after);
		return;
	}
	for (unsigned i = 0; i < ms->count; i++) {
		if (ms->cursor >= ms->count) {
			members_shuffle(ms);
			ms->cursor = 0;
		}
		struct member *m = ms->all[ms->cursor++];
		if (in_round(m) && m->due_ms <= ms->now + early) {
			member_probe(ms, m);
			return;
		}
	}
}

static uint64_t call_unknown(struct members *ms)
{
	uint64_t next = UINT64_MAX;
	unsigned calls = 0;
	for (unsigned i = 0; i < ms->count; i++) {
		struct member *m = ms->all[i];
		if (m->state != MEMBER_HEARD || m->retries > CONTACT_TRIES)
			continue;
		if (m->retry_ms <= ms->now && m->retries < CONTACT_TRIES && calls < CONTACTS_A_TICK) {
			calls++;
			member_new_seq(ms, m);
			for (unsigned t = 0; t < m->try_count; t++)
				member_ping(ms, m, &m->tries[t]);
			m->retry_ms = ms->now + (250u << m->retries++);
		}
		next = sooner(next, m->retry_ms <= ms->now ? ms->now + 10 : m->retry_ms);
	}
	return next;
}

static uint64_t call_period(const struct members *ms, uint64_t age)
{
	uint64_t base = age < 300000 ? (ms->live ? CALL : CALL_ALONE) : age < 3600000 ? 5000 : 30000;
	return base * (1 + ms->live); /* all members together call at the same rate, however many they are */
}

/* The dead one that was not called for longest, NULL: there is none; and how long the latest is dead. */
static struct member *longest_dead(const struct members *ms, uint64_t *ret_age)
{
	struct member *longest = NULL;
	*ret_age = UINT64_MAX;
	for (unsigned i = 0; i < ms->count; i++) {
		struct member *m = ms->all[i];
		if (m->state != MEMBER_DEAD)
			continue;
		*ret_age = sooner(*ret_age, ms->now - m->since_ms);
		if (!longest || m->retry_ms < longest->retry_ms)
			longest = m;
	}
	return longest;
}

/* A network that healed becomes one again by the first dead one that answers. When to be called. */
static uint64_t call_dead(struct members *ms)
{
	uint64_t age;
	struct member *m = ms->count > ms->live + ms->heard ? longest_dead(ms, &age) : NULL;
	if (!m) {
		ms->next_call = UINT64_MAX;
		return UINT64_MAX;
	}
	uint64_t every = call_period(ms, age);
	/* Those who lost somebody lost it together: they must not all call at once, and then nobody for long. */
	if (ms->next_call > ms->now + every + every / 2)
		ms->next_call = ms->now + members_random_below(ms, every + every / 2);
	if (ms->next_call > ms->now)
		return ms->next_call;
	m->retry_ms = ms->now;
	member_new_seq(ms, m);
	member_ping(ms, m, &m->addr);
	for (unsigned i = 0; i < m->try_count; i++)
		if (!peer_addr_eq(&m->tries[i], &m->addr))
			member_ping(ms, m, &m->tries[i]);
	ms->next_call = ms->now + every / 2 + members_random_below(ms, every);
	return ms->next_call;
}

uint64_t members_probe_tick(struct members *ms, bool sending)
{
	excuse_lateness(ms);
	uint64_t next = UINT64_MAX, early = sending ? ms->options.probe_ms / 3 : 0;
	for (unsigned i = 0; i < ms->count; i++)
		if (member_is_live(ms->all[i]))
			next = sooner(next, watch_live(ms, ms->all[i]));
	for (unsigned i = 0; i < RELAYS && ms->relaying; i++) {
		struct relay *relay = &ms->relays[i];
		if (relay->deadline && ms->now >= relay->deadline)
			end_relay(ms, relay, NULL);
		else if (relay->deadline)
			next = sooner(next, relay->deadline);
	}
	if (ms->live && ms->now + early >= round_due(ms))
		probe_next(ms, early);
	if (ms->live)
		next = sooner(next, round_due(ms));
	if (ms->heard)
		next = sooner(next, call_unknown(ms));
	return sooner(next, call_dead(ms));
}

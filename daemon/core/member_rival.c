/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two processes with one key: a restart, or a state folder that was copied to a second host. A restarted
 * process never speaks again under its old instance; so the old one is asked once more, and when it answers,
 * both are told. The one known first stays the member.
 */
#include "core/member_rival.h"

#include "core/member_impl.h"

enum { ASK_EVERY = 200, CHECK = 500, QUIET = 10000, OWN_ASK_EVERY = 1000, OWN_TELL_EVERY = 60000 };

static void send_seq(struct members *ms, const uint8_t key[GOSSIP_KEY], const struct peer_addr *to,
        enum gossip_type type, uint64_t seq)
{
	struct gossip_message message = { .type = type, .seq = seq };
	members_send_to(ms, key, to, &message);
}

static void take_over(struct members *ms, struct member *m)
{
	struct member_rival rival = m->rival;
	m->rival = (struct member_rival){ 0 };
	member_verified(ms, m, rival.instance, &rival.addr);
	member_new_seq(ms, m);
	member_ping(ms, m, &m->addr);
}

static void rival_is_real(struct members *ms, struct member *m)
{
	struct member_rival *r = &m->rival;
	if (peer_addr_eq(&r->addr, &m->addr)) { /* two cannot have one socket */
		take_over(ms, m);
		return;
	}
	if (r->deadline)
		return;
	r->check_seq = ms->env.random(ms->env.arg);
	r->deadline = ms->now + CHECK;
	send_seq(ms, m->key, &m->addr, GOSSIP_PING, r->check_seq);
}

void member_rival_speaks(struct members *ms, struct member *m, const struct gossip_from *from,
        const struct gossip_message *message)
{
	struct member_rival *r = &m->rival;
	if (ms->now < r->quiet_until || (r->deadline && r->instance != from->instance))
		return;
	if (r->instance != from->instance)
		*r = (struct member_rival){
			.instance = from->instance, .addr = from->addr, .seq = ms->env.random(ms->env.arg)
		};
	if (message->type == GOSSIP_ACK && message->seq == r->seq) {
		r->addr = from->addr;
		rival_is_real(ms, m);
		return;
	}
	if (message->type == GOSSIP_PING)
		send_seq(ms, m->key, &from->addr, GOSSIP_ACK, message->seq);
	if (!r->asked_ms || ms->now - r->asked_ms >= ASK_EVERY) {
		r->asked_ms = ms->now;
		send_seq(ms, m->key, &from->addr, GOSSIP_PING, r->seq);
	}
}

void member_rival_check(struct members *ms, struct member *m, uint64_t seq)
{
	struct member_rival *r = &m->rival;
	if (!r->deadline || seq != r->check_seq)
		return;
	r->deadline = 0;
	r->quiet_until = ms->now + QUIET;
	ms->counts.duplicates++;
	struct gossip_message tell = { .type = GOSSIP_DUPLICATE, .addr = r->addr };
	members_send_to(ms, m->key, &m->addr, &tell);
	tell.addr = m->addr;
	members_send_to(ms, m->key, &r->addr, &tell);
	ms->env.changed(ms->env.arg, m, MEMBER_DUPLICATE);
}

uint64_t member_rival_tick(struct members *ms, struct member *m)
{
	if (!m->rival.deadline)
		return UINT64_MAX;
	if (ms->now < m->rival.deadline)
		return m->rival.deadline;
	take_over(ms, m);
	return UINT64_MAX;
}

/* --- a second process with our own key
 * ---------------------------------------------------------------------------------- */

void members_own_rival_hint(struct members *ms, const struct peer_addr *addr)
{
	if (ms->own_rival_ms && ms->now - ms->own_rival_ms < OWN_ASK_EVERY)
		return;
	ms->own_rival_ms = ms->now;
	ms->own_rival_seq = ms->env.random(ms->env.arg);
	send_seq(ms, ms->key, addr, GOSSIP_PING, ms->own_rival_seq);
}

void members_own_rival(
        struct members *ms, const struct gossip_from *from, const struct gossip_message *message)
{
	if (from->instance == ms->instance)
		return; /* the network showed us ourselves */
	if (message->type == GOSSIP_PING)
		send_seq(ms, ms->key, &from->addr, GOSSIP_ACK, message->seq);
	if (message->type != GOSSIP_ACK || !ms->own_rival_seq || message->seq != ms->own_rival_seq) {
		members_own_rival_hint(ms, &from->addr);
		return;
	}
	ms->own_rival_seq = 0;
	if (ms->own_rival_told_ms && ms->now - ms->own_rival_told_ms < OWN_TELL_EVERY)
		return;
	ms->own_rival_told_ms = ms->now;
	ms->counts.duplicates++;
	ms->env.own_duplicate(ms->env.arg, &from->addr);
}

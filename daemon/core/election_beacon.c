/* SPDX-License-Identifier: Apache-2.0 */
#include "core/election_beacon.h"

#include "core/election_impl.h"

enum { ANNOUNCE = 1000, LONG_LEASES = 7, LONG_MAX = 5000 };

/* Suspicion alone does not end the office. */
static bool may_be_deputy(const struct election *e, const struct member *m)
{
	return election_is_peer(e, m) && m->record.version && m->record.rank.eligible;
}

unsigned election_deputies(
        const struct election *e, const struct member * not, struct member *ret[ELECTION_DEPUTIES])
{
	unsigned n = 0;
	struct member *m;
	for (unsigned i = 0; (m = members_at(e->members, i)); i++) {
		if (m == not || !may_be_deputy(e, m))
			continue;
		unsigned at = n;
		for (; at > 0 && election_fitter(e, m, ret[at - 1]); at--)
			if (at < ELECTION_DEPUTIES)
				ret[at] = ret[at - 1];
		if (at < ELECTION_DEPUTIES)
			ret[at] = m;
		n += n < ELECTION_DEPUTIES;
	}
	return n;
}

static bool is_among(const struct member *m, struct member *const *all, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (all[i] == m)
			return true;
	return false;
}

static uint32_t long_lease(const struct election *e)
{
	uint32_t lease = e->options.lease_ms * LONG_LEASES;
	return lease > LONG_MAX ? LONG_MAX : lease;
}

/* Every so many beacons the others get one: two in a long lease. */
static unsigned rarely(const struct election *e)
{
	unsigned n = long_lease(e) / 2 / e->options.beacon_ms;
	return n ? n : 1;
}

static void send_one(struct election *e, const struct member *to, bool deputy, bool whole)
{
	struct gossip_message beacon = { .type = GOSSIP_BEACON,
		.epoch = e->epoch,
		.lease_ms = (uint16_t)(deputy ? e->options.lease_ms : long_lease(e)),
		.flags = (uint8_t)((e->lone ? GOSSIP_LONE : 0) |
		                   (e->reason == ELECTION_BY_HANDED ? GOSSIP_HANDED : 0)) };
	e->env.add_grants(e->env.arg, &beacon, whole);
	members_send(e->members, to, &beacon);
}

void election_send_beacon(struct election *e, const struct member *to, bool whole)
{
	struct member *deputies[ELECTION_DEPUTIES];
	unsigned n = election_deputies(e, NULL, deputies);
	send_one(e, to, is_among(to, deputies, n), whole);
}

void election_send_beacons(struct election *e)
{
	struct member *deputies[ELECTION_DEPUTIES], *m;
	unsigned n = election_deputies(e, NULL, deputies), every = rarely(e);
	e->beacons++;
	for (unsigned i = 0; (m = members_at(e->members, i)); i++) {
		bool deputy = is_among(m, deputies, n);
		/* not all at once: by the first byte of their ids */
		bool turn = deputy || e->now < e->announce_until || (e->beacons + m->id[0]) % every == 0;
		if (turn && election_is_peer(e, m))
			send_one(e, m, deputy, false);
	}
	e->next_beacon = members_live_kin(e->members) ? e->now + e->options.beacon_ms : UINT64_MAX;
	if (e->lone && e->met_ms && e->now - e->met_ms >= e->options.lease_ms)
		e->lone = false;
	if (!e->met_ms && members_live_kin(e->members))
		e->met_ms = e->now;
}

void election_announce_soon(struct election *e)
{
	e->announce_until = e->now + ANNOUNCE;
}

void election_announce(struct election *e)
{
	election_announce_soon(e);
	election_send_beacons(e);
}

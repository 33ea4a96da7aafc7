/* SPDX-License-Identifier: Apache-2.0 */
#include "core/swarm.h"

#include <stdlib.h>
#include <errno.h>

struct swarm {
	struct swarm_env env;
	struct members *members;
	struct election *election;
	struct roles *roles;
	uint64_t now;
	uint64_t malformed;
	bool started, leaving, left;
};

static void tell(struct swarm *s, struct swarm_event event)
{
	s->env.event(s->env.arg, &event);
}

/* --- what the parts tell
 * ------------------------------------------------------------------------------------------------ */

static void member_changed(void *arg, const struct member *m, enum member_change change)
{
	static const enum swarm_event_type types[] = {
		[MEMBER_JOINED] = SWARM_JOINED,
		[MEMBER_BACK] = SWARM_JOINED,
		[MEMBER_UPDATED] = SWARM_UPDATED,
		[MEMBER_FAILED] = SWARM_LEFT,
		[MEMBER_GONE] = SWARM_LEFT,
		[MEMBER_FORGOTTEN] = SWARM_FORGOTTEN,
		[MEMBER_DUPLICATE] = SWARM_DUPLICATE,
	};
	struct swarm *s = arg;
	tell(s, (struct swarm_event){ .type = types[change], .member = m, .addr = &m->rival.addr });
	if (change == MEMBER_FORGOTTEN || change == MEMBER_DUPLICATE)
		return;
	roles_assign(s->roles, s->now);
	election_member(s->election, s->now, m, change);
}

static void own_duplicate(void *arg, const struct peer_addr *addr)
{
	tell(arg, (struct swarm_event){ .type = SWARM_OWN_DUPLICATE, .addr = addr });
}

static void supernode_changed(void *arg)
{
	struct swarm *s = arg;
	if (election_leads(s->election))
		roles_lead(s->roles, s->now, election_epoch(s->election));
	else
		roles_follow(s->roles);
	tell(s, (struct swarm_event){ .type = SWARM_SUPERNODE });
}

static void role_changed(void *arg, const struct role_grant *grant)
{
	tell(arg, (struct swarm_event){ .type = SWARM_ROLE, .grant = grant });
}

static void add_grants(void *arg, struct gossip_message *message, bool whole)
{
	struct swarm *s = arg;
	roles_add(s->roles, s->now, message, whole);
}

static bool take_grants(void *arg, const struct gossip_message *message)
{
	struct swarm *s = arg;
	return roles_take(s->roles, s->now, message);
}

/* --- what the parts ask for
 * ------------------------------------------------------------------------------------------------ */

static uint64_t draw(void *arg)
{
	struct swarm *s = arg;
	return s->env.random(s->env.arg);
}

static void send_datagram(void *arg, const uint8_t key[GOSSIP_KEY], const struct peer_addr *to,
        const uint8_t *bytes, size_t len)
{
	struct swarm *s = arg;
	s->env.send(s->env.arg, key, to, bytes, len);
}

static void identify(void *arg, const uint8_t key[GOSSIP_KEY], uint8_t ret_id[GOSSIP_ID])
{
	struct swarm *s = arg;
	s->env.identify(s->env.arg, key, ret_id);
}

static bool barred(void *arg, const uint8_t id[GOSSIP_ID])
{
	struct swarm *s = arg;
	return s->env.barred && s->env.barred(s->env.arg, id);
}

static bool kin(void *arg, const struct member *m)
{
	struct swarm *s = arg;
	return !s->env.kin || s->env.kin(s->env.arg, m);
}

static int save_epoch(void *arg, uint64_t epoch)
{
	struct swarm *s = arg;
	return s->env.save_epoch(s->env.arg, epoch);
}

/* --- making
 * ---------------------------------------------------------------------------------------------------------------
 */

int swarm_new(const struct swarm_options *options, const struct swarm_env *env, const uint8_t key[GOSSIP_KEY],
        uint64_t instance, uint64_t saved_epoch, struct swarm **ret)
{
	struct swarm *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->env = *env;
	struct members_env members_env = { s, draw, send_datagram, identify, member_changed, own_duplicate,
		barred, kin };
	struct election_env election_env = { s, draw, save_epoch, supernode_changed, add_grants,
		take_grants };
	int r = members_new(&options->members, &members_env, key, instance, &s->members);
	if (!r)
		r = election_new(&options->election, &election_env, s->members, saved_epoch, &s->election);
	if (!r)
		r = roles_new(&(struct roles_env){ s, role_changed }, s->members, &s->roles);
	if (r) {
		swarm_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void swarm_free(struct swarm *s)
{
	if (!s)
		return;
	roles_free(s->roles);
	election_free(s->election);
	members_free(s->members);
	free(s);
}

/* --- driving
 * ----------------------------------------------------------------------------------------------------------------
 */

static void set_now(struct swarm *s, uint64_t now)
{
	if (now > s->now)
		s->now = now;
}

uint64_t swarm_tick(struct swarm *s, uint64_t now)
{
	set_now(s, now);
	if (!s->started || s->left)
		return UINT64_MAX;
	uint64_t next = members_tick(s->members, s->now, election_beacon_due(s->election, s->now));
	uint64_t others[] = { election_tick(s->election, s->now), roles_tick(s->roles, s->now) };
	for (unsigned i = 0; i < 2; i++)
		next = others[i] < next ? others[i] : next;
	if (s->leaving && election_left(s->election)) {
		members_leave(s->members, s->now);
		s->left = true;
		return UINT64_MAX;
	}
	return next > s->now ? next : s->now + 1;
}

uint64_t swarm_start(struct swarm *s, uint64_t now, const struct node_description *record)
{
	set_now(s, now);
	s->started = true;
	members_describe(s->members, s->now, record);
	election_start(s->election, s->now);
	return swarm_tick(s, now);
}

uint64_t swarm_describe(struct swarm *s, uint64_t now, const struct node_description *record)
{
	set_now(s, now);
	members_describe(s->members, s->now, record);
	roles_assign(s->roles, s->now);
	return swarm_tick(s, now);
}

uint64_t swarm_hint(
        struct swarm *s, uint64_t now, const uint8_t key[GOSSIP_KEY], const struct peer_addr *addr)
{
	set_now(s, now);
	if (s->started && !s->leaving)
		members_hint(s->members, s->now, key, addr);
	return swarm_tick(s, now);
}

uint64_t swarm_wake(struct swarm *s, uint64_t now)
{
	set_now(s, now);
	if (s->started && !s->leaving)
		members_wake(s->members, s->now);
	return swarm_tick(s, now);
}

uint64_t swarm_expel(struct swarm *s, uint64_t now, const uint8_t id[GOSSIP_ID])
{
	set_now(s, now);
	members_expel(s->members, s->now, id);
	return swarm_tick(s, now);
}

uint64_t swarm_receive(
        struct swarm *s, uint64_t now, const struct gossip_from *from, const uint8_t *bytes, size_t len)
{
	set_now(s, now);
	if (!s->started || s->left)
		return UINT64_MAX;
	struct gossip_message message;
	int r = gossip_decode(bytes, len, &message);
	if (r == -EINVAL)
		s->malformed++;
	struct member *m = r ? NULL : members_receive(s->members, s->now, from, &message);
	if (m && members_kin(s->members, m))
		election_receive(s->election, s->now, m, &message);
	return swarm_tick(s, now);
}

uint64_t swarm_kin_changed(struct swarm *s, uint64_t now)
{
	set_now(s, now);
	roles_assign(s->roles, s->now);
	election_kin_changed(s->election, s->now);
	return swarm_tick(s, now);
}

uint64_t swarm_leave(struct swarm *s, uint64_t now)
{
	set_now(s, now);
	if (!s->leaving)
		election_leave(s->election, s->now);
	s->leaving = true;
	return swarm_tick(s, now);
}

bool swarm_left(const struct swarm *s)
{
	return s->left || !s->started;
}

struct members *swarm_members(const struct swarm *s)
{
	return s->members;
}

struct election *swarm_election(const struct swarm *s)
{
	return s->election;
}

struct roles *swarm_roles(const struct swarm *s)
{
	return s->roles;
}

uint64_t swarm_malformed(const struct swarm *s)
{
	return s->malformed;
}

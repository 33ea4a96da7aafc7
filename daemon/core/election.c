/* SPDX-License-Identifier: Apache-2.0 */
#include "core/election.h"

#include <errno.h>
#include <stdlib.h>
#include "core/election_beacon.h"
#include "core/election_impl.h"

enum {
	SAVE_STEP = 16,
	ASKED = 5,
	LEASE_MIN = 200,
	REST_MIN = 20,
	LEASE_MAX = 5000,
	AHEAD_MAX = 10,
	HAND_TRIES = 3,
	STRANGERS = 5,
	DOUBT = 250,     /* ms before a lease ends: more than two beacons are missing */
	DOUBT_EVERY = 50 /* ms: so often the supernode is asked then */
};
#define EPOCH_LEAP ((uint64_t)1 << 32) /* nobody gets so far ahead honestly */

const char *election_phase_name(enum election_phase phase)
{
	switch (phase) {
#define ELECTION_NAME(name, text)                                                                            \
	case ELECTION_##name:                                                                                \
		return text;
		ELECTION_PHASES(ELECTION_NAME)
#undef ELECTION_NAME
	}
	return "?";
}

struct election_options election_defaults(void)
{
	return (struct election_options){
		.lease_ms = 700,
		.beacon_ms = 200,
		.listen_ms = 1000,
		.step_ms = 50,
		.ask_ms = 100,
		.better_ms = 60000,
		.pin_ms = 2000,
	};
}

int election_new(const struct election_options *options, const struct election_env *env,
        struct members *members, uint64_t saved, struct election **ret)
{
	struct election *e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->options = *options;
	e->env = *env;
	e->members = members;
	e->saved = e->floor = saved;
	e->wanted = UINT64_MAX;
	*ret = e;
	return 0;
}

void election_free(struct election *e)
{
	free(e);
}

/* --- who is how fit
 * ---------------------------------------------------------------------------------------------------- */

struct rank election_rank(const struct election *e, const struct member *m)
{
	return m ? m->record.rank : members_self(e->members)->rank;
}

bool election_fitter(const struct election *e, const struct member *a, const struct member *b)
{
	struct rank ra = election_rank(e, a), rb = election_rank(e, b);
	const uint8_t *self = members_self_id(e->members);
	return rank_compare_ids(&ra, a ? a->id : self, &rb, b ? b->id : self) > 0;
}

bool election_is_peer(const struct election *e, const struct member *m)
{
	return member_is_live(m) && members_kin(e->members, m);
}

static bool may_lead(const struct election *e, const struct member *m)
{
	return m->state == MEMBER_ALIVE && m->record.version && m->record.rank.eligible &&
	       members_kin(e->members, m);
}

static bool self_may_lead(const struct election *e)
{
	return members_self(e->members)->rank.eligible;
}

const struct member *election_fittest(const struct election *e)
{
	const struct member *best = NULL, *m;
	for (unsigned i = 0; (m = members_at(e->members, i)); i++)
		if (may_lead(e, m) && (!best || election_fitter(e, m, best)))
			best = m;
	return best;
}

/* How many go before us when the supernode is lost. */
static unsigned ahead(const struct election *e)
{
	unsigned n = 0;
	const struct member *m;
	for (unsigned i = 0; (m = members_at(e->members, i)); i++)
		n += may_lead(e, m) && !(e->has_leader && !memcmp(m->id, e->leader, GOSSIP_ID)) &&
		     election_fitter(e, m, NULL);
	return n > AHEAD_MAX ? AHEAD_MAX : n;
}

/* --- epochs
 * ----------------------------------------------------------------------------------------------------------------
 */

static int save_up_to(struct election *e, uint64_t epoch)
{
	if (epoch <= e->saved)
		return 0;
	int r = e->env.save_epoch(e->env.arg, epoch + SAVE_STEP - 1);
	if (!r)
		e->saved = epoch + SAVE_STEP - 1;
	return r;
}

static void see_epoch(struct election *e, uint64_t epoch)
{
	if (epoch <= e->seen)
		return;
	e->seen = epoch;
	if (save_up_to(e, epoch))
		e->counts.refused++; /* a follower may go on without */
}

static uint64_t next_epoch(const struct election *e)
{
	return (e->seen > e->floor ? e->seen : e->floor) + 1;
}

/* --- messages
 * ----------------------------------------------------------------------------------------------------------------
 */

/* Whom we follow, or, with no time left, nobody. */
static uint64_t lease_left(const struct election *e)
{
	if (e->phase == ELECTION_LEADING)
		return e->options.lease_ms;
	bool fresh = e->phase == ELECTION_FOLLOWING && e->now < e->lease_until;
	return fresh ? e->lease_until - e->now : 0;
}

/* Whom we have heard within a short lease, however long ours is: that it was there before says nothing. */
static uint64_t hearing_left(const struct election *e)
{
	uint64_t until = e->heard_ms + e->options.lease_ms, left = lease_left(e);
	if (e->phase == ELECTION_LEADING)
		return left;
	uint64_t heard = until > e->now ? until - e->now : 0;
	return heard < left ? heard : left;
}

/* Tells of the supernode; or, with no time left, only how far epochs have come. */
static void send_leader(struct election *e, const struct member *to, uint64_t left)
{
	struct gossip_message message = {
		.type = GOSSIP_LEADER, .epoch = e->seen, .lease_ms = (uint16_t)left
	};
	if (message.lease_ms)
		memcpy(message.target, e->leader, GOSSIP_SHORT);
	members_send(e->members, to, &message);
}

/* Only how far epochs have come: the other leads on, with a number above it. */
static void send_epoch(struct election *e, const struct member *to)
{
	struct gossip_message message = { .type = GOSSIP_LEADER, .epoch = e->seen };
	members_send(e->members, to, &message);
}

/* --- becoming and following
 * ------------------------------------------------------------------------------------------------------ */

static void set_leader(
        struct election *e, const uint8_t id[GOSSIP_ID], uint64_t epoch, enum election_reason reason)
{
	bool other = !e->has_leader || memcmp(e->leader, id, GOSSIP_ID) != 0;
	bool news = other || epoch != e->epoch;
	e->has_leader = true;
	memcpy(e->leader, id, GOSSIP_ID);
	e->epoch = epoch;
	e->strangers = 0;
	see_epoch(e, epoch);
	if (other) {
		e->since = e->now;
		e->reason = reason;
		e->counts.changes++;
	}
	if (news)
		e->env.changed(e->env.arg);
}

static void wait_again(struct election *e, uint64_t ms)
{
	e->phase = ELECTION_WAITING;
	e->wait_until = e->now + ms;
}

static void lead(struct election *e, enum election_reason reason)
{
	uint64_t epoch = next_epoch(e);
	if (save_up_to(e, epoch)) {
		wait_again(e, 1000);
		return;
	}
	e->phase = ELECTION_LEADING;
	e->counts.elections++;
	e->lone = reason == ELECTION_BY_ALONE;
	e->met_ms = 0;
	e->better_since = e->hand_until = 0;
	set_leader(e, members_self_id(e->members), epoch, reason);
	election_announce(e);
}

/* The same supernode, with a number above all that were seen. */
static void renew_epoch(struct election *e)
{
	uint64_t epoch = next_epoch(e);
	if (save_up_to(e, epoch))
		return;
	set_leader(e, members_self_id(e->members), epoch, e->reason);
	election_announce(e);
}

static void follow(struct election *e, const struct member *m, uint64_t epoch, uint64_t lease_ms,
        enum election_reason reason)
{
	bool led = e->phase == ELECTION_LEADING;
	e->phase = e->leaving ? ELECTION_OFF : ELECTION_FOLLOWING;
	e->lease_until = e->now + lease_ms;
	e->hand_until = 0;
	if (led)
		e->counts.resignations++;
	set_leader(e, m->id, epoch, reason);
}

static void leader_lost(struct election *e)
{
	wait_again(e, ahead(e) * e->options.step_ms +
	                      (members_live_kin(e->members)
	                                      ? e->env.random(e->env.arg) % (e->options.step_ms / 2 + 1)
	                                      : 0));
}

static void drop_leader(struct election *e)
{
	if (!e->has_leader)
		return;
	e->has_leader = false;
	e->env.changed(e->env.arg);
}

/* --- the vote
 * ------------------------------------------------------------------------------------------------------------------------
 */

static enum election_reason reason_to_lead(const struct election *e)
{
	if (!members_live_kin(e->members))
		return e->counts.changes ? ELECTION_BY_SILENCE : ELECTION_BY_ALONE;
	return e->counts.changes ? ELECTION_BY_SILENCE : ELECTION_BY_FITTEST;
}

static void decide(struct election *e)
{
	if (self_may_lead(e))
		lead(e, reason_to_lead(e));
	else
		wait_again(e, 2000); /* somebody else will; ask again whether it has */
}

static void ask_one(struct election *e, const struct member *m)
{
	struct gossip_message message = { .type = GOSSIP_PREVOTE, .epoch = e->epoch ? e->seen : 0 };
	members_send(e->members, m, &message);
	e->asked++;
}

/* Those who would know: the one that fell silent, and its deputies, who hear it most often; then any. */
static void ask(struct election *e)
{
	struct member *deputies[ELECTION_DEPUTIES], *m;
	struct member *leader = e->has_leader ? members_find(e->members, e->leader) : NULL;
	unsigned n = election_deputies(e, leader, deputies), live = members_live_kin(e->members);
	e->asked = e->refusals = 0;
	if (leader && election_is_peer(e, leader))
		ask_one(e, leader);
	for (unsigned i = 0; i < n; i++)
		if (election_is_peer(e, deputies[i]))
			ask_one(e, deputies[i]);
	unsigned skip = live > ASKED ? (unsigned)(e->env.random(e->env.arg) % live) : 0;
	for (unsigned i = 0; (m = members_at(e->members, i)) && e->asked < ASKED; i++) {
		bool twice = m == leader;
		for (unsigned d = 0; d < n; d++)
			twice |= m == deputies[d];
		if (!twice && election_is_peer(e, m) && !(skip && skip-- > ASKED))
			ask_one(e, m);
	}
	if (!e->asked) {
		decide(e);
		return;
	}
	e->phase = ELECTION_ASKING;
	e->ask_until = e->now + e->options.ask_ms;
}

static void on_prevote(struct election *e, struct member *from, const struct gossip_message *message)
{
	if (e->phase == ELECTION_LEADING)
		election_send_beacon(e, from, false);
	bool candidate = e->phase == ELECTION_WAITING || e->phase == ELECTION_ASKING;
	if (candidate && may_lead(e, from) && election_fitter(e, from, NULL))
		wait_again(e, e->options.ask_ms + e->options.beacon_ms);
	/* One that missed beacons wants to know who hears the supernode now. One that never had any has not been met by it yet, and
	 * does well to wait. */
	send_leader(e, from, message->epoch ? hearing_left(e) : lease_left(e));
}

/* Beacons are missing, maybe for loss alone: the supernode is asked for one while the lease still holds. When to be called. */
static uint64_t doubt(struct election *e)
{
	uint64_t from = e->lease_until > DOUBT ? e->lease_until - DOUBT : 0;
	uint64_t next = e->asked_ms + DOUBT_EVERY > from ? e->asked_ms + DOUBT_EVERY : from;
	if (e->now >= next) {
		const struct member *leader = members_find(e->members, e->leader);
		if (leader && election_is_peer(e, leader))
			ask_one(e, leader);
		e->asked_ms = e->now;
		next = e->now + DOUBT_EVERY;
	}
	return next < e->lease_until ? next : e->lease_until;
}

static uint64_t clamp_lease(uint64_t ms)
{
	return ms < LEASE_MIN ? LEASE_MIN : ms > LEASE_MAX ? LEASE_MAX : ms;
}

/* What is left of a lease that somebody else holds. */
static uint64_t clamp_rest(uint64_t ms)
{
	return ms < REST_MIN ? REST_MIN : ms > LEASE_MAX ? LEASE_MAX : ms;
}

/* Somebody hears a supernode that we do not: enough to hold back, as long as we take that one for alive. */
static void on_hearsay(struct election *e, struct member *from, const struct gossip_message *message)
{
	struct member *m = members_find_short(e->members, message->target);
	if (m && election_is_peer(e, m) && message->epoch >= e->seen) {
		follow(e, m, message->epoch, clamp_rest(message->lease_ms), ELECTION_BY_FOUND);
	} else if ((!m || m->state == MEMBER_HEARD) && e->strangers++ < STRANGERS) {
		wait_again(e, clamp_rest(message->lease_ms)); /* we may still get to know it */
	} else if (++e->refusals >= e->asked) {
		decide(e);
	}
	(void)from;
}

static void on_leader(struct election *e, struct member *from, const struct gossip_message *message)
{
	if (message->epoch > e->seen + EPOCH_LEAP)
		return;
	bool ours = !memcmp(message->target, members_self_id(e->members), GOSSIP_SHORT);
	if (e->phase == ELECTION_LEADING) {
		if (message->lease_ms && !ours)
			e->met_ms = e->now; /* it follows another: who is lone has led nobody yet */
		if (message->epoch <= e->epoch || ours)
			return;
		struct member *m = members_find_short(e->members, message->target);
		see_epoch(e, message->epoch);
		if (message->lease_ms && m && election_is_peer(e, m))
			follow(e, m, message->epoch, clamp_lease(message->lease_ms), ELECTION_BY_MERGED);
		else if (!message->lease_ms)
			renew_epoch(e);
		return;
	}
	if (e->phase != ELECTION_ASKING)
		return;
	if (message->lease_ms && !ours) {
		on_hearsay(e, from, message);
		return;
	}
	see_epoch(e, message->epoch);
	if (++e->refusals >= e->asked)
		decide(e);
}

/* --- beacons
 * -------------------------------------------------------------------------------------------------------------------------
 */

/* Two supernodes met: does the other's claim stand above ours? */
static bool claim_is_higher(
        const struct election *e, const struct member *m, const struct gossip_message *beacon)
{
	bool lone = beacon->flags & GOSSIP_LONE;
	if (lone != e->lone)
		return e->lone;
	if (beacon->epoch != e->epoch)
		return beacon->epoch > e->epoch;
	return election_fitter(e, m, NULL);
}

static void on_rival_beacon(struct election *e, struct member *from, const struct gossip_message *beacon)
{
	bool higher = claim_is_higher(e, from, beacon);
	if (higher && beacon->epoch >= e->seen) {
		follow(e, from, beacon->epoch, clamp_lease(beacon->lease_ms),
		        e->hand_until ? ELECTION_BY_HANDED : ELECTION_BY_MERGED);
		return;
	}
	e->counts.refused++;
	see_epoch(e, beacon->epoch);
	if (higher)
		send_epoch(e, from); /* it yields once the other has a number above ours */
	else if (beacon->epoch >= e->epoch)
		renew_epoch(e);
	else
		election_send_beacon(e, from, false);
}

static void on_beacon(struct election *e, struct member *from, const struct gossip_message *beacon)
{
	if (beacon->epoch > e->seen + EPOCH_LEAP || e->phase == ELECTION_OFF)
		return;
	if (e->phase == ELECTION_LEADING) {
		on_rival_beacon(e, from, beacon);
		return;
	}
	bool same = e->has_leader && !memcmp(e->leader, from->id, GOSSIP_ID);
	bool fresh = e->phase == ELECTION_FOLLOWING && e->now < e->lease_until;
	bool lower = beacon->epoch < e->seen || (fresh && !same && beacon->flags & GOSSIP_LONE);
	if (!lower && fresh && !same && beacon->epoch == e->epoch) {
		const struct member *leader = members_find(e->members, e->leader);
		lower = leader && election_fitter(e, leader, from);
	}
	if (lower) {
		e->counts.refused++;
		see_epoch(e, fresh ? e->seen : beacon->epoch);
		send_leader(e, from, lease_left(e));
		return;
	}
	enum election_reason reason = fresh ? ELECTION_BY_MERGED : ELECTION_BY_SILENCE;
	if (beacon->flags & GOSSIP_HANDED)
		reason = ELECTION_BY_HANDED;
	if (e->phase == ELECTION_LISTENING)
		reason = ELECTION_BY_FOUND;
	follow(e, from, beacon->epoch, clamp_lease(beacon->lease_ms), reason);
	e->heard_ms = e->now;
	if (beacon->flags & (GOSSIP_GRANTED | GOSSIP_RENEWED) && !e->env.take_grants(e->env.arg, beacon)) {
		struct gossip_message wanted = { .type = GOSSIP_ROLES, .epoch = e->epoch };
		members_send(e->members, from, &wanted);
	}
}

/* --- handing over
 * --------------------------------------------------------------------------------------------------------------------
 */

static void send_handover(struct election *e)
{
	const struct member *to = members_find(e->members, e->hand_to);
	if (!to || !may_lead(e, to) || e->hand_tries == 0) {
		e->hand_until = 0;
		e->better_since = 0;
		return;
	}
	e->hand_tries--;
	e->hand_until = e->now + e->options.ask_ms;
	struct gossip_message message = {
		.type = GOSSIP_HANDOVER, .epoch = e->epoch, .flags = GOSSIP_GRANTED
	};
	e->env.add_grants(e->env.arg, &message, true);
	members_send(e->members, to, &message);
}

static void hand_over(struct election *e, const struct member *to)
{
	e->counts.handovers++;
	memcpy(e->hand_to, to->id, GOSSIP_ID);
	e->hand_tries = HAND_TRIES;
	send_handover(e);
}

static void on_handover(struct election *e, struct member *from, const struct gossip_message *message)
{
	if (e->phase == ELECTION_LEADING) {
		election_send_beacon(e, from, false); /* asked twice */
		return;
	}
	bool by_leader =
	        e->has_leader && !memcmp(e->leader, from->id, GOSSIP_ID) && message->epoch >= e->epoch;
	if (!by_leader || !self_may_lead(e) || e->phase == ELECTION_OFF)
		return;
	see_epoch(e, message->epoch);
	(void)e->env.take_grants(e->env.arg, message);
	lead(e, ELECTION_BY_HANDED);
}

static void on_resign(struct election *e, struct member *from, const struct gossip_message *message)
{
	if (e->phase == ELECTION_LEADING || e->phase == ELECTION_OFF || !e->has_leader ||
	        memcmp(e->leader, from->id, GOSSIP_ID) != 0)
		return;
	drop_leader(e);
	if (!memcmp(message->target, members_self_id(e->members), GOSSIP_SHORT) && self_may_lead(e)) {
		lead(e, ELECTION_BY_HANDED);
		return;
	}
	wait_again(e, e->options.beacon_ms + ahead(e) * e->options.step_ms);
}

/* Is there one that would do it better, and for long enough? */
static void look_for_better(struct election *e)
{
	const struct member *best = election_fittest(e);
	struct rank own = election_rank(e, NULL);
	if (!best || !(rank_better_class(&best->record.rank, &own)) || e->hand_until) {
		e->better_since = 0;
		return;
	}
	if (!e->better_since || memcmp(e->better, best->id, GOSSIP_ID) != 0) {
		e->better_since = e->now ? e->now : 1;
		memcpy(e->better, best->id, GOSSIP_ID);
	}
	enum rank_field field = RANK_COUNT;
	rank_compare(&best->record.rank, &own, &field);
	uint64_t hold = field <= RANK_pin ? e->options.pin_ms : e->options.better_ms;
	if (e->now - e->better_since >= hold)
		hand_over(e, best);
}

/* --- the interface
 * -------------------------------------------------------------------------------------------------------------------
 */

void election_start(struct election *e, uint64_t now)
{
	e->now = now;
	e->phase = ELECTION_LISTENING;
	e->wait_until = now + e->options.listen_ms;
}

void election_receive(
        struct election *e, uint64_t now, struct member *from, const struct gossip_message *message)
{
	e->now = now > e->now ? now : e->now;
	if (message->type == GOSSIP_BEACON)
		on_beacon(e, from, message);
	else if (message->type == GOSSIP_PREVOTE)
		on_prevote(e, from, message);
	else if (message->type == GOSSIP_LEADER)
		on_leader(e, from, message);
	else if (message->type == GOSSIP_HANDOVER)
		on_handover(e, from, message);
	else if (message->type == GOSSIP_RESIGN)
		on_resign(e, from, message);
	else if (message->type == GOSSIP_ROLES && e->phase == ELECTION_LEADING)
		election_send_beacon(e, from, true);
}

/* Somebody is there who is to hear of this supernode. */
static void meet(struct election *e)
{
	election_announce_soon(e);
	if (e->next_beacon == UINT64_MAX)
		e->next_beacon = e->now + e->options.beacon_ms;
	if (!e->met_ms)
		e->met_ms = e->now;
}

void election_member(struct election *e, uint64_t now, const struct member *m, enum member_change change)
{
	e->now = now > e->now ? now : e->now;
	bool leader = e->has_leader && !memcmp(e->leader, m->id, GOSSIP_ID);
	if ((change == MEMBER_FAILED || change == MEMBER_GONE) && leader && e->phase != ELECTION_OFF) {
		drop_leader(e);
		if (e->phase == ELECTION_FOLLOWING)
			leader_lost(e);
	}
	if (e->phase != ELECTION_LEADING || !members_kin(e->members, m))
		return;
	bool came = change == MEMBER_JOINED || change == MEMBER_BACK;
	if (came)
		election_send_beacon(e, m, false);
	if (came || (change == MEMBER_UPDATED && e->next_beacon == UINT64_MAX))
		meet(e);
}

void election_kin_changed(struct election *e, uint64_t now)
{
	e->now = now > e->now ? now : e->now;
	if (e->phase == ELECTION_LEADING && members_live_kin(e->members))
		meet(e);
}

/* Stopped for longer than our own lease: others may have gone on without us. Look before speaking. */
static void recover_from_pause(struct election *e)
{
	if (e->wanted == UINT64_MAX || e->now < e->wanted + e->options.lease_ms)
		return;
	if (e->phase == ELECTION_LEADING && members_live_kin(e->members))
		wait_again(e, 0);
}

static uint64_t tick_leading(struct election *e)
{
	if (e->hand_until && e->now >= e->hand_until)
		send_handover(e);
	if (e->now >= e->next_beacon) {
		if (!e->leaving)
			look_for_better(e);
		election_send_beacons(e);
	}
	return e->hand_until && e->hand_until < e->next_beacon ? e->hand_until : e->next_beacon;
}

static uint64_t tick(struct election *e)
{
	if (e->phase == ELECTION_FOLLOWING && e->now >= e->lease_until)
		leader_lost(e);
	if (e->phase == ELECTION_LISTENING && e->now >= e->wait_until)
		leader_lost(e);
	if (e->phase == ELECTION_WAITING && e->now >= e->wait_until)
		ask(e);
	if (e->phase == ELECTION_ASKING && e->now >= e->ask_until)
		decide(e);
	switch (e->phase) {
	case ELECTION_LISTENING:
	case ELECTION_WAITING:
		return e->wait_until;
	case ELECTION_FOLLOWING:
		return doubt(e);
	case ELECTION_ASKING:
		return e->ask_until;
	case ELECTION_LEADING:
		return tick_leading(e);
	case ELECTION_OFF:
		break;
	}
	return UINT64_MAX;
}

static void resign(struct election *e)
{
	const struct member *best = election_fittest(e);
	struct member *m;
	for (unsigned i = 0; (m = members_at(e->members, i)); i++) {
		struct gossip_message message = { .type = GOSSIP_RESIGN, .epoch = e->epoch };
		if (best)
			memcpy(message.target, best->id, GOSSIP_SHORT);
		if (election_is_peer(e, m))
			members_send(e->members, m, &message);
	}
	e->phase = ELECTION_OFF;
}

bool election_beacon_due(const struct election *e, uint64_t now)
{
	return e->phase == ELECTION_LEADING && now >= e->next_beacon;
}

uint64_t election_tick(struct election *e, uint64_t now)
{
	e->now = now > e->now ? now : e->now;
	recover_from_pause(e);
	uint64_t next = tick(e);
	if (e->leaving && e->phase == ELECTION_LEADING && (e->now >= e->leave_until || !e->hand_until)) {
		resign(e);
		next = UINT64_MAX;
	}
	e->wanted = next;
	return next;
}

void election_leave(struct election *e, uint64_t now)
{
	e->now = now > e->now ? now : e->now;
	e->leaving = true;
	e->leave_until = e->now + 300;
	const struct member *best = election_fittest(e);
	if (e->phase == ELECTION_LEADING && best)
		hand_over(e, best);
	else
		e->phase = ELECTION_OFF;
}

bool election_left(const struct election *e)
{
	return e->phase == ELECTION_OFF;
}

bool election_leads(const struct election *e)
{
	return e->phase == ELECTION_LEADING;
}

const uint8_t *election_leader(const struct election *e)
{
	return e->has_leader ? e->leader : NULL;
}

uint64_t election_epoch(const struct election *e)
{
	return e->epoch;
}

uint64_t election_since(const struct election *e)
{
	return e->since;
}

enum election_phase election_phase(const struct election *e)
{
	return e->phase;
}

enum election_reason election_reason(const struct election *e)
{
	return e->reason;
}

struct election_counts election_counts(const struct election *e)
{
	return e->counts;
}

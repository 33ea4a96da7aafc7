/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/addr.h"
#include "cluster/cluster_api.h"
#include "cluster/cluster_impl.h"
#include "cluster/files.h"
#include "cluster/host_info.h"
#include "cluster/removal.h"
#include "core/election_text.h"

enum { TELL_DUPLICATE = 60000 };

struct cluster_options cluster_defaults(void)
{
	return (struct cluster_options){
		.enabled = true,
		.mdns = true,
		.eligible = true,
		.swarm = { members_defaults(), election_defaults() },
	};
}

/* --- driving the swarm ------------------------------------------------------------------------------------------------- */

static uint64_t now_of(const struct cluster *c)
{
	return loop_now(c->deps.loop);
}

/* Every call into the swarm ends here: when it wants to be called next. */
static void drive(struct cluster *c, uint64_t next)
{
	if (next == UINT64_MAX)
		timer_cancel(c->timer);
	else if (next != c->armed_ms)
		timer_set(c->timer, next > now_of(c) ? next - now_of(c) : 0);
	c->armed_ms = next;
	if (!c->left || !swarm_left(c->swarm))
		return;
	void (*left)(void *arg) = c->left;
	c->left = NULL;
	left(c->left_arg);
}

static void tick(void *arg)
{
	struct cluster *c = arg;
	c->armed_ms = UINT64_MAX;
	drive(c, swarm_tick(c->swarm, now_of(c)));
}

static void received(void *arg, const struct gossip_from *from, const uint8_t *bytes, size_t len)
{
	struct cluster *c = arg;
	drive(c, swarm_receive(c->swarm, now_of(c), from, bytes, len));
}

static void hint(void *arg, const uint8_t key[GOSSIP_KEY], const struct peer_addr *addr)
{
	struct cluster *c = arg;
	drive(c, swarm_hint(c->swarm, now_of(c), key, addr));
}

static uint64_t draw(void *arg)
{
	uint64_t number;
	(void)arg;
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		abort(); /* numbers that can be guessed would let replays pass for answers */
	return number;
}

static void send_datagram(void *arg, const uint8_t key[GOSSIP_KEY], const struct peer_addr *to,
        const uint8_t *bytes, size_t len)
{
	struct cluster *c = arg;
	if (c->gossip)
		gossip_send(c->gossip, key, to, bytes, len);
}

static void identify(void *arg, const uint8_t key[GOSSIP_KEY], uint8_t ret_id[GOSSIP_ID])
{
	struct cluster *c = arg;
	if (c->gossip)
		envelope_identify(gossip_envelope(c->gossip), key, ret_id);
	else if (!node_id_parse(edged_str(identity_node_id(c->deps.identity)), ret_id))
		abort(); /* without sockets there is no other key than our own */
}

static bool barred(void *arg, const uint8_t id[GOSSIP_ID])
{
	const struct cluster *c = arg;
	return identity_is_removed(c->deps.identity, id);
}

/* A node without an account has nothing to protect: it takes those for kin that say they have none either. */
static bool kin(void *arg, const struct member *m)
{
	const struct cluster *c = arg;
	char text[NODE_ID_LEN + 1];
	if (!identity_account_id(c->deps.identity)[0])
		return !m->record.account[0];
	node_id_format(m->id, text);
	return c->deps.trusted && c->deps.trusted(c->deps.arg, text);
}

static int save_epoch(void *arg, uint64_t epoch)
{
	struct cluster *c = arg;
	char text[32];
	struct err err;
	int n = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)epoch);
	int r = file_replace(c->deps.folder, "epoch", edged_slice(text, (size_t)n), &err);
	if (r)
		log_error("cluster", "this node cannot become supernode: %s", err.text);
	return r;
}

static int load_epoch(struct cluster *c, struct err *err)
{
	CLEANUP(buf_fini) struct buf text;
	buf_init(&text, 64);
	int r = file_read(c->deps.folder, "epoch", &text, err);
	if (r == -ENOENT)
		return 0;
	if (r)
		return r;
	char *end = text.ptr;
	c->saved_epoch = text.ptr ? strtoull(text.ptr, &end, 10) : 0;
	if (end == text.ptr || (*end && *end != '\n')) {
		log_warning("cluster", "%s/epoch is damaged and counts as missing", c->deps.folder);
		c->saved_epoch = 0;
	}
	return 0;
}

/* --- what happens --------------------------------------------------------------------------------------------------------- */

void cluster_member_id(const struct member *m, char ret[NODE_ID_LEN + 1])
{
	node_id_format(m->id, ret);
}

static void emit(struct cluster *c, const char *type, struct buf *json)
{
	if (c->deps.event && json->len && !buf_add_str(json, "}"))
		c->deps.event(c->deps.arg, type, buf_slice(json));
}

/* {"id": ..., "name": ... without the end */
static void begin_event(struct buf *json, const char *id, const char *name)
{
	buf_addf(json, "{\"id\":\"%s\",\"name\":", id);
	buf_add_json(json, edged_str(name));
}

static struct discovery_self self_of(struct cluster *c)
{
	return (struct discovery_self){
		.key = identity_public_key(c->deps.identity),
		.instance = c->instance,
		.id = identity_node_id(c->deps.identity),
		.name = c->record.name,
		.account = c->record.account,
		.gossip_port = c->gossip ? gossip_port(c->gossip) : 0,
		.bound = &c->bound,
		.epoch = election_epoch(swarm_election(c->swarm)),
		.supernode = election_leads(swarm_election(c->swarm)),
	};
}

enum { LOOK_MS = 15000 };

/* Looks again at this host when its age makes it more stable, and, while others would like to know, often: it may run on
 * battery now, or the way to other networks is gone, and nobody says so. */
static void set_age(struct cluster *c)
{
	static const uint64_t steps[] = { 10 * 60000u, 24 * 3600000u, 7 * 86400000u };
	uint64_t age = now_of(c) - c->born_ms, next = UINT64_MAX;
	for (unsigned i = 0; i < ARRAY_LEN(steps) && next == UINT64_MAX; i++)
		next = age < steps[i] ? steps[i] - age : UINT64_MAX;
	if (members_live(swarm_members(c->swarm)) && next > LOOK_MS)
		next = LOOK_MS;
	if (next != UINT64_MAX)
		timer_set(c->age, next);
}

static void on_member(struct cluster *c, const struct swarm_event *event)
{
	CLEANUP(buf_fini) struct buf json = BUF_EMPTY;
	const struct member *m = event->member;
	char id[NODE_ID_LEN + 1], addr[ADDR_TEXT];
	bool joined = event->type == SWARM_JOINED;
	bool removed = identity_is_removed(c->deps.identity, m->id);
	const char *how = removed ? "removed" : m->state == MEMBER_LEFT ? "left" : "failed";
	cluster_member_id(m, id);
	addr_format(&m->addr, addr);
	begin_event(&json, id, m->record.name);
	if (joined) {
		envelope_keep(gossip_envelope(c->gossip), m->key, m->instance);
		set_age(c);
		log_notice("cluster", "node %s (%.8s) at %s has joined", m->record.name, id, addr);
		buf_addf(&json, ",\"address\":\"%s\"", addr);
	} else {
		log_notice("cluster", "node %s (%.8s) at %s %s", m->record.name, id, addr,
		        removed                   ? "was removed from the account"
		        : m->state == MEMBER_LEFT ? "has left"
		                                  : "does not answer any more");
		buf_addf(&json, ",\"how\":\"%s\"", how);
	}
	emit(c, joined ? "nodeJoined" : "nodeLeft", &json);
	if (c->discovery)
		discovery_members_changed(c->discovery, swarm_members(c->swarm));
}

static void on_supernode(struct cluster *c)
{
	CLEANUP(buf_fini) struct buf json = BUF_EMPTY, why = BUF_EMPTY;
	const struct election *election = swarm_election(c->swarm);
	const uint8_t *leader = election_leader(election);
	char id[NODE_ID_LEN + 1] = "";
	const struct member *m = leader ? members_find(swarm_members(c->swarm), leader) : NULL;
	if (leader)
		node_id_format(leader, id);
	if (!election_explain(election, &why))
		log_notice("cluster", "%s", why.ptr);
	begin_event(&json, id, m ? m->record.name : leader ? c->record.name : "");
	buf_addf(&json,
	        ",\"epoch\":%llu,\"self\":%s,\"reason\":", (unsigned long long)election_epoch(election),
	        election_leads(election) ? "true" : "false");
	buf_add_json(&json, why.len ? buf_slice(&why) : edged_str(""));
	emit(c, "supernodeChanged", &json);
	struct discovery_self self = self_of(c);
	if (c->discovery)
		discovery_update(c->discovery, &self);
}

static void on_role(struct cluster *c, const struct role_grant *grant)
{
	CLEANUP(buf_fini) struct buf json = BUF_EMPTY;
	const uint8_t *self = members_self_id(swarm_members(c->swarm));
	const struct member *m = members_find_short(swarm_members(c->swarm), grant->holder);
	char id[NODE_ID_LEN + 1] = "";
	if (grant->held && (m || !memcmp(grant->holder, self, GOSSIP_SHORT)))
		node_id_format(m ? m->id : self, id);
	begin_event(&json, id, !*id ? "" : m ? m->record.name : c->record.name);
	buf_addf(&json, ",\"role\":\"%s\",\"reason\":", role_name(grant->role));
	buf_add_json(&json, edged_str(grant->reason));
	emit(c, "roleGranted", &json);
}

static void say_duplicate(struct cluster *c, const char *id, const char *sentence)
{
	CLEANUP(buf_fini) struct buf json = BUF_EMPTY;
	struct cluster_warning *warning = &c->duplicate;
	uint64_t now = now_of(c);
	bool lasts = !strcmp(warning->id, id) && now - warning->seen_ms < CLUSTER_WARNED_MS;
	warning->since_ms = lasts ? warning->since_ms : now;
	warning->seen_ms = now;
	snprintf(warning->id, sizeof(warning->id), "%s", id);
	snprintf(warning->text, sizeof(warning->text), "%s", sentence);
	if (c->told_duplicate_ms && now - c->told_duplicate_ms < TELL_DUPLICATE)
		return;
	c->told_duplicate_ms = now;
	log_error("cluster", "%s", sentence);
	buf_addf(&json, "{\"id\":\"%s\",\"sentence\":", id);
	buf_add_json(&json, edged_str(sentence));
	emit(c, "nodeDuplicate", &json);
}

static void on_duplicate(struct cluster *c, const struct swarm_event *event)
{
	char addr[ADDR_TEXT], other[ADDR_TEXT], sentence[512], id[NODE_ID_LEN + 1];
	addr_format(event->addr, addr);
	if (event->type == SWARM_OWN_DUPLICATE) {
		snprintf(sentence, sizeof(sentence),
		        "another host at %s has the same node id as this one; most likely the state folder "
		        "was copied: remove the folder identity beside %s on one of the two and start it "
		        "again. Until then the others see only one of them",
		        addr, c->deps.folder);
		say_duplicate(c, identity_node_id(c->deps.identity), sentence);
		return;
	}
	cluster_member_id(event->member, id);
	addr_format(&event->member->addr, other);
	snprintf(sentence, sizeof(sentence),
	        "two hosts, %s and %s, have the same node id %.8s; the first is the member, the second is "
	        "ignored",
	        other, addr, id);
	say_duplicate(c, id, sentence);
}

static void happened(void *arg, const struct swarm_event *event)
{
	struct cluster *c = arg;
	bool of_member = event->type == SWARM_JOINED || event->type == SWARM_UPDATED ||
	                 event->type == SWARM_LEFT || event->type == SWARM_FORGOTTEN;
	if (of_member && c->deps.member)
		c->deps.member(c->deps.arg, event->type, event->member);
	switch (event->type) {
	case SWARM_JOINED:
	case SWARM_LEFT:
		on_member(c, event);
		break;
	case SWARM_SUPERNODE:
		on_supernode(c);
		break;
	case SWARM_ROLE:
		on_role(c, event->grant);
		break;
	case SWARM_DUPLICATE:
	case SWARM_OWN_DUPLICATE:
		on_duplicate(c, event);
		break;
	case SWARM_UPDATED:
	case SWARM_FORGOTTEN:
		break;
	}
}

/* --- this node's record --------------------------------------------------------------------------------------------------- */

static uint64_t hash_services(struct cluster *c)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	uint64_t hash = 0xcbf29ce484222325u;
	if (!c->deps.services || c->deps.services(c->deps.arg, &text))
		return 0;
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (uint8_t)text.ptr[i]) * 0x100000001b3u;
	return hash;
}

static void read_bound(struct cluster *c)
{
	char listeners[BOUND_MAX][64];
	unsigned count =
	        c->deps.secure_addresses ? c->deps.secure_addresses(c->deps.arg, listeners, BOUND_MAX) : 0;
	bound_read(&c->bound, listeners, count);
}

static void describe(struct cluster *c)
{
	const struct identity *identity = c->deps.identity;
	struct node_description *d = &c->record;
	const char *name = c->options.name && *c->options.name ? c->options.name : identity_name(identity);
	memset(d, 0, sizeof(*d));
	host_info_read(c->deps.folder, d);
	snprintf(d->name, sizeof(d->name), "%.*s", (int)sizeof(d->name) - 1, name);
	snprintf(d->account, sizeof(d->account), "%s", identity_account_id(identity));
	snprintf(d->edged, sizeof(d->edged), "%s", EDGED_VERSION);
	d->rank.eligible = c->options.eligible;
	d->rank.pin = c->options.pin;
	d->rank.stability = rank_stability_class(now_of(c) - c->born_ms, 0);
	d->address_count = (uint8_t)bound_addresses(&c->bound, d->addresses, GOSSIP_ADDRESSES);
	if (bound_is_local(&c->bound))
		d->rank.uplink = UPLINK_NONE; /* nobody gets anywhere through it */
	d->services = hash_services(c);
	d->roles_pinned = c->wishes.pinned;
	d->roles_vetoed = c->wishes.vetoed;
	d->removals = identity_removed(identity)->version;
}

static void refresh(void *arg)
{
	struct cluster *c = arg;
	describe(c);
	set_age(c);
	drive(c, swarm_describe(c->swarm, now_of(c), &c->record));
}

void cluster_expel(struct cluster *c, const uint8_t id[GOSSIP_ID])
{
	if (c->started)
		drive(c, swarm_expel(c->swarm, now_of(c), id));
}

void cluster_refresh(struct cluster *c)
{
	if (!c->started)
		return;
	read_bound(c);
	refresh(c);
	struct discovery_self self = self_of(c);
	if (c->discovery)
		discovery_update(c->discovery, &self);
}

void cluster_kin_changed(struct cluster *c)
{
	if (c->started)
		drive(c, swarm_kin_changed(c->swarm, now_of(c)));
}

int cluster_wish(struct cluster *c, enum role role, enum wish wish, struct err *err)
{
	int r = wishes_set(&c->wishes, c->deps.folder, role, wish, err);
	if (!r)
		cluster_refresh(c);
	return r;
}

static void network_changed(void *arg)
{
	struct cluster *c = arg;
	refresh(c);
	drive(c, swarm_wake(c->swarm, now_of(c)));
}

static bool connected(void *arg, const struct peer_addr *addr)
{
	struct cluster *c = arg;
	const struct member *m;
	for (unsigned i = 0; (m = members_at(swarm_members(c->swarm), i)); i++) {
		bool here = peer_addr_eq(&m->addr, addr);
		for (unsigned t = 0; t < m->try_count; t++)
			here |= peer_addr_eq(&m->tries[t], addr);
		if (here && member_is_live(m))
			return true;
	}
	return false;
}

/* --- life -------------------------------------------------------------------------------------------------------------------- */

static int add_routes(struct cluster *c, struct err *err)
{
	struct route_owner owner = { "cluster", c, c, true };
	int r = c->deps.router ? router_add(c->deps.router, &owner, cluster_routes(),
	                                 sizeof(struct edged_route), err)
	                       : 0;
	c->routed = c->deps.router && !r;
	return r;
}

int cluster_new(const struct cluster_deps *deps, const struct cluster_options *options, struct cluster **ret,
        struct err *err)
{
	struct cluster *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->deps = *deps;
	c->options = *options;
	c->armed_ms = UINT64_MAX;
	c->born_ms = now_of(c);
	c->instance = draw(NULL);
	struct swarm_env env = { c, draw, send_datagram, identify, save_epoch, happened, barred, kin };
	int r = folder_make(deps->folder, err);
	r = r ? r : load_epoch(c, err);
	r = r ? r : wishes_load(deps->folder, &c->wishes, err);
	r = r ? r : timer_new(deps->loop, tick, c, &c->timer);
	r = r ? r : timer_new(deps->loop, refresh, c, &c->age);
	r = r ? r
	      : swarm_new(&options->swarm, &env, identity_public_key(deps->identity), c->instance,
	                c->saved_epoch, &c->swarm);
	r = r ? r : add_routes(c, err);
	if (r) {
		cluster_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

static int open_sockets(struct cluster *c, struct err *err)
{
	struct gossip_deps gossip_deps = { c->deps.loop, c->deps.identity, c->instance,
		2u * c->options.swarm.members.max, bound_is_local(&c->bound), received, hint, c };
	uint16_t port = bound_port(&c->bound);
	int r = gossip_new(&gossip_deps, port, &c->gossip, err);
	if (r)
		return r;
	if (gossip_port(c->gossip) != port && port)
		log_info(
		        "cluster", "UDP port %u is taken, the cluster uses %u", port, gossip_port(c->gossip));
	if (bound_is_local(&c->bound))
		log_notice("cluster", "the secure port is open on loopback only: nodes of other hosts are "
		                      "not looked for, and cannot find this one");
	struct discovery_deps deps = { c->deps.loop, c->gossip, c->deps.folder, c->options.mdns,
		c->options.seeds, c->options.interfaces, hint, connected, network_changed, c };
	struct discovery_self self = self_of(c);
	return discovery_new(&deps, &self, &c->discovery, err);
}

int cluster_start(struct cluster *c, struct err *err)
{
	read_bound(c);
	describe(c);
	drive(c, swarm_start(c->swarm, now_of(c), &c->record));
	int r = c->options.enabled ? open_sockets(c, err) : 0;
	if (r)
		return r;
	c->started = true;
	set_age(c);
	return 0;
}

void cluster_leave(struct cluster *c, void (*done)(void *arg), void *arg)
{
	if (c->discovery)
		discovery_save(c->discovery, swarm_members(c->swarm));
	c->left = done;
	c->left_arg = arg;
	drive(c, swarm_leave(c->swarm, now_of(c)));
}

void cluster_free(struct cluster *c)
{
	if (!c)
		return;
	if (c->routed)
		router_remove(c->deps.router, c);
	discovery_free(c->discovery);
	gossip_free(c->gossip);
	swarm_free(c->swarm);
	timer_free(c->timer);
	timer_free(c->age);
	free(c);
}

/* --- looking ------------------------------------------------------------------------------------------------------------------ */

uint64_t cluster_wall_ms(const struct cluster *c, uint64_t ms)
{
	uint64_t now = now_of(c);
	return clock_wall_ms() - (now > ms ? now - ms : 0);
}

/* The one that its datagrams come from goes first: that way is open. When it is not among those it tells (behind a
 * translator, or one too many), it goes last: perhaps nobody listens there. */
unsigned cluster_addresses(
        const struct cluster *c, const struct member *m, struct peer_addr *ret, unsigned max)
{
	const struct node_description *record = m ? &m->record : &c->record;
	unsigned count = 0;
	bool told = !m || !record->address_count;
	for (unsigned i = 0; i < record->address_count && count < max; i++) {
		ret[count] = record->addresses[i];
		if (m && peer_addr_same_host(&record->addresses[i], &m->addr)) {
			ret[count] = ret[0];
			ret[0] = record->addresses[i];
			told = true;
		}
		count++;
	}
	if (told)
		return count;
	count -= count == max;
	ret[count] = m->addr;
	ret[count++].port = record->addresses[0].port;
	return count;
}

static void fill_record(const struct cluster *c, const struct member *m, struct node_record *ret)
{
	const struct node_description *d = m ? &m->record : &c->record;
	struct peer_addr addresses[ARRAY_LEN(ret->addresses)];
	unsigned count = cluster_addresses(c, m, addresses, ARRAY_LEN(addresses));
	memset(ret, 0, sizeof(*ret));
	node_id_format(m ? m->id : members_self_id(swarm_members(c->swarm)), ret->id);
	memcpy(ret->name, d->name, sizeof(ret->name));
	memcpy(ret->account, d->account, sizeof(ret->account));
	for (unsigned i = 0; i < count; i++)
		addr_format(&addresses[i], ret->addresses[i]);
	ret->self = !m;
	ret->reachable = !m || member_is_live(m);
	ret->last_seen_ms = m ? cluster_wall_ms(c, m->heard_ms) : clock_wall_ms();
}

static bool matches(const char *id, const char *name, struct edged_slice wanted)
{
	bool prefix = wanted.len >= 8 && wanted.len <= NODE_ID_LEN && !memcmp(id, wanted.ptr, wanted.len);
	return prefix || (wanted.len && edged_slice_is(wanted, name));
}

bool cluster_find(
        const struct cluster *c, struct edged_slice id, struct node_record *ret, bool *ret_ambiguous)
{
	const struct members *members = swarm_members(c->swarm);
	const struct member *m, *hit = NULL;
	char text[NODE_ID_LEN + 1];
	unsigned hits = matches(identity_node_id(c->deps.identity), c->record.name, id);
	for (unsigned i = 0; (m = members_at(members, i)); i++) {
		cluster_member_id(m, text);
		if (m->state == MEMBER_HEARD || !matches(text, m->record.name, id))
			continue;
		hits++;
		hit = m;
	}
	if (ret_ambiguous)
		*ret_ambiguous = hits > 1;
	if (hits == 1)
		fill_record(c, hit, ret);
	return hits == 1;
}

/* The id of who was granted it; false: nobody, or one who is not known here. */
static bool holder_id(const struct cluster *c, const struct role_grant *grant, char ret_id[NODE_ID_LEN + 1])
{
	const struct members *members = swarm_members(c->swarm);
	const uint8_t *self = members_self_id(members);
	bool own = grant && !memcmp(grant->holder, self, GOSSIP_SHORT);
	const struct member *m = grant && !own ? members_find_short(members, grant->holder) : NULL;
	if (own || m)
		node_id_format(own ? self : m->id, ret_id);
	return own || m;
}

void cluster_role_holders(const struct cluster *c, struct edged_slice role_name,
        void (*each)(void *arg, const char *node_id), void *arg)
{
	const struct role_grant *grant;
	char id[NODE_ID_LEN + 1];
	enum role role;
	if (!role_by_name(role_name, &role))
		return;
	for (unsigned i = 0; (grant = roles_at(swarm_roles(c->swarm), i)); i++)
		if (grant->role == role && grant->held && holder_id(c, grant, id))
			each(arg, id);
}

bool cluster_role_holder(const struct cluster *c, struct edged_slice role_name, struct edged_slice key,
        char ret_id[NODE_ID_LEN + 1])
{
	enum role role;
	return role_by_name(role_name, &role) &&
	       holder_id(c, roles_holder_for(swarm_roles(c->swarm), role, key), ret_id);
}

bool cluster_newer_removals(
        const struct cluster *c, uint64_t above, const char *but, char ret_id[NODE_ID_LEN + 1])
{
	const struct members *members = swarm_members(c->swarm);
	const char *account = identity_account_id(c->deps.identity);
	const struct member *m;
	unsigned found = 0;
	bool avoided = false;
	for (unsigned i = 0; (m = members_at(members, i)); i++) {
		char id[NODE_ID_LEN + 1];
		if (!member_is_live(m) || m->record.removals <= above ||
		        strcmp(m->record.account, account) != 0)
			continue;
		cluster_member_id(m, id);
		if (strcmp(id, but) == 0)
			avoided = true;
		else if (draw(NULL) % ++found == 0) /* each with the same chance */
			memcpy(ret_id, id, sizeof(id));
	}
	if (!found && avoided)
		memcpy(ret_id, but, NODE_ID_LEN + 1);
	return found || avoided;
}

bool cluster_is_supernode(const struct cluster *c)
{
	return election_leads(swarm_election(c->swarm));
}

const struct swarm *cluster_swarm(const struct cluster *c)
{
	return c->swarm;
}

struct gossip_counts cluster_counts(const struct cluster *c)
{
	return c->gossip ? gossip_counts(c->gossip) : (struct gossip_counts){ 0 };
}

struct mdns_counts cluster_mdns_counts(const struct cluster *c)
{
	return c->discovery ? discovery_counts(c->discovery) : (struct mdns_counts){ 0 };
}

uint16_t cluster_port(const struct cluster *c)
{
	return c->gossip ? gossip_port(c->gossip) : 0;
}

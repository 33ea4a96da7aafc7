/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roles: what the supernode lets others do for the cluster. Grants are leases of 5 s, stamped with the epoch
 * of the supernode, renewed with its beacons; those of a lower epoch than was seen are ignored by the
 * election already, which takes beacons. A role for which nobody is fit says so.
 *
 * Only members of this node's account take part. The operator of a node may pin a role to it or veto it there; its record
 * says so (roles_pinned, roles_vetoed). Pure.
 */
#ifndef CORE_ROLES_H
#define CORE_ROLES_H

#include "edged/slice.h"
#include "core/member.h"

#define ROLES(X)                                                                                             \
	X(networkProxy, "carries the cluster's traffic to and from other networks")                          \
	X(cache, "keeps shared copies")                                                                      \
	X(cloudGateway, "talks to the cloud for all")

enum role {
#define ROLE_ENUM(name, text) ROLE_##name,
	ROLES(ROLE_ENUM)
#undef ROLE_ENUM
	        ROLE_COUNT
};
const char *role_name(enum role role);
const char *role_text(enum role role);
/* False: there is no such role. */
bool role_by_name(struct edged_slice name, enum role *ret);

enum {
	ROLE_LEASE_MS = 5000,
	ROLE_RENEW_MS = 1500,
	ROLE_NEWS_MS = 1000,
	ROLE_BETTER_MS = 60000,
	ROLE_CACHES_FROM = 8
};

struct role_grant {
	enum role role;
	bool held;
	uint8_t holder[GOSSIP_ID]; /* its first GOSSIP_SHORT bytes, as the supernode names it; the rest 0 */
	char reason[GOSSIP_REASON];
	uint64_t epoch;
	uint64_t since_ms;     /* this holder */
	uint64_t until_ms;     /* UINT64_MAX: by this node itself as supernode */
	uint64_t better_since; /* supernode only: somebody fitter is there */
};

struct roles;

struct roles_env {
	void *arg;
	/* Another holder (or none). */
	void (*changed)(void *arg, const struct role_grant *grant);
};
EDGED_MUST_CHECK int roles_new(const struct roles_env *env, struct members *members, struct roles **ret);
void roles_free(struct roles *roles);

/* This node is the supernode (of that epoch), or is no longer. */
void roles_lead(struct roles *roles, uint64_t now, uint64_t epoch);
void roles_follow(struct roles *roles);
/* Members or their records changed: a supernode assigns anew. */
void roles_assign(struct roles *roles, uint64_t now);
/* Into a message of the supernode: whole, when so wanted or when they are news, else by a hash that renews them for those
 * who have them. Every ROLE_RENEW_MS they are assigned anew. */
void roles_add(struct roles *roles, uint64_t now, struct gossip_message *message, bool whole);
/* False: the hash is of grants that are not known here. */
EDGED_MUST_CHECK bool roles_take(struct roles *roles, uint64_t now, const struct gossip_message *message);
/* Forgets what was not renewed; when to call again. */
uint64_t roles_tick(struct roles *roles, uint64_t now);

/* Grants in force, one or more for each role; NULL at the end. */
const struct role_grant *roles_at(const struct roles *roles, unsigned i);
/* The holder of a role that is for `key`: of several, each has keys of its own, and keeps them while others come and go. NULL:
 * nobody holds it. */
const struct role_grant *roles_holder_for(const struct roles *roles, enum role role, struct edged_slice key);
bool roles_holds(const struct roles *roles, const uint8_t id[GOSSIP_ID], enum role role);

#endif

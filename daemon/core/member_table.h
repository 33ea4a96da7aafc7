/* SPDX-License-Identifier: Apache-2.0 */
/* The table: finding, adding, forgetting. Within membership only; see member_impl.h. */
#ifndef CORE_MEMBER_TABLE_H
#define CORE_MEMBER_TABLE_H

#include "core/member.h"

struct member *members_add(struct members *ms, const uint8_t key[GOSSIP_KEY], const uint8_t id[GOSSIP_ID]);
void members_forget(struct members *ms, struct member *m);
void members_shuffle(struct members *ms);
void member_set_state(struct members *ms, struct member *m, enum member_state state);
/* Up to `max` random live members but `not`; returns how many. */
unsigned members_pick(struct members *ms, const struct member * not, struct member **ret, unsigned max);
/* The digest of what is told at that address: elsewhere nobody sees those of this host alone. */
uint64_t members_digest_for(const struct members *ms, const struct peer_addr *addr);
/* After who is live, or a version, has changed: every message carries a digest, few changes one. */
void members_digest_anew(struct members *ms);
uint64_t members_random_below(struct members *ms, uint64_t n);
void member_add_try(struct member *m, const struct peer_addr *addr);
/* Ends tombstones and hearsay that are too old; returns when the next one ends. */
uint64_t members_expire(struct members *ms);

#endif

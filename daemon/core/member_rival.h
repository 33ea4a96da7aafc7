/* SPDX-License-Identifier: Apache-2.0 */
/* Two processes with one key. Within membership only; see member_impl.h. */
#ifndef CORE_MEMBER_RIVAL_H
#define CORE_MEMBER_RIVAL_H

#include "core/member.h"

/* A message from another process with the key of `m`, which is live. */
void member_rival_speaks(struct members *ms, struct member *m, const struct gossip_from *from,
        const struct gossip_message *message);
/* The process we know answered; was that number asked to tell it from its rival? */
void member_rival_check(struct members *ms, struct member *m, uint64_t seq);
uint64_t member_rival_tick(struct members *ms, struct member *m);
void members_own_rival(
        struct members *ms, const struct gossip_from *from, const struct gossip_message *message);
void members_own_rival_hint(struct members *ms, const struct peer_addr *addr);

#endif

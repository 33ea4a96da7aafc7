/* SPDX-License-Identifier: Apache-2.0 */
/* Is it still there? Probes, suspicion, probes for others. Within membership only; see member_impl.h. */
#ifndef CORE_MEMBER_PROBE_H
#define CORE_MEMBER_PROBE_H

#include "core/member.h"

uint64_t member_timeout(const struct members *ms, const struct member *m);
void member_probe(struct members *ms, struct member *m);
void member_alive(struct members *ms, struct member *m, bool asked);
void member_measured(struct member *m, uint64_t rtt_ms);
void members_accused(struct members *ms, const struct member *by, const struct gossip_message *message);
void members_relay(struct members *ms, struct member *for_whom, const struct gossip_message *message);
bool members_relay_answer(struct members *ms, struct member *from, const struct gossip_message *message);
uint64_t members_probe_tick(struct members *ms, bool sending);
/* Somebody fell silent or came back and may not be the only one: the round goes on sooner. */
void members_probe_soon(struct members *ms);

#endif

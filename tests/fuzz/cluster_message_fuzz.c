/* layers: core base */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node with a valid key may send: the input is a list of (sender 1, ms to wait 1, length 2, message) that one node
 * gets from four others, each of them proven. Whatever comes, its tables stay bounded and time goes on.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/swarm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	uint64_t random, seq[4];
	uint64_t epoch;
};

static uint64_t draw(void *arg)
{
	struct world *w = arg;
	return w->random = w->random * 6364136223846793005u + 1442695040888963407u;
}

/* Remembers the numbers that the others are asked, so that they can answer. */
static void catch (void *arg, const uint8_t key[GOSSIP_KEY], const struct peer_addr *to, const uint8_t *bytes,
        size_t len)
{
	struct world *w = arg;
	struct gossip_message message;
	if (len > GOSSIP_MAX || gossip_decode(bytes, len, &message) || !to)
		abort();
	if (message.type == GOSSIP_PING)
		w->seq[key[32] & 3] = message.seq;
}

static void identify(void *arg, const uint8_t key[GOSSIP_KEY], uint8_t ret_id[GOSSIP_ID])
{
	(void)arg;
	memcpy(ret_id, key + 1, GOSSIP_ID);
	ret_id[0] = key[32];
}

static int save(void *arg, uint64_t epoch)
{
	struct world *w = arg;
	if (epoch <= w->epoch)
		abort();
	w->epoch = epoch;
	return 0;
}

static void event(void *arg, const struct swarm_event *event)
{
	(void)arg, (void)event;
}

static void send_in(
        struct swarm *swarm, struct world *w, uint64_t now, unsigned sender, const uint8_t *bytes, size_t len)
{
	struct gossip_from from = { .instance = 1 + (sender >> 2 & 1), .addr = { .family = 4, .port = 9 } };
	from.key[0] = 2;
	from.key[32] = sender & 3;
	from.addr.ip[3] = (uint8_t)sender;
	if (sender & 0x80) { /* the answer to what was asked last: makes it a member */
		struct gossip_message ack = { .type = GOSSIP_ACK, .seq = w->seq[sender & 3], .version = 1 };
		uint8_t answer[GOSSIP_MAX];
		swarm_receive(swarm, now, &from, answer, gossip_encode(&ack, answer));
		return;
	}
	uint8_t *copy = malloc(len ? len : 1); /* of the exact size */
	if (!copy)
		abort();
	memcpy(copy, bytes, len);
	swarm_receive(swarm, now, &from, copy, len);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .random = 1 };
	struct swarm_env env = { .arg = &w,
		.random = draw,
		.send = catch,
		.identify = identify,
		.save_epoch = save,
		.event = event };
	struct swarm_options options = { members_defaults(), election_defaults() };
	struct node_description self = { .rank = { .eligible = 1, .capacity = 2 } };
	uint8_t key[GOSSIP_KEY] = { 2, [32] = 3 };
	struct swarm *swarm;
	uint64_t now = 1000;
	if (swarm_new(&options, &env, key, 77, 0, &swarm))
		return 0;
	swarm_start(swarm, now, &self);
	while (size >= 4) {
		size_t len = (size_t)data[2] << 8 | data[3];
		len = len < size - 4 ? len : size - 4;
		now += (uint64_t)data[1] * 8;
		send_in(swarm, &w, now, data[0], data + 4, len);
		swarm_tick(swarm, now);
		data += 4 + len;
		size -= 4 + len;
	}
	unsigned known = 0;
	while (members_at(swarm_members(swarm), known))
		known++;
	if (known > options.members.max + options.members.max_heard)
		abort();
	swarm_leave(swarm, now);
	swarm_tick(swarm, now + 300);
	if (!swarm_left(swarm))
		abort();
	swarm_free(swarm);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One shadow, two homes: both nodes made it while they did not see each other. That with the better claim stays; the other one
 * gives it what it has, and removes its own once the first has it on the disk. Until then requests to it wait. What was begun
 * and not ended begins anew when the nodes see each other again: to take in the same twice changes nothing.
 */
#include "hand.h"

#include <errno.h>

#include "pull.h"
#include "push.h"

/* A claim that is being looked into, or a shadow on its way. */
struct matter {
	struct peer *peer;
	struct shadow_name name;
	struct claim theirs;
	struct operation *operation;
};

static void forget_claim(const struct matter *matter)
{
	struct others *others = matter->peer->peers->deps.others;
	struct other *other = others_find(others, &matter->name);
	if (other && other->home == matter->peer->home)
		others_drop(others, other);
}

/* It is looked into again when that node tells of its shadows the next time. */
static void try_again(const struct matter *matter)
{
	struct other *other = others_find(matter->peer->peers->deps.others, &matter->name);
	if (other)
		other->checked = false;
}

static void merged(void *arg, const struct shadow_outcome *outcome, bool told)
{
	struct matter *matter = arg;
	const struct peers *peers = matter->peer->peers;
	const struct service_deps *deps = &peers->deps.service;
	(void)told;
	if (outcome->error->code == 0) {
		(void)others_set(peers->deps.others, &matter->name, matter->peer->home, &matter->theirs);
		deps->log->log(deps->host, EDGED_NOTICE,
		        "the shadow \"%s\" of %s was made on two nodes: node %.8s has it now, what was here "
		        "is in it",
		        matter->name.name, matter->name.thing, matter->peer->home->id);
	} else {
		try_again(matter);
		deps->log->log(deps->host, EDGED_WARNING,
		        "the shadow \"%s\" of %s is here and on node %.8s, which could not take it: %s; "
		        "until it can, each node has its own",
		        matter->name.name, matter->name.thing, matter->peer->home->id,
		        outcome->error->message);
	}
	service_handed(matter->operation, outcome->error->code == 0);
	if (outcome->error->code == 504 && peer_available(matter->peer->home))
		pull_begin(matter->peer);
	peers_release(matter);
}

/* Its turn has come: nobody changes it meanwhile. */
static void give(void *arg, struct operation *operation, struct edged_slice text)
{
	struct matter *matter = arg;
	const struct peers *peers = matter->peer->peers;
	struct frame frame = { .type = FRAME_REQUEST,
		.verb = SHADOW_MERGE,
		.number = SHADOW_MATCH_NONE,
		.name = matter->name,
		.body = text };
	matter->operation = operation;
	int r = !text.len ? -ENOENT
	        : !peer_available(matter->peer->home)
	                ? -EHOSTUNREACH
	                : asks_add(peers->deps.asks, matter->peer->home, merged, matter, &frame.id);
	if (!r && (r = peer_say(matter->peer, &frame)) < 0)
		asks_cancel(peers->deps.asks, frame.id);
	if (r >= 0)
		return;
	if (r != -ENOENT)
		try_again(matter);
	if (operation)
		service_handed(operation, false);
	peers_release(matter);
}

static void looked(void *arg, int result, struct edged_slice value)
{
	struct matter *matter = arg;
	struct peer *peer = matter->peer;
	struct peers *peers = peer->peers;
	struct claim ours;
	if (result || !document_peek(value, &ours)) {
		peers_release(matter);
		return;
	}
	if (claim_better(&ours, peers->id, &matter->theirs, peer->home->id)) {
		forget_claim(matter);
		push_have(peer, &matter->name, &ours);
		peers_release(matter);
		return;
	}
	if (service_hand(peers->service, &matter->name, give, matter))
		peers_release(matter);
}

void hand_check(struct peer *peer, const struct shadow_name *name, const struct claim *theirs)
{
	const struct service_deps *deps = &peer->peers->deps.service;
	char key[SHADOW_KEY_MAX];
	struct matter *matter = peers_alloc(peer->peers, sizeof(*matter));
	if (!matter)
		return;
	*matter = (struct matter){ .peer = peer, .name = *name, .theirs = *theirs };
	if (deps->store->get(deps->host, SHADOW_TABLE, shadow_key(key, name), looked, matter))
		peers_release(matter);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic aliases towards one client (MQTT 5.0, section 3.3.2.3.4). The first topics that come get them, and keep them
 * for the connection: topics of a device are few and come again. Pure.
 */
#ifndef BROKER_ALIASES_H
#define BROKER_ALIASES_H

#include <stdbool.h>
#include <stdint.h>
#include "edged/slice.h"

#define ALIAS_TOPIC_MIN 5 /* bytes; a shorter topic costs no more than its alias */

struct aliases {
	struct edged_slice *topics; /* topics[alias - 1]; malloc'ed */
	uint16_t max;               /* 0: the client wants none */
	uint16_t count;
};

void aliases_fini(struct aliases *aliases);
/* The alias that the client knows for the topic, or 0. */
uint16_t aliases_find(const struct aliases *aliases, uint64_t hash, struct edged_slice topic);
/* A new alias for the topic, or 0 when there is no room (or memory) for one. */
uint16_t aliases_add(struct aliases *aliases, uint64_t hash, struct edged_slice topic);

#endif

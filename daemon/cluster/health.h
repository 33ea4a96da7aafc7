/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which nodes failed lately, so that others are asked for a while: after a first failure for HEALTH_FIRST_MS, after each
 * further one in a row twice as long. A success forgets. Pure; one owner.
 */
#ifndef CLUSTER_HEALTH_H
#define CLUSTER_HEALTH_H

#include <stdint.h>
#include "core/nodeid.h"

enum {
	HEALTH_NODES = 64, /* kept; beyond, the one whose time ends first makes room */
	HEALTH_FIRST_MS = 1000,
	HEALTH_MAX_MS = 30000,
};

struct health_entry {
	char id[NODE_ID_LEN + 1]; /* "": free */
	unsigned failures;
	uint64_t until_ms;
};

/* All zero at first. */
struct health {
	struct health_entry nodes[HEALTH_NODES];
};

void health_failed(struct health *health, const char *node_id, uint64_t now_ms);
void health_succeeded(struct health *health, const char *node_id);
/* How long it is to be avoided still, in ms; 0: it is well, or may be tried again. */
uint64_t health_avoided(const struct health *health, const char *node_id, uint64_t now_ms);
/* Nodes avoided now. */
unsigned health_count(const struct health *health, uint64_t now_ms);

#endif

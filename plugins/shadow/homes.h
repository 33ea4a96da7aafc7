/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Over REST: which nodes are homes of shadows elsewhere, and taking over those of a node that does not come back. The moved shadow
 * has the better claim from then on, wherever its former home should come up again (hand.c). Main loop.
 */
#ifndef SHADOW_HOMES_H
#define SHADOW_HOMES_H

#include "peers.h"
#include "rest.h"

struct homes {
	struct rest *rest;
	struct peers *peers;
	bool busy; /* taking over */
};

/* GET /shadow/v1/homes */
int homes_list(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity);
/* POST /shadow/v1/homes/{node}/takeover */
int homes_take(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity);

#endif

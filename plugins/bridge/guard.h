/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Against messages that go in circles: the marks that MQTT 5 messages carry, and a memory of what was sent for where marks
 * and "no local" are not to be had. Pure.
 *
 * Marks are user properties MARK_NAME with the id of each node that the message has passed, in order. A bridge adds its own
 * node's on the way out; on the way in it adds the other node's, when that is known, and its own last. So a message
 * whose marks name this node, but not last, has been here before and came back by another way.
 */
#ifndef BRIDGE_GUARD_H
#define BRIDGE_GUARD_H

#include <stdbool.h>
#include "../broker/wire.h"

#define MARK_NAME "edged-via"
#define MARK_ID   16 /* characters of a node's id that are enough to tell nodes apart */
#define MARK_SIZE (1 + 2 + sizeof(MARK_NAME) - 1 + 2 + MARK_ID) /* of one, on the wire */

struct marks {
	bool here;   /* this node is among them */
	bool last;   /* and is the last one */
	bool remote; /* the other node is among them */
};

/* props: MQTT 5 properties without the length. remote is empty when it is not known. */
struct marks marks_read(struct edged_slice props, struct edged_slice here, struct edged_slice remote);
void marks_write(struct writer *w, struct edged_slice id);

/* --- what was sent lately -------------------------------------------------------------------------------------------------- */

#define GUARD_SIZE 1024 /* messages; older ones are forgotten */

struct guard {
	uint64_t key;
	uint32_t next;
	struct trace {
		uint64_t hash; /* 0: none */
		uint64_t at;   /* ms */
	} traces[GUARD_SIZE];
};

uint64_t guard_hash(const struct guard *guard, struct edged_slice topic, struct edged_slice payload);
void guard_note(struct guard *guard, uint64_t hash, uint64_t now);
/* Was it noted in the last `window` ms? Each note answers for one echo. */
bool guard_take(struct guard *guard, uint64_t hash, uint64_t now, uint64_t window);

#endif

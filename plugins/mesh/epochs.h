/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which store each node had when it was here last: a random number that is in it. A node whose number is another one has lost
 * what it knew of us, and uses packet ids anew for other messages. Ours is made with our store. On the disk:
 *
 *   table     key                  value
 *   epochs    node id              8 bytes
 */
#ifndef MESH_EPOCHS_H
#define MESH_EPOCHS_H

#include "mesh.h"

struct epoch_row {
	struct epoch_row *next;
	uint64_t epoch;
	char id[MESH_ID + 1];
};

/* Reads all, makes ours; then mesh->loaded(), with 0 or what went wrong. */
int epochs_load(struct mesh *mesh);
/* Is that the store it had? Notes it, for good. When it was never here it is. */
bool epochs_same(struct mesh *mesh, const char *id, uint64_t epoch);
/* That node will not come again. */
void epochs_forget(struct mesh *mesh, const char *id);
void epochs_free(struct mesh *mesh);

#endif

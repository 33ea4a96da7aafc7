/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each node knew of us when it was here last: a number made of a random one in its store, and of that of its session for
 * us. A node whose number is another one has lost that, and uses packet ids anew for other messages. On the disk, ours (the
 * random one) among the others:
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
/* What it is told of us. */
uint64_t epochs_ours(const struct mesh *mesh, edged_handle session);
/* Does it know what it knew? Notes it, for good. When it was never here it is. */
bool epochs_same(struct mesh *mesh, const char *id, uint64_t epoch);
/* That node will not come again. */
void epochs_forget(struct mesh *mesh, const char *id);
void epochs_free(struct mesh *mesh);

#endif

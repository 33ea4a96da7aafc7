/* SPDX-License-Identifier: Apache-2.0 */
/* What this node has of retained messages, as one number for each part of the topics. Main loop only. */
#ifndef MESH_DIGEST_H
#define MESH_DIGEST_H

#include "frames.h"

struct mesh;

struct digest {
	bool made;
	uint64_t version; /* of what it was made of, see edged_session_1.retained_version() */
	uint64_t parts[DIGEST_PARTS];
	uint64_t sum; /* of all parts */
};

/* Which part a topic belongs to. */
size_t digest_part(struct edged_slice topic);
/* The present one. It takes a walk through all of them only when they have changed: many nodes may ask at once. */
const struct digest *digest_of_all(struct mesh *mesh);

#endif

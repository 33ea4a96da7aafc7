/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of doors (edged/cap_auth.h): who stands there, with everything that it brings. */
#ifndef PLUGIN_AUTH_DOOR_H
#define PLUGIN_AUTH_DOOR_H

#include "edged/cap_auth.h"
#include "base/err.h"

/* A door with everything in it. Of identities: without password, and never changed. */
struct door {
	struct edged_door door;
	struct edged_peer peer;
	size_t size; /* of text */
	char *text;  /* what all strings point into; equal for equal doors */
};

/* Copies all; without secrets there is no password in it. */
EDGED_MUST_CHECK int door_copy(const struct edged_door *door, bool secrets, struct door *ret);
void door_fini(struct door *door);

#endif

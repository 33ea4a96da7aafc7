/* SPDX-License-Identifier: Apache-2.0 */
/* The state folder: everything the node must remember. One daemon at a time uses it. */
#ifndef STATE_H
#define STATE_H

#include "base/buf.h"
#include "base/err.h"

struct state;

/* The folder when none is named: $STATE_DIRECTORY (systemd), /var/lib/edged for root, else below $XDG_STATE_HOME or
 * ~/.local/state. malloc'ed; NULL: no memory or no home. */
char *state_default_folder(void);

/* Creates the folder (0700) and locks it. -EBUSY: another daemon runs on it, the sentence names its pid. */
EDGED_MUST_CHECK int state_open(const char *folder, struct state **ret, struct err *err);
void state_close(struct state *state);               /* removes run.json */
const char *state_folder(const struct state *state); /* absolute */
/* FOLDER/name, malloc'ed; NULL: no memory. */
char *state_path(const struct state *state, const char *name);
/* Writes run.json, atomically: what tools need to find the running daemon. */
EDGED_MUST_CHECK int state_write_run(struct state *state, struct edged_slice json, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decider of `edged.auth/1`: who shows a certificate that the registry knows is "cert:FINGERPRINT", and does what its
 * policies, those of its thing and of the thing's groups allow. Who has signed with an access key is "key:ID"; who shows neither
 * is judged as a user by name and password. Who is not known is left to the daemon (edged_peer.trusted).
 * Main loop, but for allow().
 */
#ifndef THINGS_DECIDER_H
#define THINGS_DECIDER_H

#include "edged/cap_auth.h"
#include "plugin.h"

struct decider;

int decider_new(struct things *things, struct decider **ret);
void decider_free(struct decider *decider);
/* Decides from now on; -EACCES: the configuration names another decider. */
EDGED_MUST_CHECK int decider_start(struct decider *decider);
/* What it holds of the daemon; NULL is fine. */
void decider_stop(struct decider *decider);
/* A record has changed or gone, see struct registry_deps. */
void decider_changed(struct decider *decider, enum kind kind, const char *name);

#endif

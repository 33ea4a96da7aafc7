/* SPDX-License-Identifier: Apache-2.0 */
/* "edged.things/1": the registry, as other plugins see it. Main loop. */
#ifndef THINGS_OFFER_H
#define THINGS_OFFER_H

#include "edged/cap_things.h"
#include "registry.h"

struct offer;

/* The registry is borrowed. -ENOMEM. */
int offer_new(struct registry *registry, struct offer **ret);
void offer_free(struct offer *offer);
const struct edged_things_1 *offer_capability(const struct offer *offer);
/* A record was made, has changed or gone; KINDS: anything may have. */
void offer_changed(const struct offer *offer, enum kind kind, const char *name);

#endif

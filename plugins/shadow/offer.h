/* SPDX-License-Identifier: Apache-2.0 */
/* "edged.shadow/1": shadows, as other plugins see them. Main loop. */
#ifndef SHADOW_OFFER_H
#define SHADOW_OFFER_H

#include "edged/cap_shadow.h"
#include "service.h"

struct offer;

/* The service is borrowed. -ENOMEM. */
int offer_new(struct service *service, struct offer **ret);
/* Before the service, which answers all that waits: nobody is told. */
void offer_free(struct offer *offer);
const struct edged_shadow_1 *offer_capability(const struct offer *offer);

#endif

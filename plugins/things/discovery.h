/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Greengrass discovery (AWS IoT Greengrass developer guide: "Greengrass discovery RESTful API"): where a device finds its
 * core, which is this node, and the CA of its certificate. Its route: routes.h.
 */
#ifndef THINGS_DISCOVERY_H
#define THINGS_DISCOVERY_H

#include "rest.h"

/* The answer for a node that edged.node/1 describes so; NULL: no memory. */
json_t *discovery_answer(const json_t *node);

#endif

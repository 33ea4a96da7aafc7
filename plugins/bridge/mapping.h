/* SPDX-License-Identifier: Apache-2.0 */
/* Which rule a topic falls under, and what it is called on the other side. Pure. */
#ifndef BRIDGE_MAPPING_H
#define BRIDGE_MAPPING_H

#include "settings.h"

/* The first rule of that way (WAY_IN: a remote topic, WAY_OUT: a local one) that matches, and the topic's name on the other
 * side in `out` (TOPIC_MOST bytes). NULL: none does, or the name would be too long. */
const struct rule *map_topic(const struct bridge_settings *settings, uint8_t way, struct edged_slice topic,
        char *out, struct edged_slice *ret_topic);

#endif

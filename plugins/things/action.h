/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy speaks of: actions and resources (AWS service authorization reference, "AWS IoT" and "AWS IoT
 * Greengrass"). Pure.
 */
#ifndef THINGS_ACTION_H
#define THINGS_ACTION_H

#include "edged/cap_auth.h"

enum resource { RESOURCE_TOPIC, RESOURCE_FILTER, RESOURCE_CLIENT, RESOURCE_THING, RESOURCE_NONE, RESOURCES };
/* What the resource of an action is: "topicfilter/..." for EDGED_SUBSCRIBE and so on. */
enum resource action_resource(enum edged_action action);

/* Bits (1 << enum edged_action) of those that a pattern such as "iot:Get*" means; 0 for a known action without meaning here.
 * False, and a sentence: it means nothing, or is none. */
bool actions_read(struct edged_slice pattern, uint32_t *ret, const char **ret_why);
/* "topic/" and so on; "*" for RESOURCE_NONE. */
struct edged_slice resource_prefix(enum resource resource);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a device, as JSON. New references; NULL: no memory. Pure but for describe_thing(). */
#ifndef DEVICES_DESCRIBE_H
#define DEVICES_DESCRIBE_H

#include <jansson.h>
#include "edged/cap_pubsub.h"
#include "edged/cap_things.h"

/* What the registry knows of a thing; NULL also when there is none. */
json_t *describe_thing(
        const struct edged_things_1 *things, struct edged_host *host, struct edged_slice thing);
/* Is that the value of the member, or one of its values? */
bool describe_has(const json_t *known, const char *member, struct edged_slice value);

/* As in a list of services: {"name", "serviceType", "type", "self", "connected"}. */
json_t *describe_brief(const char *thing, const json_t *known, bool connected);
/* The same with what is known of it, a summary of its properties, and where all of it is. The document of its shadow may be
 * empty: it has none. */
json_t *describe_whole(
        const char *thing, const json_t *known, bool connected, struct edged_slice shadow_document);
/* {"desired", "reported", "delta", "version", "timestamp"} of such a document. */
json_t *describe_properties(struct edged_slice shadow_document);
/* A message of a device as text, for free(): {"topic", "payload"}; the topic is what follows devices/{thing}/events/. The
 * payload is JSON when it is that, else text, else in "payloadBase64". */
char *describe_event(const struct edged_message *message);

#endif

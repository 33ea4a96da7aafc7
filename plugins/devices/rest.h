/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Things as services over REST: /devices/v1 lists them, /devices/v1/{thing} is one: its description, its shadow as properties,
 * its calls (calls.h) and what happens with it as server-sent events. Errors are problem documents. Main loop.
 */
#ifndef DEVICES_REST_H
#define DEVICES_REST_H

#include <sys/queue.h>
#include "../shadow/feed.h"
#include "calls.h"
#include "edged/cap_shadow.h"
#include "edged/cap_things.h"

struct rest {
	struct edged_host *host;
	const struct edged_http_1 *http;
	const struct edged_pubsub_1 *pubsub;
	const struct edged_things_1 *things;
	const struct edged_shadow_1 *shadows;
	struct gate *gate;
	struct calls *calls;
	struct feeds *feeds;
	size_t scan;           /* things looked at for one page */
	LIST_HEAD(, ask) asks; /* of shadows */
};

/* Nothing is asked of shadows any more. */
void rest_stop(struct rest *rest);

/* What follows once the gate has said who asks; self is a struct rest. */
gate_done rest_list, rest_device, rest_get_properties, rest_patch_properties, rest_put_properties, rest_call,
        rest_events;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of devices: an HTTP request becomes a message to the device, and the device's message its answer. The same message is for
 * MQTT 5, which finds response topic and correlation data in it, and for 3.1.1, which finds the call's id in its topic (topic.h).
 *
 * A call goes out at QoS 0: it is carried out at most once, and not kept for a device that is away. Its answer is believed when
 * it comes from the client whose id is the thing's name, on the topic that has the call's id, 128 random bits. A call ends when that
 * has come, the device disconnects, its time is over, or its HTTP client leaves. Main loop.
 */
#ifndef DEVICES_CALLS_H
#define DEVICES_CALLS_H

#include "edged/cap_http.h"
#include "edged/cap_loop.h"
#include "edged/cap_metrics.h"
#include "edged/cap_pubsub.h"

struct calls;

struct calls_deps {
	struct edged_host *host;
	const struct edged_http_1 *http;
	const struct edged_loop_1 *loop;
	const struct edged_pubsub_1 *pubsub;
	const struct edged_metrics_1 *metrics;
	unsigned in_flight, of_a_thing; /* calls */
	size_t payload;                 /* bytes of a call */
	uint64_t ms, most_ms;           /* for the answer: when the caller does not say, and at most */
};
int calls_new(const struct calls_deps *deps, struct calls **ret); /* -ENOMEM */
void calls_free(struct calls *calls);
/* Listens for answers and for devices that leave. */
EDGED_MUST_CHECK int calls_start(struct calls *calls);
/* Calls in flight are answered with 503. */
void calls_stop(struct calls *calls);

/* Answers the request, now or later. The thing exists, the name is valid. A negative errno: not answered. */
EDGED_MUST_CHECK int calls_make(
        struct calls *calls, edged_handle request, const char *thing, struct edged_slice name);

/* "edged-device: THING" in answers of a device, and in those about it: not the node has failed (cluster/proxy.h). */
#define DEVICE_HEADER "edged-device"

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "strict.h"

/* AWS IoT Core endpoints and quotas, "Device Shadow service API limits". */
enum {
	DOCUMENT = 30 *
	           1024, /* bytes, the most that AWS grants; 8 KB without asking, which is the default here */
	DEPTH = 8,
	IN_FLIGHT = 10, /* requests of a thing that are not answered */
	RATE = 20,      /* requests of a thing in a second */
	PAYLOAD = 128 * 1024,
};

static size_t lower(size_t own, size_t aws)
{
	return own < aws ? own : aws;
}

void strict_limits(struct service_deps *deps)
{
	deps->limits.bytes = lower(deps->limits.bytes, DOCUMENT);
	deps->limits.depth = (unsigned)lower(deps->limits.depth, DEPTH);
	deps->in_flight = (unsigned)lower(deps->in_flight, IN_FLIGHT);
	deps->rate = deps->rate ? (unsigned)lower(deps->rate, RATE) : RATE;
	deps->payload = lower(deps->payload, PAYLOAD);
}

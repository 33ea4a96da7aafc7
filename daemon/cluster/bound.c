/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/bound.h"

#include "cluster/addr.h"
#include "cluster/faces.h"

void bound_read(struct bound *ret, char (*listeners)[64], unsigned count)
{
	ret->count = 0;
	for (unsigned i = 0; i < count && ret->count < BOUND_MAX; i++)
		if (!addr_parse(listeners[i], &ret->at[ret->count]))
			ret->count++;
}

uint16_t bound_port(const struct bound *bound)
{
	return bound->count ? bound->at[0].port : 0;
}

bool bound_is_local(const struct bound *bound)
{
	for (unsigned i = 0; i < bound->count; i++)
		if (!peer_addr_is_loopback(&bound->at[i]))
			return false;
	return bound->count > 0;
}

static bool takes(const struct peer_addr *at, const struct peer_addr *host)
{
	if (peer_addr_is_any(at))
		return at->family == 6 || host->family == 4;
	return at->family == host->family && !memcmp(at->ip, host->ip, sizeof(at->ip));
}

bool bound_covers(const struct bound *bound, const struct peer_addr *host)
{
	for (unsigned i = 0; i < bound->count; i++)
		if (takes(&bound->at[i], host))
			return true;
	return false;
}

static unsigned add(struct peer_addr *ret, unsigned count, unsigned max, const struct peer_addr *addr)
{
	for (unsigned i = 0; i < count; i++)
		if (peer_addr_eq(&ret[i], addr))
			return count;
	if (count < max)
		ret[count++] = *addr;
	return count;
}

static unsigned add_host(struct peer_addr *ret, unsigned count, unsigned max, const struct peer_addr *at)
{
	struct peer_addr host[BOUND_MAX];
	unsigned found = faces_host_addresses(host, BOUND_MAX);
	for (unsigned i = 0; i < found; i++) {
		host[i].port = at->port;
		if (takes(at, &host[i]))
			count = add(ret, count, max, &host[i]);
	}
	return count;
}

unsigned bound_addresses(const struct bound *bound, struct peer_addr *ret, unsigned max)
{
	bool local = bound_is_local(bound);
	unsigned count = 0;
	for (unsigned i = 0; i < bound->count; i++) {
		struct peer_addr at = bound->at[i];
		at.scope = 0;
		if (peer_addr_is_any(&at))
			count = add_host(ret, count, max, &at);
		else if (local || !peer_addr_is_loopback(&at))
			count = add(ret, count, max, &at);
	}
	return count;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/owner.h"

bool owner_asks(struct requests *requests, edged_handle request)
{
	const struct edged_peer *peer = request_peer(requests, request);
	if (peer && peer->loopback && !peer->tls && !peer->node_id && request_hops(requests, request) == 0)
		return true;
	(void)request_problem(requests, request, 403, "owner-only",
	        "Only the owner may do this, on the node itself",
	        "Call it on the node's own Unix socket or loopback address, as edgectl does.");
	return false;
}

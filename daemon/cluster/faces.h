/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network interfaces that multicast DNS uses: one socket for each interface and family on port 5353, shared with other
 * responders of the host, joined and re-joined as interfaces come and go (netlink). The loopback interface is
 * among them, for daemons that listen there only. Main loop only.
 */
#ifndef CLUSTER_FACES_H
#define CLUSTER_FACES_H

#include "core/peer_addr.h"
#include "io/loop.h"

struct faces;

enum { FACE_ADDRESSES = 8, FACES_MAX = 32 };

struct face {
	struct faces *faces;
	unsigned index; /* of the interface */
	bool v6;
	int fd;
	struct watch *watch;
	struct peer_addr addresses[FACE_ADDRESSES]; /* of the interface, both families */
	unsigned count;
	uint64_t multicast_ms; /* when it last answered to all */
	bool present;          /* during a scan */
};

struct faces_deps {
	struct loop *loop;
	const char *const *only; /* names of interfaces, NULL-terminated; NULL: all */
	bool local;              /* the loopback interface only, whatever `only` says */
	void (*received)(
	        void *arg, struct face *face, const uint8_t *bytes, size_t len, const struct peer_addr *from);
	/* Interfaces or addresses changed. */
	void (*changed)(void *arg);
	void *arg;
};

/* Interfaces that cannot be used are passed over; *none of them* is no error. */
EDGED_MUST_CHECK int faces_new(const struct faces_deps *deps, struct faces **ret);
void faces_free(struct faces *faces);
/* The i-th, NULL at the end. */
struct face *faces_at(struct faces *faces, unsigned i);
void face_send_all(struct face *face, const uint8_t *bytes, size_t len);
void face_send(struct face *face, const struct peer_addr *to, const uint8_t *bytes, size_t len);

/* Every address of this host that others may reach (loopback only when there is no other), global ones first, at most
 * `max`. For the node's own record, also without multicast DNS. */
unsigned faces_host_addresses(struct peer_addr *ret, unsigned max);

#endif

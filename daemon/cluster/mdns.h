/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS-SD over multicast DNS (RFC 6762, 6763): says where this node's service is and looks for others of its kind. The parts
 * that a gateway needs: announcements, answers (with known-answer suppression, and to one-shot askers), goodbye, and
 * queries that grow rarer up to one in five minutes (for
 * networks that were joined without any interface going down). It keeps no cache: whoever is found is told to the caller at once.
 * Names are not probed for: they carry 80 bits of the node's key, and a copied key is found by other means.
 * Main loop only.
 */
#ifndef CLUSTER_MDNS_H
#define CLUSTER_MDNS_H

#include "cluster/bound.h"
#include "cluster/faces.h"

struct mdns;

enum { MDNS_TXT = 400 };

/* What is announced. */
struct mdns_service {
	const char *type;          /* "_edged._tcp.local" */
	const char *instance;      /* one label */
	const char *host;          /* "edged-abc.local" */
	const struct bound *bound; /* its port is that of the service, its addresses those of the host */
	const uint8_t *txt;        /* as on the wire: length, "key=value"; at most MDNS_TXT bytes */
	size_t txt_len;
};

struct dns_reader;
struct dns_record;

struct mdns_deps {
	struct loop *loop;
	const char *const *only; /* interfaces, see faces.h */
	bool local;
	/* A message that brought the TXT record of an instance of the type: ours (heard by ourselves) or another's.
	 * `addresses`: where it came from (without a port), then what it says of its host. */
	void (*found)(void *arg, const struct dns_reader *reader, const struct dns_record *txt,
	        const struct peer_addr *addresses, unsigned count);
	void (*changed)(void *arg); /* interfaces or addresses */
	void *arg;
};

EDGED_MUST_CHECK int mdns_new(
        const struct mdns_deps *deps, const struct mdns_service *service, struct mdns **ret);
/* Says goodbye and ends. */
void mdns_free(struct mdns *mdns);
/* Where it listens, or TXT, has changed. */
void mdns_update(struct mdns *mdns, const struct bound *bound, const uint8_t *txt, size_t txt_len);

struct mdns_counts {
	uint64_t received, malformed, sent, answers, queries;
	unsigned faces;
};
struct mdns_counts mdns_counts(const struct mdns *mdns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Objects over REST, with the validators and the ages of HTTP (RFC 9110, RFC 9111). Main loop. */
#ifndef CACHE_REST_H
#define CACHE_REST_H

#include "edged/cap_http.h"
#include "objects.h"

struct rest {
	struct edged_host *host;
	const struct edged_http_1 *http;
	struct objects *objects;
	size_t object_bytes;       /* of one body */
	uint64_t life_ms, most_ms; /* without max-age, and at most */
	uint64_t (*wall)(void);
	int64_t *hits, *misses;
};

int rest_get(struct rest *rest, edged_handle request);
int rest_put(struct rest *rest, edged_handle request);
int rest_delete(struct rest *rest, edged_handle request);
int rest_list(struct rest *rest, edged_handle request);

/* The query parameter `limit` of a list. False: answered. */
bool rest_read_limit(
        const struct edged_http_1 *http, struct edged_host *host, edged_handle request, size_t *ret);

/* --- for tests --- */
/* Does a list of entity tags, or "*", hold that one? Weak ones count (RFC 9110 section 8.8.3.2). */
bool rest_has_tag(struct edged_slice list, uint64_t tag);
/* The life that a Cache-Control header asks for in seconds, s-maxage before max-age (RFC 9111 section 5.2.2); -1: none,
 * -2: one that is no number. */
int64_t rest_life(struct edged_slice cache_control);

#endif

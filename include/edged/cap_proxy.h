/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability "edged.proxy/1": a cache for what other nodes answer.
 *
 * Requests to /nodes/{id}/... and /any/{service}/... that go to another node are shown to the cache before they go, and so is
 * what comes back. The daemon has judged by then who asks and whether the request may go to that node: what the cache answers
 * in that node's stead, it answers to somebody who may have it unless the answer depends on who asks. Which answers may be
 * kept is the cache's to know (RFC 9111). Main loop only.
 */
#ifndef EDGED_CAP_PROXY_H
#define EDGED_CAP_PROXY_H

#include "edged/cap_auth.h" /* struct edged_http_field */

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_PROXY_1 "edged.proxy/1"

/* What it points to lives until the last function but end() is called. */
struct edged_proxy_request {
	uint32_t struct_size;
	bool has_body;
	struct edged_slice method;
	/* What it is for, the same from whichever client: "/nodes/<whole id>/path?query" or "/any/service/path?query",
	 * percent-encoded as it came. Up to 4 KiB. */
	struct edged_slice uri;
	/* As the other node gets them: without those for one hop, and with `edged-caller`, who asks. Names in any case. */
	const struct edged_http_field *fields;
	size_t field_count;
};

/* What the cache returns lives until its next function is called; its names and values are terminated. */
struct edged_proxy_answer {
	uint32_t struct_size;
	int status;                            /* 200 to 599 */
	const struct edged_http_field *fields; /* without Content-Length and those for one hop */
	size_t field_count;
	int64_t length; /* of the body of an answer that comes, in bytes; -1: not known before its end */
	struct edged_slice body; /* of an answer that the cache has; to HEAD the one that GET would get */
};

/* All members are needed. None may call back into the capability. */
struct edged_proxy_cache {
	uint32_t struct_size;
	/* A request is about to go. NULL: it is not the cache's business. Otherwise what is returned names it in the functions
	 * below. ret->status is not 0: that is the answer, nobody is asked. Else it goes: as it stands when ret->fields is NULL, else
	 * with those fields (two at most, maybe none) in the place of its own If-None-Match and If-Modified-Since, so that 304 is
	 * for the cache; and *ret_shared: to the node that holds the cluster's cache role, since many nodes may ask for the
	 * same. *ret and *ret_shared are zero before. */
	void *(*begin)(void *self, const struct edged_proxy_request *request, struct edged_proxy_answer *ret,
	        bool *ret_shared);
	/* An answer begins. True: *ret is given instead of it. False: it passes, with ret->fields added. */
	bool (*head)(void *exchange, const struct edged_proxy_answer *answer, struct edged_proxy_answer *ret);
	/* Some of the body of an answer that passes. */
	void (*data)(void *exchange, struct edged_slice bytes);
	/* No answer came. True: *ret is the answer. */
	bool (*failed)(void *exchange, struct edged_proxy_answer *ret);
	/* Once, the last. whole: an answer has passed to its end. */
	void (*end)(void *exchange, bool whole);
	/* The node is of another account from now on: nothing that is kept may be given to anybody. */
	void (*clear)(void *self);
};

struct edged_proxy_1 {
	uint32_t struct_size;
	/* The calling plugin is the cache until it stops: before its stop(), end() has been called for each exchange. -EEXIST:
	 * there is another one; -EINVAL: a function is missing; -ENOENT: there is no proxy. */
	EDGED_MUST_CHECK int (*cache)(
	        struct edged_host *host, const struct edged_proxy_cache *cache, void *self);
};

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the proxy and a cache (`edged.proxy/1`, edged/cap_proxy.h): which requests it is shown, and in which words. Without
 * a cache nothing here allocates. Main loop only.
 */
#ifndef CLUSTER_PROXY_CACHE_H
#define CLUSTER_PROXY_CACHE_H

#include "edged/cap_proxy.h"
#include "base/buf.h"
#include "base/list.h"
#include "cluster/proxy_head.h"

struct link_message;

struct proxy_cache {
	const char *owner; /* the plugin's name; NULL: there is no cache */
	struct edged_proxy_cache functions;
	void *self;
	struct list open;              /* exchanges */
	char account[NODE_ID_LEN + 1]; /* whose answers it has */
};
void proxy_cache_init(struct proxy_cache *cache);
/* As edged_proxy_1.cache. */
EDGED_MUST_CHECK int proxy_cache_set(
        struct proxy_cache *cache, const char *owner, const struct edged_proxy_cache *functions, void *self);
/* No cache from now on; open exchanges have ended when it returns. */
void proxy_cache_unset(struct proxy_cache *cache);

/* One request, as the cache knows it. All zero, or begun. */
struct proxy_exchange {
	struct list node;
	struct proxy_cache *cache; /* NULL: the cache has no part in it (any more) */
	void *exchange;
	struct edged_http_field *fields; /* of the request, as it was shown */
	struct buf uri;                  /* what it is for */
	bool conditional;                /* it went with the cache's conditions: 304 is for the cache alone */
	bool is_retrieval;               /* GET or HEAD */
	bool shared;                     /* better asked of the node that holds the cache role */
};

/* What a request is about to become. */
struct proxy_ask {
	struct requests *requests;
	edged_handle request;
	struct proxy_head *head; /* gets the cache's conditions */
	const char *account;     /* this node's */
	const char *node_id;     /* whom it is for; NULL: any node with the service */
};
/* True: *ret is the answer. */
EDGED_MUST_CHECK bool proxy_exchange_begin(struct proxy_exchange *x, struct proxy_cache *cache,
        const struct proxy_ask *ask, struct edged_proxy_answer *ret);
/* True: *ret is the answer; else its fields are added to that one. `node_id`: who gave it; NULL: the answer says that. */
EDGED_MUST_CHECK bool proxy_exchange_head(struct proxy_exchange *x, const struct link_message *answer,
        const char *node_id, struct edged_proxy_answer *ret);
void proxy_exchange_data(struct proxy_exchange *x, struct edged_slice bytes);
EDGED_MUST_CHECK bool proxy_exchange_failed(struct proxy_exchange *x, struct edged_proxy_answer *ret);
void proxy_exchange_end(struct proxy_exchange *x, bool whole);
void proxy_exchange_fini(struct proxy_exchange *x);

/* Answers with what the cache has. */
void proxy_answer_cached(
        struct requests *requests, edged_handle request, const struct edged_proxy_answer *answer);
/* Adds what the cache says of an answer that passes. */
void proxy_add_fields(
        struct requests *requests, edged_handle request, const struct edged_proxy_answer *added);
/* Did it pass the cache of another node? */
bool proxy_is_from_cache(const struct link_message *answer);

#endif

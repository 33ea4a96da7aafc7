/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shadow service: get, update, delete and list, whoever asks (MQTT or REST). An answer to a change comes
 * once the change is on the disk. Operations on one shadow run one after another, in the order they came; at
 * most `in_flight` of a thing wait, beyond that is 429, as is what comes faster than `rate`. Main loop only.
 */
#ifndef SHADOW_SERVICE_H
#define SHADOW_SERVICE_H

#include "edged/cap_log.h"
#include "edged/cap_loop.h"
#include "edged/cap_metrics.h"
#include "edged/cap_pubsub.h"
#include "edged/cap_store.h"
#include "edged/plugin.h"
#include "document.h"
#include "name.h"

struct service;

struct away; /* below */

struct service_deps {
	struct edged_host *host;
	const struct edged_log_1 *log;
	const struct edged_loop_1 *loop; /* for the rate */
	const struct edged_store_1 *store;
	const struct edged_pubsub_1 *pubsub;
	const struct edged_metrics_1 *metrics;
	struct document_limits limits;
	unsigned in_flight;                               /* operations of one thing, on all its shadows */
	unsigned rate;                                    /* of one thing in a second; 0: any */
	size_t cache_bytes;                               /* of memory for documents that nobody works on */
	size_t payload;                                   /* bytes of a request */
	int64_t (*now)(void);                             /* seconds since 1970 */
	bool (*registered)(void *arg, const char *thing); /* NULL: any thing may have shadows */
	void *registered_arg;
	const struct away *away; /* NULL: alone */
};

/* May the thing have shadows? Else `error` says no. */
bool service_knows(const struct service_deps *deps, const char *thing, struct shadow_error *error);

int service_new(const struct service_deps *deps, struct service **ret);
/* Call when the store calls back no more. Operations that wait are answered with 500. */
void service_free(struct service *service);

/* How an operation ended: error->code 0, the version and the body of `accepted` (or the whole document), else the refusal. The
 * slice is valid during the call. */
struct shadow_outcome {
	const struct shadow_error *error;
	int64_t version;
	struct edged_slice body;
	int64_t age; /* s; below 0: it is the home's own, else a copy, and has been so since */
};
typedef void shadow_answer(void *arg, const struct shadow_outcome *outcome);

/* The code by which a node says to another one that it has not got the shadow (call.here). Nobody else hears it. */
enum { SHADOW_GONE = 410 };

/* Conditions beyond those in the payload (RFC 9110 section 13.1.1); a failed one is 412. */
enum { SHADOW_MATCH_NONE = -1, SHADOW_MATCH_ANY = -2 };

struct shadow_call {
	enum shadow_verb verb;
	struct edged_slice payload;
	int64_t match; /* the version it must have, or one of the above */
	bool mirror;   /* the outcome goes to topics in any case; else refusals and answers of get do not */
	bool patch;    /* update: the payload is a merge patch of the state */
	bool replace;  /* patch: the sections in it are put in the place of what there is, not merged */
	bool whole;    /* update: the answer is the whole document */
	bool here; /* asked by another node, which knows that this one is the home: nobody else is asked */
	bool make; /* here: update: if there is none yet, it is made */
	shadow_answer *answer; /* may be NULL */
	void *arg;
};

/* What becomes of a shadow that is not here. A service without it is alone. */
enum away_result {
	AWAY_DONE,
	AWAY_TOLD, /* and its home has told it on the topics */
	AWAY_AGAIN /* it is not where it was thought to be; look anew */
};
typedef void away_done(void *arg, enum away_result result, const struct shadow_outcome *outcome);
struct away {
	void *ctx;
	/* There is none of that name here. False: nor elsewhere, and it is to be made here. Else done() is called once, later or
	 * from within. What is borrowed lives until then. */
	bool (*run)(void *ctx, const struct shadow_name *name, const struct shadow_call *call,
	        const struct shadow_request *request, away_done *done, void *arg);
	/* Tells the names of a thing's shadows that are elsewhere and exist, in no order. */
	void (*names)(void *ctx, const char *thing, void (*each)(void *arg, const char *name), void *arg);
	/* Tells of things behind `after` that have the shadow of that name elsewhere, in order, as long as each() returns true. */
	void (*things)(void *ctx, const char *after, const char *name,
	        bool (*each)(void *arg, const char *thing, const char *node, bool available), void *arg);
	/* A change of one that is here is on the disk, and not told yet. appears: whether it exists is another matter now. */
	void (*changed)(
	        void *ctx, const struct shadow_name *name, const struct document *document, bool appears);
};

/* Starts an operation. Changes are told on the topics `accepted`, `delta` and `documents` to whoever listens. */
void service_run(struct service *service, const struct shadow_name *name, const struct shadow_call *call);

/* Another node is to be the home of the shadow: its turn has come, `text` is what is stored (empty: there is nothing), and until
 * service_handed() all requests to it wait. `operation` NULL: it cannot be read, and there is nothing to end. gone: it is not
 * here any more. */
struct operation;
typedef void shadow_given(void *arg, struct operation *operation, struct edged_slice text);
/* -ENOMEM. */
EDGED_MUST_CHECK int service_hand(
        struct service *service, const struct shadow_name *name, shadow_given *given, void *arg);
void service_handed(struct operation *operation, bool gone);

#endif

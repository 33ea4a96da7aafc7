/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shadow service: get, update, delete and list, whoever asks (MQTT or REST). An answer to a change comes
 * once the change is on the disk. Operations on one shadow run one after another, in the order they came; at
 * most `in_flight` of them wait, beyond that is 429. Main loop only.
 */
#ifndef SHADOW_SERVICE_H
#define SHADOW_SERVICE_H

#include "edged/cap_log.h"
#include "edged/cap_metrics.h"
#include "edged/cap_pubsub.h"
#include "edged/cap_store.h"
#include "edged/plugin.h"
#include "document.h"
#include "name.h"

struct service;

struct service_deps {
	struct edged_host *host;
	const struct edged_log_1 *log;
	const struct edged_store_1 *store;
	const struct edged_pubsub_1 *pubsub;
	const struct edged_metrics_1 *metrics;
	struct document_limits limits;
	unsigned in_flight;   /* operations that wait for one shadow */
	size_t cache_bytes;   /* documents kept in memory, measured as stored text */
	size_t payload;       /* bytes of a request */
	int64_t (*now)(void); /* seconds since 1970 */
};

int service_new(const struct service_deps *deps, struct service **ret);
/* Call when the store calls back no more. Operations that wait are answered with 500. */
void service_free(struct service *service);

/* How an operation ended: error->code 0 and the body of `accepted` (or the whole document), else the refusal.
 * `body` is valid during the call. */
typedef void shadow_answer(void *arg, const struct shadow_error *error, struct edged_slice body);

/* Starts an operation. Answers of changes go to the `accepted`, `delta` and `documents` topics as well;
 * refusals go to `rejected` only when `mirror` is set, and so do answers of get (MQTT asks for both).
 * `answer` may be NULL. */
void service_run(struct service *service, const struct shadow_name *name, enum shadow_verb verb,
        struct edged_slice payload, bool mirror, shadow_answer *answer, void *arg);

/* Named shadows of a thing in order, from after `after` ("" for the start), at most `limit`. The body is that
 * of AWS's ListNamedShadowsForThing. */
void service_list(struct service *service, const struct shadow_name *after, size_t limit,
        shadow_answer *answer, void *arg);

#endif

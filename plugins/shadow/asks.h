/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests on their way to other nodes. Each is answered, or ends with 504 when its time is over or its node is not there any more.
 * Bounded. Main loop only.
 */
#ifndef SHADOW_ASKS_H
#define SHADOW_ASKS_H

#include "edged/cap_loop.h"
#include "others.h"
#include "service.h"

/* told: its home has told the outcome on the topics. Slices live as long as the call. */
typedef void ask_done(void *arg, const struct shadow_outcome *outcome, bool told);

struct asks_deps {
	struct edged_host *host;
	const struct edged_loop_1 *loop;
	const struct edged_metrics_1 *metrics;
	size_t count;     /* at most */
	uint64_t time_ms; /* for an answer */
};

struct asks;
EDGED_MUST_CHECK int asks_new(const struct asks_deps *deps, struct asks **ret);
/* Calls no done(). */
void asks_free(struct asks *asks);

/* A new one, with its id, never 0, in *ret_id. -ENOSPC, -ENOMEM. */
EDGED_MUST_CHECK int asks_add(
        struct asks *asks, const struct home *home, ask_done *done, void *arg, uint32_t *ret_id);
/* It was not sent after all: done() is not called. */
void asks_cancel(struct asks *asks, uint32_t id);
/* That node answers; what nobody waits for any more is dropped. */
void asks_answer(
        struct asks *asks, const struct home *home, uint32_t id, const struct shadow_outcome *outcome);
/* Nobody answers any more: those to that node, or (NULL) all, end. */
void asks_end(struct asks *asks, const struct home *home);
/* Was it asked for a change of which is unknown whether it was made? Sets 504. */
void asks_silent(struct shadow_error *error, const struct home *home);

#endif

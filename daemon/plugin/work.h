/* SPDX-License-Identifier: Apache-2.0 */
/* The threads behind `edged.work/1` (edged/cap_work.h). They start when the first work comes, and sleep without any. */
#ifndef PLUGIN_WORK_H
#define PLUGIN_WORK_H

#include "edged/cap_work.h"
#include "base/err.h"
#include "plugin/ledger.h"

struct work_pool;

EDGED_MUST_CHECK int work_pool_new(unsigned threads, struct work_pool **ret);
/* Ends the threads; what waits is dropped. No plugin runs any more. */
void work_pool_free(struct work_pool *pool);

/* As edged_work_1.begin. */
EDGED_MUST_CHECK int work_begin(struct work_pool *pool, struct ledger *ledger, void (*work)(void *arg),
        void (*done)(void *arg), void (*drop)(void *arg), void *arg, struct edged_work **ret);
void work_cancel(struct edged_work *work);

#endif

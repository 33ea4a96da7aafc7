/* SPDX-License-Identifier: Apache-2.0 */
/* One thread for what takes too long for a loop: hashing passwords. Jobs are done in order; main loop, but for work(). */
#ifndef THINGS_WORKER_H
#define THINGS_WORKER_H

#include "edged/cap_loop.h"

struct worker;

/* The thread starts with the first job. At most `most` jobs wait. */
int worker_new(struct edged_host *host, const struct edged_loop_1 *loop, size_t most, struct worker **ret);
/* work(arg) runs on the thread, then done(arg) on the main loop. When the plugin stops before, drop(arg) instead of either
 * or of done. -ENOSPC: too many wait; -EAGAIN: no thread. */
EDGED_MUST_CHECK int worker_do(struct worker *worker, void (*work)(void *arg), void (*done)(void *arg),
        void (*drop)(void *arg), void *arg);
/* Waits for the job that runs, drops the others. NULL is fine. */
void worker_stop(struct worker *worker);
void worker_free(struct worker *worker);

#endif

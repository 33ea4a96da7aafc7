/* SPDX-License-Identifier: Apache-2.0 */
/* Threads beside the main one. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>
#include "base/err.h"

/* Runs run(arg) on a new thread, to be joined or detached by the caller. It gets no signals: those are for the main
 * loop. `stack` in bytes; 0: the system's. 0, -EAGAIN, -ENOMEM. */
EDGED_MUST_CHECK int thread_start(pthread_t *ret, size_t stack, void *(*run)(void *arg), void *arg);

#endif

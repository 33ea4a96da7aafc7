/* SPDX-License-Identifier: Apache-2.0 */
/* A loop without sockets: other threads post to it, and the test runs what was posted on its own thread. */
#ifndef TESTS_FAKE_LOOP_H
#define TESTS_FAKE_LOOP_H

#include <stdbool.h>

struct fake_loop;

struct fake_loop *fake_loop_new(void);       /* aborts without memory, as all of this does */
void fake_loop_free(struct fake_loop *loop); /* what waits is dropped */
/* From now on fake_loop_self() is this loop on the calling thread. */
void fake_loop_enter(struct fake_loop *loop);
/* For executors. */
void *fake_loop_self(void);
void fake_loop_post(void *loop, void (*fn)(void *arg), void *arg);
/* Runs what is posted until *flag is set; aborts after 20 s. */
void fake_loop_run_until(struct fake_loop *loop, const bool *flag);
/* Runs what waits now, without waiting for more. */
void fake_loop_run_waiting(struct fake_loop *loop);
unsigned fake_loop_posts(const struct fake_loop *loop); /* posted so far */

#endif

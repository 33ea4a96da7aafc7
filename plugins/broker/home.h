/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the rows of stored messages are: with the last reference to a message its row goes. Messages may outlive the broker: a
 * stream still sends its last bytes, a plugin still holds one. Counted; any thread.
 */
#ifndef BROKER_HOME_H
#define BROKER_HOME_H

#include <stdint.h>

struct broker;
struct home;

struct home *home_new(struct broker *broker); /* NULL: no memory */
struct home *home_ref(struct home *home);
void home_unref(struct home *home); /* NULL is fine */
/* The broker stops: rows stay from now on, for those who wait for the messages in them. NULL is fine. */
void home_close(struct home *home);
void home_forget(struct home *home, uint64_t row);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The calling side of logs; the rest of it is declared in store.h. */
#ifndef STORE_APPEND_H
#define STORE_APPEND_H

#include "queue.h"

/* Runs on the loop: shows the records of a replay. True: it is done. */
bool store_deliver_replay(struct op *op);

#endif

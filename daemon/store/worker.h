/* SPDX-License-Identifier: Apache-2.0 */
/* The store's thread. */
#ifndef STORE_WORKER_H
#define STORE_WORKER_H

/* For pthread_create(3); `arg` is the struct store, with its database open. Ends after `closing` was set and
 * all that waited is done. */
void *worker_main(void *arg);

#endif

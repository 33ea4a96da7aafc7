/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store's thread does for logs. A group is written in this order: room for its records is made in the logs; its
 * rows are committed; its records are written and synced, one log after the other; what is not wanted any more is dropped.
 * So a full disk refuses rows and records alike, and only a disk that fails between leaves the rows without the records.
 */
#ifndef STORE_LOGS_H
#define STORE_LOGS_H

#include "store/queue.h"

/* Batches of the group whose result is set are left out. All return 0 or what journal_*() returned first. */
EDGED_MUST_CHECK int logs_reserve(struct store *store, const struct list *group);
EDGED_MUST_CHECK int logs_write(struct store *store, const struct list *group);
void logs_trim(struct store *store, const struct list *group);
/* The next frame of a replay. */
EDGED_MUST_CHECK int logs_replay(struct store *store, struct replay *replay);
/* Under the mutex: shows how the logs stand. */
void logs_show(struct store *store);

#endif

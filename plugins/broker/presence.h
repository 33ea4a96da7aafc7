/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is connected, for those who ask on the main loop. With one loop its sessions tell; with several, all loops keep one table
 * behind a lock.
 */
#ifndef BROKER_PRESENCE_H
#define BROKER_PRESENCE_H

#include <pthread.h>
#include "session.h"

struct broker;
struct presence_entry;

struct presence {
	pthread_mutex_t lock;
	struct presence_entry **buckets;
	size_t size, count;
};

void presence_init(struct presence *presence);
void presence_fini(struct presence *presence);
/* The session's client has come or gone; from its loop. Without memory a client is not seen. */
void presence_set(const struct session *session, bool present);
bool presence_find(struct broker *broker, struct edged_slice client_id);

#endif

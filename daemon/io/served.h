/* SPDX-License-Identifier: Apache-2.0 */
/* Which handler serves which protocol. Any thread. */
#ifndef IO_SERVED_H
#define IO_SERVED_H

#include <pthread.h>
#include "edged/cap_stream.h"
#include "base/err.h"

#define SERVED_MAX 16

struct served {
	pthread_mutex_t lock;
	struct served_row {
		char *protocol; /* NULL: free */
		const struct edged_stream_handler *handler;
		void *self;
	} rows[SERVED_MAX];
};

void served_init(struct served *served);
void served_fini(struct served *served); /* all must be removed */
/* -EEXIST, -ENOSPC (SERVED_MAX), -ENOMEM. The name is copied. */
EDGED_MUST_CHECK int served_add(
        struct served *served, const char *protocol, const struct edged_stream_handler *handler, void *self);
/* The handler, or NULL; the first takes it out too. */
const struct edged_stream_handler *served_remove(
        struct served *served, const char *protocol, void **ret_self);
const struct edged_stream_handler *served_find(struct served *served, const char *protocol, void **ret_self);
/* A protocol that is served, or NULL. For the owner at its end: valid until that is removed. */
const char *served_first(const struct served *served);

#endif

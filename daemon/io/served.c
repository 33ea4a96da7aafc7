/* SPDX-License-Identifier: Apache-2.0 */
#include "io/served.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void served_init(struct served *served)
{
	*served = (struct served){ .rows = { { 0 } } };
	pthread_mutex_init(&served->lock, NULL);
}

void served_fini(struct served *served)
{
	pthread_mutex_destroy(&served->lock);
}

static struct served_row *row_of(struct served *served, const char *protocol)
{
	for (size_t i = 0; i < SERVED_MAX; i++)
		if (served->rows[i].protocol && strcmp(served->rows[i].protocol, protocol) == 0)
			return &served->rows[i];
	return NULL;
}

static int add(struct served *served, const struct served_row *row)
{
	if (row_of(served, row->protocol))
		return -EEXIST;
	for (size_t i = 0; i < SERVED_MAX; i++)
		if (!served->rows[i].protocol) {
			served->rows[i] = *row;
			return 0;
		}
	return -ENOSPC;
}

int served_add(
        struct served *served, const char *protocol, const struct edged_stream_handler *handler, void *self)
{
	struct served_row row = { strdup(protocol), handler, self };
	if (!row.protocol)
		return -ENOMEM;
	pthread_mutex_lock(&served->lock);
	int r = add(served, &row);
	pthread_mutex_unlock(&served->lock);
	if (r)
		free(row.protocol);
	return r;
}

const struct edged_stream_handler *served_remove(struct served *served, const char *protocol, void **ret_self)
{
	struct served_row was = { 0 };
	pthread_mutex_lock(&served->lock);
	struct served_row *row = row_of(served, protocol);
	if (row) {
		was = *row;
		*row = (struct served_row){ 0 };
	}
	pthread_mutex_unlock(&served->lock);
	free(was.protocol);
	*ret_self = was.self;
	return was.handler;
}

const struct edged_stream_handler *served_find(struct served *served, const char *protocol, void **ret_self)
{
	const struct edged_stream_handler *handler = NULL;
	pthread_mutex_lock(&served->lock);
	const struct served_row *row = row_of(served, protocol);
	if (row) {
		handler = row->handler;
		*ret_self = row->self;
	}
	pthread_mutex_unlock(&served->lock);
	return handler;
}

const char *served_first(const struct served *served)
{
	for (size_t i = 0; i < SERVED_MAX; i++)
		if (served->rows[i].protocol)
			return served->rows[i].protocol;
	return NULL;
}

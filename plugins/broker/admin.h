/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator may end: connections, sessions, queued and retained messages. REST handlers, on the main loop. */
#ifndef BROKER_ADMIN_H
#define BROKER_ADMIN_H

#include "edged/plugin.h"

int delete_client(void *self, edged_handle request);
int delete_connection(void *self, edged_handle request); /* as AWS IoT has it */
int delete_session(void *self, edged_handle request);
int delete_queue(void *self, edged_handle request);
int delete_retained(void *self, edged_handle request);
int delete_retained_by_filter(void *self, edged_handle request);

#endif

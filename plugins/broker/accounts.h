/* SPDX-License-Identifier: Apache-2.0 */
/* REST for those who log in with a password: /pubsub/v1/users. Main loop. */
#ifndef BROKER_ACCOUNTS_H
#define BROKER_ACCOUNTS_H

#include "edged/plugin.h"

struct broker;

/* All connections of that user end, soon. */
int accounts_drop(struct broker *broker, struct edged_slice name);

int list_users(void *self, edged_handle request);
int put_user(void *self, edged_handle request);
int delete_user(void *self, edged_handle request);

#endif

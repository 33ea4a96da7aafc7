/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of what the broker has, page by page in the order of their keys, gathered from all shards. */
#ifndef BROKER_LISTING_H
#define BROKER_LISTING_H

#include "edged/plugin.h"

int list_clients(void *self, edged_handle request);
int list_sessions(void *self, edged_handle request);
int list_subscriptions(void *self, edged_handle request);
int list_retained(void *self, edged_handle request);
int list_retained_aws(void *self, edged_handle request);

#endif

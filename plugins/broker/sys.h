/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the broker says of itself on $SYS/broker/...: made when somebody subscribes, as retained messages, and every
 * sys_interval while somebody does, as far as it has changed. Nothing is stored, and nothing wakes up for nobody.
 */
#ifndef BROKER_SYS_H
#define BROKER_SYS_H

#include "shard.h"

struct sys;

/* Main loop; the clock begins. -ENOMEM. */
int sys_new(struct broker *broker, struct sys **ret);
void sys_stop(struct sys *sys);
void sys_free(struct sys *sys);
/* Shard 0: calls found() for each message that matches, until it returns non-zero. */
void sys_match(struct sys *sys, struct edged_slice filter, int (*found)(void *arg, struct message *message),
        void *arg);
/* The shard's subscriptions have changed. */
void sys_subs_changed(struct shard *shard);

#endif

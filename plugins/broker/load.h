/* SPDX-License-Identifier: Apache-2.0 */
/* At start: everything durable comes back from the store, before the first client is served. Main loop. */
#ifndef BROKER_LOAD_H
#define BROKER_LOAD_H

#include "broker.h"

/* Reads all tables; done(broker, result, why) once, never from within this call. -ENOMEM. */
int load_start(struct broker *broker, void (*done)(struct broker *broker, int result, const char *why));
void load_free(struct load *load);

#endif

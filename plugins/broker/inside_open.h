/* SPDX-License-Identifier: Apache-2.0 */
/* Which sessions plugins have, what they are subscribed to, and the capability as a whole. */
#ifndef BROKER_INSIDE_OPEN_H
#define BROKER_INSIDE_OPEN_H

#include "broker.h"
#include "edged/cap_session.h"

struct insides;

int insides_new(struct broker *broker, struct insides **ret); /* -ENOMEM */
void insides_free(struct insides *insides);                   /* after the shards */
const struct edged_session_1 *insides_capability(struct insides *insides);

#endif

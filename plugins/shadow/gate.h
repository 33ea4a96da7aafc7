/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks over REST, and may they? Requests of identities that the decider knows (edged/cap_auth.h) are judged by their rights;
 * of others, those whom the daemon trusts may do everything, and nobody else anything: the routes are open to strangers
 * (EDGED_ROUTE_OPEN). MQTT is judged by the broker, as publishing and subscribing are. Also linked with the broker.
 * Main loop.
 */
#ifndef SHADOW_GATE_H
#define SHADOW_GATE_H

#include <sys/queue.h>
#include "edged/cap_auth.h"
#include "edged/cap_http.h"

struct gate {
	struct edged_host *host;
	const struct edged_http_1 *http;
	const struct edged_auth_1 *auth; /* NULL: this daemon has none */
	LIST_HEAD(, visit) visits;       /* waiting for the decider */
};

enum gate_outcome { GATE_OPEN = 1, GATE_CLOSED, GATE_UNDECIDED };

/* Calls done(self, request, outcome, identity) once, now or later; not at all when the plugin stops before. The identity is
 * borrowed for the time of the call; NULL: one whom the daemon trusts, who may do everything. GATE_CLOSED: it may not come
 * in. -ENOMEM and the like: done is not called. */
typedef int gate_done(
        void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity);
int gate_ask(struct gate *gate, edged_handle request, gate_done *done, void *self);
void gate_stop(struct gate *gate);

/* A reference more, or less; NULL is fine. */
void gate_hold(const struct gate *gate, struct edged_identity *identity);
void gate_drop(const struct gate *gate, struct edged_identity *identity);

/* identity NULL: yes. */
bool gate_may(const struct gate *gate, const struct edged_identity *identity, enum edged_action action,
        const char *resource);
/* On a thing's shadow. */
bool gate_allows(const struct gate *gate, const struct edged_identity *identity, enum edged_action action,
        const char *thing, const char *shadow);

#endif

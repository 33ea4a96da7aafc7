/* SPDX-License-Identifier: Apache-2.0 */
#include "gate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "name.h"

struct visit {
	LIST_ENTRY(visit) link;
	struct gate *gate;
	edged_handle request;
	struct edged_login *login;
	gate_done *done;
	void *self;
};

/* Of one whom no decider knows. */
static enum gate_outcome by_trust(const struct gate *gate, edged_handle request)
{
	const struct edged_peer *peer = gate->http->peer(gate->host, request);
	return peer && peer->trusted ? GATE_OPEN : GATE_CLOSED;
}

static enum gate_outcome outcome_of(
        const struct gate *gate, edged_handle request, enum edged_login_outcome outcome)
{
	switch (outcome) {
	case EDGED_LOGIN_KNOWN:
		return GATE_OPEN;
	case EDGED_LOGIN_UNKNOWN:
		return by_trust(gate, request);
	case EDGED_LOGIN_REFUSED:
	case EDGED_LOGIN_WRONG_SECRET:
		return GATE_CLOSED;
	case EDGED_LOGIN_UNDECIDED:
		return GATE_UNDECIDED;
	}
	return GATE_UNDECIDED;
}

static void known(
        void *arg, enum edged_login_outcome outcome, struct edged_identity *identity, const char *reason)
{
	struct visit *visit = arg;
	struct gate *gate = visit->gate;
	(void)reason;
	LIST_REMOVE(visit, link);
	int r = visit->done(visit->self, visit->request, outcome_of(gate, visit->request, outcome), identity);
	if (r)
		(void)gate->http->problem(gate->host, visit->request, 503, "no-memory",
		        "Not enough memory for this request", NULL);
	gate->auth->drop(identity);
	free(visit);
}

int gate_ask(struct gate *gate, edged_handle request, gate_done *done, void *self)
{
	const struct edged_http_1 *http = gate->http;
	const struct edged_door door = { .struct_size = sizeof(door),
		.peer = http->peer(gate->host, request),
		.protocol = "http",
		.client_id = http->header(gate->host, request, "x-amzn-iot-thingname") };
	if (!gate->auth)
		return done(self, request, by_trust(gate, request), NULL);
	struct visit *visit = calloc(1, sizeof(*visit));
	if (!visit)
		return -ENOMEM;
	*visit = (struct visit){ .gate = gate, .request = request, .done = done, .self = self };
	int r = gate->auth->login(gate->host, &door, known, visit, &visit->login);
	if (r == 0) {
		LIST_INSERT_HEAD(&gate->visits, visit, link);
		return 0;
	}
	free(visit);
	return r < 0 ? r : done(self, request, outcome_of(gate, request, (enum edged_login_outcome)r), NULL);
}

void gate_stop(struct gate *gate)
{
	struct visit *visit;
	while ((visit = LIST_FIRST(&gate->visits))) {
		LIST_REMOVE(visit, link);
		gate->auth->cancel(visit->login);
		free(visit);
	}
}

void gate_hold(const struct gate *gate, struct edged_identity *identity)
{
	if (identity)
		(void)gate->auth->hold(identity);
}

void gate_drop(const struct gate *gate, struct edged_identity *identity)
{
	if (identity)
		gate->auth->drop(identity);
}

bool gate_may(const struct gate *gate, const struct edged_identity *identity, enum edged_action action,
        const char *resource)
{
	return !identity || gate->auth->allow(identity, action, edged_str(resource)) == 1;
}

bool gate_allows(const struct gate *gate, const struct edged_identity *identity, enum edged_action action,
        const char *thing, const char *shadow)
{
	char resource[THING_NAME_MAX + SHADOW_NAME_MAX + 2];
	snprintf(resource, sizeof(resource), "%s%s%s", thing, *shadow ? "/" : "", shadow);
	return gate_may(gate, identity, action, resource);
}

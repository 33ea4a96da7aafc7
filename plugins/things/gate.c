/* SPDX-License-Identifier: Apache-2.0 */
#include "gate.h"

#include <errno.h>
#include <stdlib.h>

struct question {
	struct question *next, **at;
	struct gate *gate;
	edged_handle request;
	struct edged_login *login;
	void (*then)(struct things *things, edged_handle request, bool allowed);
	uint8_t action;
	size_t len;
	char resource[];
};

struct gate {
	struct things *things;
	const struct edged_auth_1 *auth;
	struct question *open;
};

int gate_new(struct things *things, struct gate **ret)
{
	struct gate *gate = calloc(1, sizeof(*gate));
	if (!gate)
		return -ENOMEM;
	gate->things = things;
	gate->auth = edged_cap(things->host, EDGED_AUTH_1);
	*ret = gate;
	return 0;
}

static void question_free(struct question *q)
{
	*q->at = q->next;
	if (q->next)
		q->next->at = q->at;
	free(q);
}

void gate_free(struct gate *gate)
{
	if (!gate)
		return;
	while (gate->open) {
		gate->auth->cancel(gate->open->login);
		question_free(gate->open);
	}
	free(gate);
}

static void judge(struct question *q, enum edged_login_outcome outcome, struct edged_identity *identity)
{
	struct things *t = q->gate->things;
	const struct edged_peer *peer = t->http->peer(t->host, q->request);
	bool allowed = false;
	if (outcome == EDGED_LOGIN_KNOWN && identity)
		allowed = q->gate->auth->allow(identity, q->action, edged_slice(q->resource, q->len)) == 1;
	else if (outcome == EDGED_LOGIN_UNKNOWN)
		allowed = peer && peer->trusted;
	q->then(t, q->request, allowed);
	question_free(q);
}

static void answered(
        void *arg, enum edged_login_outcome outcome, struct edged_identity *identity, const char *reason)
{
	struct question *q = arg;
	const struct edged_auth_1 *auth = q->gate->auth;
	(void)reason;
	judge(q, outcome, identity);
	auth->drop(identity);
}

int gate_ask(struct gate *gate, edged_handle request, enum edged_action action, struct edged_slice resource,
        void (*then)(struct things *things, edged_handle request, bool allowed))
{
	struct things *t = gate->things;
	struct question *q = calloc(1, sizeof(*q) + resource.len + 1);
	if (!q)
		return -ENOMEM;
	*q = (struct question){ .next = gate->open,
		.at = &gate->open,
		.gate = gate,
		.request = request,
		.then = then,
		.action = (uint8_t)action,
		.len = resource.len };
	if (resource.len)
		memcpy(q->resource, resource.ptr, resource.len);
	if (q->next)
		q->next->at = &q->next;
	gate->open = q;
	const struct edged_door door = { .struct_size = sizeof(door),
		.peer = t->http->peer(t->host, request),
		.protocol = "http",
		.client_id = t->http->header(t->host, request, "x-amzn-iot-thingname") };
	int r = gate->auth->login(t->host, &door, answered, q, &q->login);
	if (r > 0)
		judge(q, (enum edged_login_outcome)r, NULL);
	else if (r < 0)
		question_free(q);
	return r < 0 ? r : 0;
}

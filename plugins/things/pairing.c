/* SPDX-License-Identifier: Apache-2.0 */
#include "pairing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include "edged/cap_node.h"
#include "doc.h"
#include "rest.h"
#include "rest_certificates.h"
#include "routes.h"
#include "x509.h"

enum {
	WINDOW_MAX_S = 3600,
	WINDOW_DEFAULT_S = 60,
	CANDIDATES = 16,
	FROM_ONE_ADDRESS = 4,
	KEEP_MS = 600 * 1000,
	ID_LEN = 32
};

enum state { STATE_FREE, STATE_WAITING, STATE_STORING, STATE_ACCEPTED, STATE_REJECTED };

struct candidate {
	enum state state;
	uint64_t until; /* kept no longer; monotonic ms */
	char id[ID_LEN + 1], name[129], code[CODE_SIZE], address[64];
	char thing[129], certificate[FINGERPRINT_LEN + 1]; /* once it is accepted */
	json_t *csr;
};

struct pairing {
	struct things *things;
	uint64_t until; /* the window is open until then */
	struct candidate candidates[CANDIDATES];
};

int pairing_new(struct things *things, struct pairing **ret)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	(*ret)->things = things;
	return 0;
}

void pairing_free(struct pairing *pairing)
{
	for (size_t i = 0; pairing && i < CANDIDATES; i++)
		json_decref(pairing->candidates[i].csr);
	free(pairing);
}

/* --- candidates ------------------------------------------------------------------------------------------------------------ */

static uint64_t now(const struct pairing *p)
{
	return p->things->loop->now(p->things->host);
}

static bool is_open(const struct pairing *p)
{
	return now(p) < p->until;
}

static void drop(struct candidate *c)
{
	json_decref(c->csr);
	*c = (struct candidate){ .state = STATE_FREE };
}

/* Those whose time is over go first. */
static void tidy(struct pairing *p)
{
	for (size_t i = 0; i < CANDIDATES; i++)
		if (p->candidates[i].state != STATE_FREE && p->candidates[i].state != STATE_STORING &&
		        now(p) >= p->candidates[i].until)
			drop(&p->candidates[i]);
}

static struct candidate *find(struct pairing *p, struct edged_slice id)
{
	tidy(p);
	for (size_t i = 0; i < CANDIDATES; i++)
		if (p->candidates[i].state != STATE_FREE && edged_slice_is(id, p->candidates[i].id))
			return &p->candidates[i];
	return NULL;
}

/* A free place, if this address may have one more. */
static struct candidate *place_for(struct pairing *p, const char *address)
{
	struct candidate *free_one = NULL;
	unsigned same = 0;
	tidy(p);
	for (size_t i = 0; i < CANDIDATES; i++)
		if (p->candidates[i].state == STATE_FREE)
			free_one = &p->candidates[i];
		else
			same += strcmp(p->candidates[i].address, address) == 0;
	return same < FROM_ONE_ADDRESS ? free_one : NULL;
}

static int not_found(struct things *t, edged_handle request)
{
	return rest_problem(t, request, 404, "no-such-candidate", "Nobody waits under this id",
	        "The time to pair may be over. Open it again, and let the device introduce itself again.");
}

/* --- the device ------------------------------------------------------------------------------------------------------------- */

/* The address without its port. */
static void read_address(struct things *t, edged_handle request, char ret[64])
{
	const struct edged_peer *peer = t->http->peer(t->host, request);
	const char *text = peer && peer->address ? peer->address : "", *colon = strrchr(text, ':');
	snprintf(ret, 64, "%.*s", colon ? (int)(colon - text) : (int)strlen(text), text);
}

static bool make_id(char ret[ID_LEN + 1])
{
	uint8_t bytes[ID_LEN / 2];
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return false;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	return true;
}

static int take(struct pairing *p, edged_handle request, const json_t *body)
{
	struct things *t = p->things;
	const json_t *name = json_object_get(body, "name"), *csr = json_object_get(body, "csr");
	struct edged_slice text = edged_slice(json_string_value(name), json_string_length(name));
	struct edged_slice pem = edged_slice(json_string_value(csr), json_string_length(csr));
	char address[64], code[CODE_SIZE], why[WHY_MAX];
	int r = rest_name(t, request, text, KIND_THING);
	if (!r && authority_code(pem, code, why))
		r = rest_problem(
		        t, request, 400, "bad-request", "The certificate request cannot be used", why);
	if (r)
		return r;
	read_address(t, request, address);
	struct candidate *c = place_for(p, address);
	if (!c)
		return rest_problem(t, request, 429, "too-many", "Too many devices want to pair",
		        "Try again in a while.");
	*c = (struct candidate){ .state = STATE_WAITING, .until = p->until, .csr = json_string(pem.ptr) };
	snprintf(c->name, sizeof(c->name), "%s", text.ptr);
	snprintf(c->code, sizeof(c->code), "%s", code);
	snprintf(c->address, sizeof(c->address), "%s", address);
	if (!make_id(c->id) || !c->csr) {
		drop(c);
		return -ENOMEM;
	}
	t->log->log(t->host, EDGED_NOTICE, "%s at %s wants to pair, code %s", c->name, c->address, c->code);
	return rest_reply(t, request, 202,
	        json_pack("{s:s,s:s,s:s}", "id", c->id, "code", c->code, "state", "waiting"));
}

int pair_ask(void *self, edged_handle request)
{
	struct things *t = self;
	struct pairing *p = t->pairing;
	json_t *body = NULL;
	if (!is_open(p))
		return rest_done(rest_problem(t, request, 403, "pairing-closed",
		        "Nobody may introduce himself just now",
		        "The node's owner opens it for a while: edgectl thing pair --for 60s."));
	int r = rest_body(t, request, false, &body);
	if (!r)
		r = take(p, request, body);
	json_decref(body);
	return rest_done(r);
}

/* What an accepted device needs. */
static int welcome(struct things *t, edged_handle request, const struct candidate *c)
{
	const struct record *record = registry_find(t->registry, KIND_CERTIFICATE, edged_str(c->certificate));
	json_t *doc = record ? record_json(record) : NULL;
	char *text = t->node->describe(t->host);
	json_t *node = text ? json_loads(text, 0, NULL) : NULL;
	int r = !doc ? not_found(t, request)
	             : rest_reply(t, request, 200,
	                       json_pack("{s:s,s:s,s:s,s:s,s:O,s:O*}", "state", "accepted", "thing", c->thing,
	                               "clientId", c->thing, "id", c->certificate, "certificate",
	                               json_object_get(doc, "pem"), "ca", json_object_get(node, "ca")));
	json_decref(node);
	json_decref(doc);
	free(text);
	return r;
}

int pair_poll(void *self, edged_handle request)
{
	struct things *t = self;
	const struct candidate *c = find(t->pairing, t->http->param(t->host, request, "id"));
	if (!c)
		return rest_done(not_found(t, request));
	if (c->state == STATE_ACCEPTED)
		return rest_done(welcome(t, request, c));
	if (c->state == STATE_REJECTED)
		return rest_done(rest_problem(
		        t, request, 403, "rejected", "The node's owner has said no", "Ask the owner."));
	return rest_done(
	        rest_reply(t, request, 202, json_pack("{s:s,s:s}", "state", "waiting", "code", c->code)));
}

/* --- the operator ----------------------------------------------------------------------------------------------------------- */

static json_t *describe(struct pairing *p)
{
	json_t *list = json_array();
	tidy(p);
	for (size_t i = 0; i < CANDIDATES; i++) {
		const struct candidate *c = &p->candidates[i];
		if (c->state == STATE_WAITING)
			json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s}", "id", c->id, "name",
			                                    c->name, "code", c->code, "address", c->address));
	}
	return json_pack("{s:b,s:I,s:o}", "open", is_open(p), "secondsLeft",
	        (json_int_t)(is_open(p) ? (p->until - now(p) + 999) / 1000 : 0), "data", list);
}

int pairing_show(void *self, edged_handle request)
{
	struct things *t = self;
	return rest_done(rest_reply(t, request, 200, describe(t->pairing)));
}

int pairing_open(void *self, edged_handle request)
{
	struct things *t = self;
	json_t *body = NULL;
	int r = rest_body(t, request, true, &body);
	const json_t *wish = json_object_get(body, "seconds");
	json_int_t seconds = wish ? json_integer_value(wish) : WINDOW_DEFAULT_S;
	if (!r && (seconds < 1 || seconds > WINDOW_MAX_S))
		r = rest_problem(t, request, 400, "bad-duration", "The time cannot be used",
		        "seconds is a whole number from 1 to 3600.");
	json_decref(body);
	if (r)
		return rest_done(r);
	t->pairing->until = now(t->pairing) + (uint64_t)seconds * 1000;
	for (size_t i = 0; i < CANDIDATES; i++)
		if (t->pairing->candidates[i].state == STATE_WAITING)
			t->pairing->candidates[i].until = t->pairing->until;
	return rest_done(rest_reply(t, request, 200, describe(t->pairing)));
}

int pairing_close(void *self, edged_handle request)
{
	struct things *t = self;
	t->pairing->until = 0;
	for (size_t i = 0; i < CANDIDATES; i++)
		if (t->pairing->candidates[i].state == STATE_WAITING)
			drop(&t->pairing->candidates[i]);
	return rest_done(rest_reply(t, request, 200, describe(t->pairing)));
}

struct accept {
	struct things *things;
	edged_handle request;
	char id[ID_LEN + 1];
};

static void stored(void *arg, int result)
{
	struct accept *a = arg;
	struct things *t = a->things;
	struct candidate *c = find(t->pairing, edged_str(a->id));
	const struct record *thing = c ? registry_find(t->registry, KIND_THING, edged_str(c->thing)) : NULL;
	if (c) {
		c->state = result ? STATE_WAITING : STATE_ACCEPTED;
		c->until = now(t->pairing) + KEEP_MS;
	}
	if (result || !thing)
		(void)rest_refuse(t, a->request, result ? result : -EIO);
	else
		(void)rest_reply(t, a->request, 200, doc_public(thing, KIND_THING, true));
	free(a);
}

/* Thing and certificate, as if the operator had made them with the device's request. */
static int write_both(struct things *t, edged_handle request, struct candidate *c, const json_t *body)
{
	json_t *doc = json_object(),
	       *wish = json_pack("{s:O,s:O*}", "csr", c->csr, "policies", json_object_get(body, "policies"));
	json_t *once = NULL;
	struct change changes[2] = { { KIND_THING, edged_str(c->thing), doc } };
	struct accept *a = calloc(1, sizeof(*a));
	int r = a && doc && wish
	                ? certificate_issue(t, request, edged_str(c->thing), wish, &changes[1], &once)
	                : -ENOMEM;
	if (!r) {
		*a = (struct accept){ .things = t, .request = request };
		memcpy(a->id, c->id, sizeof(a->id));
		snprintf(c->certificate, sizeof(c->certificate), "%.*s", EDGED_SLICE_FMT(changes[1].name));
		c->state = STATE_STORING;
		r = registry_write(t->registry, changes, 2, stored, a);
		if (r) {
			c->state = STATE_WAITING;
			r = rest_refuse(t, request, r);
		} else {
			a = NULL;
		}
	}
	free(a);
	certificate_change_fini(&changes[1]);
	json_decref(once);
	json_decref(wish);
	json_decref(doc);
	return r;
}

static int decide(struct things *t, edged_handle request, struct candidate *c, const json_t *body)
{
	const json_t *accept = json_object_get(body, "accept"), *name = json_object_get(body, "name");
	if (!json_is_boolean(accept))
		return rest_problem(
		        t, request, 400, "bad-member", "There is no decision", "accept is true or false.");
	if (json_is_false(accept)) {
		c->state = STATE_REJECTED;
		c->until = now(t->pairing) + KEEP_MS;
		return rest_reply(t, request, 200, describe(t->pairing));
	}
	struct edged_slice text =
	        name ? edged_slice(json_string_value(name), json_string_length(name)) : edged_str(c->name);
	int r = rest_name(t, request, text, KIND_THING);
	if (!r && registry_find(t->registry, KIND_THING, text))
		r = rest_problem(t, request, 409, "exists", "There is a thing of this name",
		        "Give another one as name.");
	if (r)
		return r;
	snprintf(c->thing, sizeof(c->thing), "%.*s", EDGED_SLICE_FMT(text));
	return write_both(t, request, c, body);
}

int pairing_decide(void *self, edged_handle request)
{
	struct things *t = self;
	struct candidate *c = find(t->pairing, t->http->param(t->host, request, "id"));
	json_t *body = NULL;
	if (!c || c->state != STATE_WAITING)
		return rest_done(not_found(t, request));
	int r = rest_body(t, request, false, &body);
	if (!r)
		r = decide(t, request, c, body);
	json_decref(body);
	return rest_done(r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to shadows whose home is another node. A change goes to the home, or is refused. A read goes to the nearest that can
 * answer it: a copy here that is as the home's; the home; a node that keeps copies; an old copy here.
 */
#include "away.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pull.h"
#include "message.h"

/* A request that is on its way. What it points to lives until done() is called. */
struct trip {
	struct peers *peers;
	struct shadow_name name;
	const struct shadow_call *call;
	const struct shadow_request *request;
	away_done *done;
	void *arg;
	struct home *home;  /* of the shadow */
	struct peer *next;  /* who is asked for a copy next */
	unsigned step;      /* of reading, see steps[] */
	struct home *asked; /* who was asked last */
};

static void end(struct trip *trip, enum away_result result, const struct shadow_outcome *outcome)
{
	away_done *done = trip->done;
	void *arg = trip->arg;
	peers_release(trip);
	done(arg, result, outcome);
}

static void refuse(struct trip *trip, const struct shadow_error *error)
{
	end(trip, AWAY_DONE, &(struct shadow_outcome){ .error = error });
}

static void refuse_away(struct trip *trip, const struct home *home)
{
	struct shadow_error error;
	(void)shadow_refuse(&error, 503, "Node %.8s, the home of this shadow, is away%s", home->id,
	        trip->call->verb == SHADOW_GET ? ", and nobody who is there has a copy"
	                                       : "; nothing was changed, try again when it is back");
	refuse(trip, &error);
}

/* --- asking a node ------------------------------------------------------------------------------------------------------- */

static uint8_t flags_of(const struct shadow_call *call)
{
	bool get = call->verb == SHADOW_GET;
	return (uint8_t)((call->mirror && !get ? ASK_MIRROR : 0) | (call->patch ? ASK_PATCH : 0) |
	                 (call->replace ? ASK_REPLACE : 0) | (call->whole ? ASK_WHOLE : 0) |
	                 (call->answer || get ? ASK_BODY : 0));
}

/* 0: done() is called. */
static int ask(struct trip *trip, struct home *home, uint8_t more_flags, ask_done *done)
{
	struct asks *asks = trip->peers->deps.asks;
	const json_t *root = trip->request->root;
	char *payload = root ? json_dumps(root, JSON_COMPACT) : NULL;
	struct frame frame = { .type = FRAME_REQUEST,
		.verb = (uint8_t)trip->call->verb,
		.flags = flags_of(trip->call) | more_flags,
		.number = trip->call->match,
		.name = trip->name,
		.body = edged_str(payload) };
	trip->asked = home;
	int r = root && !payload ? -ENOMEM : asks_add(asks, home, done, trip, &frame.id);
	if (!r && (r = peer_say(home->peer, &frame)) < 0)
		asks_cancel(asks, frame.id);
	free(payload);
	return r < 0 ? r : 0;
}

static void refuse_error(struct trip *trip, int r)
{
	struct shadow_error error;
	if (r == -ENOSPC)
		(void)shadow_refuse(&error, 429, "Too many requests wait for other nodes");
	else if (r == -EMSGSIZE)
		(void)shadow_refuse(&error, 413, "The payload exceeds what nodes pass on (mesh.message)");
	else
		(void)shadow_refuse(&error, 500, "Internal service failure");
	refuse(trip, &error);
}

/* It is not where it was thought to be. */
static void forget_home(const struct trip *trip)
{
	struct others *others = trip->peers->deps.others;
	struct other *other = others_find(others, &trip->name);
	if (other && other->home == trip->asked)
		others_drop(others, other);
}

/* --- changes ------------------------------------------------------------------------------------------------------------- */

static void changed(void *arg, const struct shadow_outcome *outcome, bool told)
{
	struct trip *trip = arg;
	if (outcome->error->code == SHADOW_GONE) {
		forget_home(trip);
		end(trip, AWAY_AGAIN, NULL);
		return;
	}
	end(trip, told && trip->call->mirror ? AWAY_TOLD : AWAY_DONE, outcome);
}

static void change(struct trip *trip, uint8_t more_flags)
{
	struct home *home = trip->home;
	int r = peer_available(home) ? ask(trip, home, more_flags, changed) : -EHOSTUNREACH;
	if (r == -EHOSTUNREACH)
		refuse_away(trip, home);
	else if (r)
		refuse_error(trip, r);
}

/* --- reading ------------------------------------------------------------------------------------------------------------- */

char *away_copy_body(struct edged_slice text, const struct shadow_name *name, const char *token, int64_t age,
        int64_t *ret_version, struct shadow_error *error)
{
	struct document document;
	char *body = NULL, *whole = NULL;
	if (document_parse(&document, text)) {
		(void)shadow_refuse(error, 500, "Internal service failure");
		return NULL;
	}
	*ret_version = document.now.version;
	if (document.now.exists)
		body = message_get(&document, token);
	size_t n = body ? strlen(body) : 0;
	if (!document.now.exists)
		(void)shadow_refuse(error, 404, "No shadow exists with name: '%s'",
		        *name->name ? name->name : name->thing);
	else if (!body || asprintf(&whole, "%.*s,\"age\":%lld}", (int)n - 1, body, (long long)age) < 0)
		(void)shadow_refuse(error, 500, "Internal service failure");
	free(body);
	document_fini(&document);
	return error->code ? NULL : whole;
}

static void read_on(struct trip *trip);

static void found_copy(void *arg, int result, struct edged_slice value)
{
	struct trip *trip = arg;
	const struct peers *peers = trip->peers;
	const struct other *other = others_find(peers->deps.others, &trip->name);
	struct shadow_error error = { 0 };
	int64_t version = 0, age = other ? copy_age(peers, other) : 0;
	if (result || !other) {
		read_on(trip);
		return;
	}
	char *body = away_copy_body(value, &trip->name, trip->request->token, age, &version, &error);
	const struct shadow_outcome outcome = { &error, version, edged_str(body), age };
	edged_metric_add(peers->copy_reads, 1);
	end(trip, AWAY_DONE, &outcome);
	free(body);
}

/* Each step of reading says whether the request is on its way by it. */
static bool read_copy_here(struct trip *trip)
{
	return others_text(trip->peers->deps.others, &trip->name, found_copy, trip) == 0;
}

static bool read_current(struct trip *trip)
{
	const struct other *other = others_find(trip->peers->deps.others, &trip->name);
	return other && copy_is_current(trip->peers, other) && read_copy_here(trip);
}

static void got(void *arg, const struct shadow_outcome *outcome, bool told)
{
	struct trip *trip = arg;
	int code = outcome->error->code;
	(void)told;
	if (code == SHADOW_GONE && trip->asked == trip->home) {
		forget_home(trip);
		end(trip, AWAY_AGAIN, NULL);
	} else if (code == SHADOW_GONE || code == 504) {
		read_on(trip);
	} else {
		end(trip, AWAY_DONE, outcome);
	}
}

static bool read_home(struct trip *trip)
{
	return peer_available(trip->home) && ask(trip, trip->home, 0, got) == 0;
}

/* Whoever keeps copies, one after the other. */
static bool read_kept(struct trip *trip)
{
	struct peer *peer = trip->next;
	while (peer && (!peer->keeper || peer->home == trip->home || !peer_available(peer->home)))
		peer = LIST_NEXT(peer, link);
	trip->next = peer ? LIST_NEXT(peer, link) : NULL;
	if (!peer)
		return false;
	trip->step--; /* once more here, with the next one */
	return ask(trip, peer->home, ASK_COPY, got) == 0;
}

static bool read_old(struct trip *trip)
{
	const struct other *other = others_find(trip->peers->deps.others, &trip->name);
	return other && other->bytes && read_copy_here(trip);
}

static void read_on(struct trip *trip)
{
	static bool (*const steps[])(struct trip * trip) = { read_current, read_home, read_kept, read_old };
	while (trip->step < sizeof(steps) / sizeof(steps[0]))
		if (steps[trip->step++](trip))
			return;
	refuse_away(trip, trip->home);
}

void away_names(void *arg, const char *thing, void (*each)(void *each_arg, const char *name), void *each_arg)
{
	const struct peers *peers = arg;
	for (const struct other *other = others_of_thing(peers->deps.others, thing); other;
	        other = LIST_NEXT(other, link))
		if (other->claim.exists)
			each(each_arg, other->name);
}

struct things {
	bool (*each)(void *arg, const char *thing, const char *node, bool available);
	void *arg;
};

static bool tell_thing(void *arg, const struct other *other)
{
	const struct things *things = arg;
	struct shadow_name name;
	if (!other->claim.exists)
		return true;
	other_name(other, &name);
	return things->each(things->arg, name.thing, other->home->id, peer_available(other->home));
}

void away_things(void *arg, const char *after, const char *name,
        bool (*each)(void *each_arg, const char *thing, const char *node, bool available), void *each_arg)
{
	const struct peers *peers = arg;
	others_named(peers->deps.others, after, name, tell_thing, &(struct things){ each, each_arg });
}

/* --- the beginning ------------------------------------------------------------------------------------------------------- */

/* A shadow that nobody has is made where its thing has others, so that a thing stays together; else here. */
static struct home *home_for_new(const struct peers *peers, const struct shadow_name *name)
{
	const struct other *other = others_of_thing(peers->deps.others, name->thing);
	return other && peer_available(other->home) ? other->home : NULL;
}

bool away_run(void *arg, const struct shadow_name *name, const struct shadow_call *call,
        const struct shadow_request *request, away_done *done, void *done_arg)
{
	struct peers *peers = arg;
	const struct other *other = others_find(peers->deps.others, name);
	struct home *home = other                         ? other->home
	                    : call->verb == SHADOW_UPDATE ? home_for_new(peers, name)
	                                                  : NULL;
	struct trip *trip = home ? peers_alloc(peers, sizeof(*trip)) : NULL;
	if (!home)
		return false;
	if (!trip) {
		struct shadow_error error;
		(void)shadow_refuse(&error, 500, "Internal service failure");
		done(done_arg, AWAY_DONE, &(struct shadow_outcome){ .error = &error });
		return true;
	}
	*trip = (struct trip){ .peers = peers,
		.name = *name,
		.call = call,
		.request = request,
		.done = done,
		.arg = done_arg,
		.home = home,
		.next = LIST_FIRST(&peers->list) };
	if (call->verb == SHADOW_GET)
		read_on(trip);
	else
		change(trip, other ? 0 : ASK_MAKE);
	return true;
}

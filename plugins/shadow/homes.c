/* SPDX-License-Identifier: Apache-2.0 */
#include "homes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int problem(const struct homes *homes, edged_handle request, int status, const char *type,
        const char *title, const char *detail)
{
	return homes->rest->http->problem(homes->rest->host, request, status, type, title, detail);
}

/* Those whom the daemon trusts may; a thing's rights are of its own shadow. */
static bool refused(const struct homes *homes, edged_handle request, enum gate_outcome outcome,
        const struct edged_identity *identity)
{
	bool open = outcome == GATE_OPEN && !identity;
	if (!open)
		(void)problem(homes, request, 403, "forbidden", "Who asks may not do this",
		        "Only operators of this node may.");
	return !open;
}

/* --- which there are ----------------------------------------------------------------------------------------------------- */

static void count_none(void *arg, struct home *home)
{
	(void)arg;
	home->shadows = home->copies = 0;
}

static void count_one(void *arg, struct other *other)
{
	(void)arg;
	other->home->shadows++;
	other->home->copies += other->bytes > 0;
}

static void add_home(void *arg, struct home *home)
{
	if (home->shadows)
		(void)json_array_append_new(arg,
		        json_pack("{s:s, s:b, s:I, s:I}", "node", home->id, "available", peer_available(home),
		                "shadows", (json_int_t)home->shadows, "copies", (json_int_t)home->copies));
}

static int reply(const struct homes *homes, edged_handle request, json_t *root)
{
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	int r = text ? homes->rest->http->reply(
	                       homes->rest->host, request, 200, "application/json", edged_str(text))
	             : -ENOMEM;
	free(text);
	return r;
}

int homes_list(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	struct homes *homes = self;
	if (refused(homes, request, outcome, identity))
		return 0;
	struct others *others = homes->peers->deps.others;
	json_t *data = json_array();
	others_each_home(others, count_none, NULL);
	others_each(others, count_one, NULL);
	others_each_home(others, add_home, data);
	return reply(homes, request,
	        json_pack("{s:s, s:b, s:o}", "node", homes->peers->id, "keepsCopies", homes->peers->keeper,
	                "data", data));
}

/* --- taking over --------------------------------------------------------------------------------------------------------- */

struct takeover {
	struct homes *homes;
	edged_handle request;
	const struct home *home;
	size_t count, next;
	json_int_t taken, failed, without;
	struct shadow_name names[];
};

static void collect(void *arg, struct other *other)
{
	struct takeover *t = arg;
	if (other->home != t->home)
		return;
	if (other->bytes)
		other_name(other, &t->names[t->count++]);
	else
		t->without++;
}

static void take_next(struct takeover *t);

static void taken(void *arg, const struct shadow_outcome *outcome)
{
	struct takeover *t = arg;
	t->taken += outcome->error->code == 0;
	t->failed += outcome->error->code != 0;
	take_next(t);
}

/* The copy becomes the shadow, with one move more than its former home has. */
static void found(void *arg, int result, struct edged_slice value)
{
	struct takeover *t = arg;
	struct document document;
	char *text = NULL;
	if (!result && document_parse(&document, value) == 0) {
		document.moves++;
		text = document_print(&document);
		document_fini(&document);
	}
	if (!text) {
		t->failed++;
		take_next(t);
		return;
	}
	const struct shadow_call call = { .verb = SHADOW_MERGE,
		.payload = edged_str(text),
		.match = SHADOW_MATCH_NONE,
		.here = true,
		.answer = taken,
		.arg = t };
	service_run(t->homes->peers->service, &t->names[t->next - 1], &call);
	free(text);
}

static void finish(struct takeover *t)
{
	struct homes *homes = t->homes;
	const struct service_deps *deps = &homes->peers->deps.service;
	deps->log->log(deps->host, EDGED_NOTICE,
	        "this node is the home of %lld shadows of node %.8s now; of %lld it had no copy, %lld failed",
	        (long long)t->taken, t->home->id, (long long)t->without, (long long)t->failed);
	(void)reply(homes, t->request,
	        json_pack("{s:I, s:I, s:I}", "taken", t->taken, "withoutCopy", t->without, "failed",
	                t->failed));
	homes->busy = false;
	peers_release(t);
}

static void take_next(struct takeover *t)
{
	if (t->next == t->count) {
		finish(t);
		return;
	}
	if (others_text(t->homes->peers->deps.others, &t->names[t->next++], found, t)) {
		t->failed++;
		take_next(t);
	}
}

static int begin(struct homes *homes, edged_handle request, const struct home *home)
{
	struct others *others = homes->peers->deps.others;
	struct takeover *t =
	        peers_alloc(homes->peers, sizeof(*t) + others_copies(others) * sizeof(struct shadow_name));
	if (!t)
		return -ENOMEM;
	t->homes = homes;
	t->request = request;
	t->home = home;
	others_each(others, collect, t);
	homes->busy = true;
	take_next(t);
	return 0;
}

int homes_take(void *self, edged_handle request, enum gate_outcome outcome, struct edged_identity *identity)
{
	struct homes *homes = self;
	struct edged_slice id = homes->rest->http->param(homes->rest->host, request, "node");
	if (refused(homes, request, outcome, identity))
		return 0;
	const struct home *home = others_known_home(homes->peers->deps.others, id);
	if (!home)
		return problem(homes, request, 404, "no-such-home", "There is no such home of shadows",
		        "GET /shadow/v1/homes lists them, with their whole ids.");
	if (peer_available(home))
		return problem(homes, request, 409, "home-available", "That node is there",
		        "Shadows are taken over from nodes that are away and do not come back.");
	if (homes->busy)
		return problem(homes, request, 409, "busy", "Shadows are being taken over already",
		        "Wait until that has been answered.");
	return begin(homes, request, home);
}

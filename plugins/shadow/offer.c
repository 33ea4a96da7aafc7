/* SPDX-License-Identifier: Apache-2.0 */
#include "offer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

/* A call that another plugin waits for. It lives until the service has answered. */
struct asked {
	LIST_ENTRY(asked) link;
	struct edged_host *host;
	edged_shadow_done *done; /* NULL: nobody waits any more */
	void *arg;
};

struct offer {
	struct edged_shadow_1 capability;
	struct service *service;
	LIST_HEAD(, asked) asked;
};

static void answered(void *arg, const struct shadow_outcome *outcome)
{
	struct asked *asked = arg;
	const struct shadow_error *error = outcome->error;
	const struct edged_shadow_result result = { .struct_size = sizeof(result),
		.status = error->code ? error->code : 200,
		.why = error->message,
		.version = outcome->version,
		.document = error->code ? edged_slice(NULL, 0) : outcome->body,
		.age = outcome->age };
	if (asked->done) {
		LIST_REMOVE(asked, link);
		asked->done(asked->arg, &result);
	}
	free(asked);
}

static void let_go(struct asked *asked)
{
	LIST_REMOVE(asked, link);
	asked->done = NULL;
}

static int run(struct offer *offer, struct edged_host *host, struct edged_slice thing,
        struct edged_slice name, struct shadow_call *call, edged_shadow_done *done, void *arg)
{
	static const struct shadow_error bad_name = { 400, "Invalid thing or shadow name" };
	struct shadow_name shadow;
	struct asked *asked = malloc(sizeof(*asked));
	if (!asked)
		return -ENOMEM;
	*asked = (struct asked){ .host = host, .done = done, .arg = arg };
	LIST_INSERT_HEAD(&offer->asked, asked, link);
	call->answer = answered;
	call->arg = asked;
	if (shadow_name_set(&shadow, thing, name))
		service_run(offer->service, &shadow, call);
	else
		answered(asked, &(struct shadow_outcome){ .error = &bad_name });
	return 0;
}

static int get(void *ctx, struct edged_host *host, struct edged_slice thing, struct edged_slice name,
        edged_shadow_done *done, void *arg)
{
	struct shadow_call call = { .verb = SHADOW_GET, .match = SHADOW_MATCH_NONE };
	return run(ctx, host, thing, name, &call, done, arg);
}

static int64_t match_of(int64_t match)
{
	return match == EDGED_SHADOW_ANY      ? SHADOW_MATCH_NONE
	       : match == EDGED_SHADOW_EXISTS ? SHADOW_MATCH_ANY
	                                      : match;
}

static int change(void *ctx, struct edged_host *host, struct edged_slice thing, struct edged_slice name,
        enum edged_shadow_change how, struct edged_slice state, int64_t match, edged_shadow_done *done,
        void *arg)
{
	struct shadow_call call = { .verb = SHADOW_UPDATE,
		.payload = state,
		.match = match_of(match),
		.patch = true,
		.replace = how == EDGED_SHADOW_REPLACE,
		.whole = true };
	if (match < EDGED_SHADOW_EXISTS || (how != EDGED_SHADOW_MERGE && how != EDGED_SHADOW_REPLACE))
		return -EINVAL;
	return run(ctx, host, thing, name, &call, done, arg);
}

static void forget(void *ctx, struct edged_host *host)
{
	struct offer *offer = ctx;
	for (struct asked *asked = LIST_FIRST(&offer->asked), *next; asked; asked = next) {
		next = LIST_NEXT(asked, link);
		if (asked->host == host)
			let_go(asked);
	}
}

int offer_new(struct service *service, struct offer **ret)
{
	struct offer *offer = calloc(1, sizeof(*offer));
	if (!offer)
		return -ENOMEM;
	offer->service = service;
	LIST_INIT(&offer->asked);
	offer->capability = (struct edged_shadow_1){ .struct_size = sizeof(struct edged_shadow_1),
		.ctx = offer,
		.get = get,
		.change = change,
		.forget = forget };
	*ret = offer;
	return 0;
}

void offer_free(struct offer *offer)
{
	while (offer && !LIST_EMPTY(&offer->asked))
		let_go(LIST_FIRST(&offer->asked));
	free(offer);
}

const struct edged_shadow_1 *offer_capability(const struct offer *offer)
{
	return &offer->capability;
}

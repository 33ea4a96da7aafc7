/* SPDX-License-Identifier: Apache-2.0 */
#include "events.h"

#include <errno.h>
#include <stdlib.h>

/* The document at the start; its stream may be gone by now. */
struct start {
	struct feeds *feeds;
	edged_handle request;
};

static void begin(void *arg, const struct shadow_outcome *outcome)
{
	struct start *start = arg;
	int code = outcome->error->code;
	const struct feed *feed = feeds_find(start->feeds, start->request);
	if (feed)
		feed_tell(feed, code == 0 ? "document" : code == 404 ? "absent" : "error", outcome->body);
	free(start);
}

int events_open(struct feeds *feeds, struct service *service, edged_handle request,
        const struct shadow_name *name, struct edged_identity *identity)
{
	struct feed_topic topics[FEED_CHANGES];
	struct feed *feed;
	struct start *arg = malloc(sizeof(*arg));
	if (!arg)
		return -ENOMEM;
	feed_changes(name, topics);
	int r = feeds_open(feeds, request, name, identity, topics, FEED_CHANGES, &feed);
	if (r || !feed) {
		free(arg);
		return r;
	}
	*arg = (struct start){ feeds, request };
	const struct shadow_call call = {
		.verb = SHADOW_GET, .match = SHADOW_MATCH_NONE, .answer = begin, .arg = arg
	};
	service_run(service, name, &call);
	return 0;
}

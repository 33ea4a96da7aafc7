/* SPDX-License-Identifier: Apache-2.0 */
#include "events.h"

#include <errno.h>
#include <stdlib.h>

/* The document at the start; its stream may be gone by now. */
struct start {
	struct feeds *feeds;
	edged_handle request;
};

static void begin(void *arg, const struct shadow_error *error, int64_t version, struct edged_slice body)
{
	(void)version;
	struct start *start = arg;
	const struct feed *feed = feeds_find(start->feeds, start->request);
	if (feed)
		feed_tell(feed,
		        error->code == 0     ? "document"
		        : error->code == 404 ? "absent"
		                             : "error",
		        body);
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

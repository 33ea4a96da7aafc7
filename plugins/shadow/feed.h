/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages about a thing as server-sent events (WHATWG HTML, section 9.2), each stream to one HTTP client. A reader that falls behind
 * is waited for as an MQTT client is, within the broker's limits; what it lost is told (`lost`). Main loop.
 */
#ifndef SHADOW_FEED_H
#define SHADOW_FEED_H

#include "edged/cap_http.h"
#include "edged/cap_metrics.h"
#include "edged/cap_pubsub.h"
#include "gate.h"
#include "name.h"

struct feed;
struct feeds;

enum { FEED_TOPICS = 8, FEED_TOPIC_MAX = SHADOW_TOPIC_MAX };

/* What a stream subscribes to. */
struct feed_topic {
	char filter[FEED_TOPIC_MAX];
	const char *event; /* what its messages are called; static */
	/* The data of an event, without newlines, to be freed; NULL: the payload as it is, which is JSON. */
	char *(*data)(const struct edged_message *message);
};

struct feeds_deps {
	struct edged_host *host;
	const struct edged_http_1 *http;
	const struct edged_pubsub_1 *pubsub;
	const struct gate *gate;
	int64_t *figure;      /* of open streams */
	unsigned limit;       /* of them */
	const char *limit_is; /* for people, such as "\"streams\" of the shadow plugin" */
};
/* What is told of a shadow and its thing: `update` (the documents before and after), `delta`, `delete`; `connected`,
 * `disconnected`. */
enum { FEED_CHANGES = 5 };
void feed_changes(const struct shadow_name *about, struct feed_topic ret[FEED_CHANGES]);

int feeds_new(const struct feeds_deps *deps, struct feeds **ret); /* -ENOMEM */
void feeds_free(struct feeds *feeds);
/* Ends all streams. */
void feeds_stop(struct feeds *feeds);
/* Rights have changed: streams of those who may no longer get the shadow that they are about end. */
void feeds_judge(struct feeds *feeds);
/* Ends those about things for which over() says true. */
void feeds_end(struct feeds *feeds, bool (*over)(void *arg, const char *thing), void *arg);

/* Begins the answer to a request, or answers it with a problem; *ret is NULL then. A negative errno: not answered. */
EDGED_MUST_CHECK int feeds_open(struct feeds *feeds, edged_handle request, const struct shadow_name *about,
        struct edged_identity *identity, const struct feed_topic *topics, size_t count, struct feed **ret);
/* The stream that answers the request; NULL: it has ended. */
struct feed *feeds_find(const struct feeds *feeds, edged_handle request);
void feed_tell(const struct feed *feed, const char *event, struct edged_slice data);

#endif

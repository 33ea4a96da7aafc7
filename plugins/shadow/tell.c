/* SPDX-License-Identifier: Apache-2.0 */
#include "tell.h"

#include <stdlib.h>
#include <string.h>

#include "message.h"

bool tell_wanted(const struct teller *t, const struct shadow_name *name, const char *suffix)
{
	char topic[SHADOW_TOPIC_MAX];
	size_t n = shadow_topic_print(topic, name, suffix);
	return t->pubsub->wanted(t->pubsub->ctx, t->host, edged_slice(topic, n));
}

void tell(const struct teller *t, const struct shadow_name *name, const char *suffix, const char *body)
{
	char topic[SHADOW_TOPIC_MAX];
	struct edged_message message = { .struct_size = sizeof(message), .qos = 1 };
	message.topic = edged_slice(topic, shadow_topic_print(topic, name, suffix));
	message.payload = edged_str(body);
	int r = t->pubsub->publish(t->pubsub->ctx, t->host, &message, NULL, NULL);
	if (r)
		t->log->log(t->host, EDGED_WARNING, "cannot publish to %s: %s", topic, strerror(-r));
}

const char *tell_suffix(enum shadow_verb verb, bool accepted)
{
	static const char *const suffixes[][2] = { { "get/rejected", "get/accepted" },
		{ "update/rejected", "update/accepted" }, { "delete/rejected", "delete/accepted" } };
	return suffixes[verb][accepted];
}

void tell_update(const struct teller *t, const struct shadow_name *name, const struct printed *before,
        const struct document *after, const char *token)
{
	if (json_object_get(after->state, "desired") && tell_wanted(t, name, "update/delta")) {
		bool differs;
		char *delta = message_delta(after, token, after->timestamp, &differs);
		if (delta)
			tell(t, name, "update/delta", delta);
		free(delta);
	}
	if (tell_wanted(t, name, "update/documents")) {
		char *documents = message_documents(before, after, token, after->timestamp);
		if (documents)
			tell(t, name, "update/documents", documents);
		free(documents);
	}
}

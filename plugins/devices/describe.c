/* SPDX-License-Identifier: Apache-2.0 */
#include "describe.h"

#include <stdio.h>
#include <stdlib.h>

#include "../broker/text.h"

json_t *describe_thing(const struct edged_things_1 *things, struct edged_host *host, struct edged_slice thing)
{
	char *text = things->describe(things->ctx, host, thing);
	json_t *ret = text ? json_loads(text, 0, NULL) : NULL;
	free(text);
	return ret;
}

static bool is_text(const json_t *json, struct edged_slice value)
{
	return json_is_string(json) &&
	       edged_slice_eq(edged_slice(json_string_value(json), json_string_length(json)), value);
}

bool describe_has(const json_t *known, const char *member, struct edged_slice value)
{
	const json_t *json = json_object_get(known, member), *item;
	size_t i;
	json_array_foreach(json, i, item) if (is_text(item, value)) return true;
	return is_text(json, value);
}

json_t *describe_brief(const char *thing, const json_t *known, bool connected)
{
	return json_pack("{s:s, s:s, s:O*, s:o, s:b}", "name", thing, "serviceType", "edged-device-v1",
	        "type", json_object_get(known, "type"), "self", json_sprintf("/devices/v1/%s", thing),
	        "connected", connected);
}

static json_t *links(const char *thing)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "properties",
	        json_sprintf("/devices/v1/%s/properties", thing), "call",
	        json_sprintf("/devices/v1/%s/call/{name}", thing), "events",
	        json_sprintf("/devices/v1/%s/events", thing), "thing",
	        json_sprintf("/things/v1/things/%s", thing));
}

/* Version and age of the shadow, and whether the device has still to do what was desired. */
static json_t *summary(struct edged_slice document)
{
	json_t *json = document.len ? json_loadb(document.ptr, document.len, 0, NULL) : NULL;
	const json_t *state = json_object_get(json, "state");
	json_t *ret = json ? json_pack("{s:O*, s:O*, s:b}", "version", json_object_get(json, "version"),
	                             "timestamp", json_object_get(json, "timestamp"), "settled",
	                             json_object_get(state, "delta") == NULL)
	                   : json_null();
	json_decref(json);
	return ret;
}

json_t *describe_whole(
        const char *thing, const json_t *known, bool connected, struct edged_slice shadow_document)
{
	static const char *const members[] = { "attributes", "groups", "enabled", "created" };
	json_t *ret = describe_brief(thing, known, connected);
	for (size_t i = 0; ret && i < sizeof(members) / sizeof(members[0]); i++) {
		json_t *value = json_object_get(known, members[i]);
		if (value)
			(void)json_object_set(ret, members[i], value);
	}
	if (ret && (json_object_set_new(ret, "properties", summary(shadow_document)) ||
	                   json_object_set_new(ret, "links", links(thing)))) {
		json_decref(ret);
		return NULL;
	}
	return ret;
}

json_t *describe_properties(struct edged_slice shadow_document)
{
	static const char *const members[] = { "version", "timestamp" };
	json_t *document = shadow_document.len ? json_loadb(shadow_document.ptr, shadow_document.len, 0, NULL)
	                                       : json_object();
	json_t *ret = document ? json_pack("{s:{}, s:{}}", "desired", "reported") : NULL;
	if (ret)
		(void)json_object_update(ret, json_object_get(document, "state"));
	for (size_t i = 0; ret && i < sizeof(members) / sizeof(members[0]); i++) {
		json_t *value = json_object_get(document, members[i]);
		if (value)
			(void)json_object_set(ret, members[i], value);
	}
	json_decref(document);
	return ret;
}

static struct edged_slice after_slashes(struct edged_slice topic, unsigned count)
{
	for (; count && topic.len; topic.ptr++, topic.len--)
		count -= *topic.ptr == '/';
	return topic;
}

char *describe_event(const struct edged_message *message)
{
	json_t *ret = json_pack("{s:o}", "topic", text_json(after_slashes(message->topic, 3)));
	json_t *payload = json_loadb(message->payload.ptr ? message->payload.ptr : "", message->payload.len,
	        JSON_DECODE_ANY, NULL);
	if (!payload)
		payload = text_json(message->payload); /* NULL when it is not UTF-8 */
	int r = payload ? json_object_set_new(ret, "payload", payload)
	                : json_object_set_new(ret, "payloadBase64", base64_json(message->payload));
	char *text = r ? NULL : json_dumps(ret, JSON_COMPACT);
	json_decref(ret);
	return text;
}

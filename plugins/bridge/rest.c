/* SPDX-License-Identifier: Apache-2.0 */
#include "rest.h"

#include <jansson.h>
#include <stdio.h>

static json_t *out_json(struct link *l)
{
	const struct figures *f = l->figures;
	link_show(l);
	int64_t dropped = figure(f->dropped_queue) + figure(f->dropped_refused) + figure(f->dropped_size) +
	                  figure(f->dropped_stale);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:s}}", "waiting",
	        (json_int_t)figure(f->waiting), "inFlight", (json_int_t)figure(f->in_flight), "dropped",
	        (json_int_t)dropped, "delivered", (json_int_t)figure(f->delivered_out), "loops",
	        (json_int_t)figure(f->dropped_out_loop), "bytes", (json_int_t)figure(f->bytes), "limits",
	        "messages", (json_int_t)l->settings.queue_messages, "bytes",
	        (json_int_t)l->settings.queue_bytes, "whenFull",
	        l->settings.drop_oldest ? "drop-old" : "drop-new");
}

static json_t *in_json(const struct link *l)
{
	const struct figures *f = l->figures;
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "waiting", (json_int_t)figure(f->unsaved), "inFlight",
	        (json_int_t)figure(f->open), "dropped",
	        (json_int_t)(figure(f->dropped_unmapped) + figure(f->dropped_local)), "delivered",
	        (json_int_t)figure(f->delivered_in), "loops", (json_int_t)figure(f->dropped_in_loop));
}

static json_t *error_json(const struct link *l)
{
	return *l->error ? json_pack("{s:s, s:I}", "text", l->error, "timestamp", (json_int_t)l->error_at)
	                 : json_null();
}

static json_t *link_json(struct link *l)
{
	char address[300];
	snprintf(address, sizeof(address), strchr(l->settings.host, ':') ? "[%s]:%u" : "%s:%u",
	        l->settings.host, l->settings.port);
	return json_pack("{s:s, s:s, s:I, s:s, s:b, s:s, s:I, s:o, s:o, s:o, s:o}", "name", l->settings.name,
	        "state", link_state_name(l), "since", (json_int_t)l->since, "address", address, "tls",
	        l->settings.tls, "mqtt", l->settings.version == MQTT_5 ? "5" : "3.1.1", "attempts",
	        (json_int_t)l->attempts, "nextAttempt",
	        l->next ? json_integer((json_int_t)l->next) : json_null(), "lastError", error_json(l), "out",
	        out_json(l), "in", in_json(l));
}

static char *dump(json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	return text;
}

char *rest_bridge(struct link *l)
{
	return dump(link_json(l));
}

char *rest_bridges(struct link *const *links, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < count; i++)
		(void)json_array_append_new(list, link_json(links[i]));
	return dump(list ? json_pack("{s:o}", "data", list) : NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "rest.h"

#include <jansson.h>

static json_t *out_json(const struct figures *f)
{
	int64_t dropped = figure(f->dropped_queue) + figure(f->dropped_size) + figure(f->dropped_refused) +
	                  figure(f->dropped_stays_out);
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "waiting", (json_int_t)figure(f->waiting), "inFlight",
	        (json_int_t)figure(f->in_flight), "bytes", (json_int_t)figure(f->bytes), "sent",
	        (json_int_t)figure(f->sent), "dropped", (json_int_t)dropped);
}

static json_t *in_json(const struct figures *f)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "filters", (json_int_t)figure(f->filters), "received",
	        (json_int_t)figure(f->received), "duplicates", (json_int_t)figure(f->duplicates), "dropped",
	        (json_int_t)(figure(f->dropped_invalid) + figure(f->dropped_stays_in)));
}

static json_t *error_json(const struct peer *p)
{
	return *p->error ? json_pack("{s:s, s:I}", "text", p->error, "timestamp", (json_int_t)p->error_at)
	                 : json_null();
}

static json_t *peer_json(struct peer *p)
{
	peer_show(p);
	return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o}", "node", p->id, "state", peer_state_name(p),
	        "since", (json_int_t)p->since, "lastError", error_json(p), "out", out_json(p->figures), "in",
	        in_json(p->figures));
}

char *rest_peers(struct mesh *m)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < m->peer_count; i++)
		(void)json_array_append_new(list, peer_json(m->peers[i]));
	json_t *all = list ? json_pack("{s:o}", "data", list) : NULL;
	char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
	json_decref(all);
	return text;
}

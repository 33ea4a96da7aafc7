/* SPDX-License-Identifier: Apache-2.0 */
#include "inside_open.h"

#include <ctype.h>
#include <errno.h>

#include "inside_impl.h"
#include "persist.h"
#include "publish.h"
#include "queue.h"
#include "retained.h"
#include "shard.h"

enum { FILTER_TEXT = 1100 };

/* --- subscribing ---------------------------------------------------------------------------------------------------------- */

static int take_away(struct session *s, struct sub *sub, struct edged_slice filter)
{
	struct filter parsed;
	int r = persist_sub_gone(s, filter);
	if (r)
		return r;
	subs_remove(&s->shard->subs, sub);
	shard_subs_changed(s->shard, -1);
	if (filter_parse(filter, &s->shard->broker->limits.topic, &parsed) && parsed.group.len)
		shared_remove(s, &parsed);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int remove_others(struct session *s, const char *const *filters, size_t count, bool *ret_wrote)
{
	char text[FILTER_TEXT + 1];
	const char **sorted = malloc((count + 1) * sizeof(*sorted)), *key = text;
	int r = sorted ? 0 : -ENOMEM;
	if (!r && count) { /* without any, filters may be NULL */
		memcpy(sorted, filters, count * sizeof(*sorted));
		qsort(sorted, count, sizeof(*sorted), by_text);
	}
	for (struct sub *sub = s->target.first, *next; sub && !r; sub = next) {
		next = sub->sibling;
		size_t n = subs_text(&s->shard->subs, sub, text, FILTER_TEXT);
		text[n] = '\0';
		if (bsearch(&key, sorted, count, sizeof(*sorted), by_text))
			continue;
		r = take_away(s, sub, edged_slice(text, n));
		*ret_wrote |= r == 0;
	}
	free(sorted);
	return r;
}

struct retained_for {
	struct session *session;
	uint8_t qos;
	bool wrote;
};

/* What is kept is worth the subscription's QoS, however it was published, so that it waits when the session is away. */
static int give_retained(void *arg, struct message *m)
{
	struct retained_for *to = arg;
	struct delivery d = { m, to->qos, true, NULL, 0 };
	if (!message_over(m))
		(void)session_deliver(to->session, &d, &to->wrote);
	return 0;
}

static int add(struct session *s, const char *text, uint8_t options, bool *ret_wrote)
{
	struct shard *shard = s->shard;
	struct filter filter;
	struct sub *sub;
	(void)filter_parse(edged_str(text), &shard->broker->limits.topic, &filter);
	const struct sub *old = subs_find(&shard->subs, &s->target, &filter);
	bool is_new = old == NULL;
	uint8_t kept = options & (OPT_QOS | OPT_NO_LOCAL | OPT_RETAIN_AS_PUBLISHED);
	uint32_t id = filter.group.len ? filter_number(&filter) : 0; /* what deliveries bear as `share` */
	if (is_new || old->options != kept) {
		int r = persist_sub(s, edged_str(text), kept, id);
		if (!r)
			r = subs_add(&shard->subs, &s->target, &filter, kept, id, &sub);
		if (r < 0)
			return r;
		*ret_wrote = true;
		if (r == 0)
			shard_subs_changed(shard, 1);
		if (id && shard->broker->shard_count > 1)
			r = shared_add(s, &filter, kept, id);
		if (r < 0)
			return r;
	}
	if (id) /* MQTT 5.0 section 4.8.2: no retained messages */
		return 0;
	unsigned handling = (options & OPT_RETAIN_HANDLING) >> 4;
	struct retained_for to = { s, options & OPT_QOS, false };
	if (handling == 0 || (handling == 1 && is_new))
		retained_match(&shard->retained, filter.filter, give_retained, &to);
	*ret_wrote |= to.wrote;
	return 0;
}

static bool filter_valid(const struct inside *in, const char *text, uint8_t options)
{
	struct filter filter;
	return utf8_valid(edged_str(text)) &&
	       filter_parse(edged_str(text), &in->all->broker->limits.topic, &filter) &&
	       (!filter.group.len || in->limits.apart) && (options & OPT_QOS) != 3 && options < 0x30;
}

static int judge_filters(
        const struct inside *in, const char *const *filters, const uint8_t *options, size_t count)
{
	if (count > in->all->broker->limits.subscriptions)
		return -ENOSPC;
	for (size_t i = 0; i < count; i++)
		if (!filter_valid(in, filters[i], options[i]))
			return -EINVAL;
	return 0;
}

static int subscribe(
        void *ctx, edged_handle handle, const char *const *filters, const uint8_t *options, size_t count)
{
	struct inside *in = inside_find(ctx, handle);
	int r = in ? judge_filters(in, filters, options, count) : -ENOENT;
	bool wrote = false;
	if (!r)
		r = remove_others(in->session, filters, count, &wrote);
	for (size_t i = 0; i < count && !r; i++)
		r = add(in->session, filters[i], options[i], &wrote);
	return wrote && turn_wrote(in->session->shard) ? -ENOMEM : r;
}

static struct sub *find_sub(const struct session *s, const char *text)
{
	struct filter filter;
	const struct shard *shard = s->shard;
	return filter_parse(edged_str(text), &shard->broker->limits.topic, &filter)
	               ? subs_find(&shard->subs, &s->target, &filter)
	               : NULL;
}

static int subscribe_one(void *ctx, edged_handle handle, const char *filter, uint8_t options)
{
	struct inside *in = inside_find(ctx, handle);
	bool wrote = false;
	if (!in)
		return -ENOENT;
	if (!filter_valid(in, filter, options))
		return -EINVAL;
	if (in->session->target.count >= in->all->broker->limits.subscriptions &&
	        !find_sub(in->session, filter))
		return -ENOSPC;
	int r = add(in->session, filter, options, &wrote);
	return wrote && turn_wrote(in->session->shard) ? -ENOMEM : r;
}

static int unsubscribe_one(void *ctx, edged_handle handle, const char *filter)
{
	struct inside *in = inside_find(ctx, handle);
	struct sub *sub = in ? find_sub(in->session, filter) : NULL;
	int r = sub ? take_away(in->session, sub, edged_str(filter)) : -ENOENT;
	return r ? r : turn_wrote(in->session->shard);
}

/* --- opening and closing -------------------------------------------------------------------------------------------------- */

static bool name_valid(const char *name)
{
	size_t n = name ? strlen(name) : 0;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._/-", name[i]))
			return false;
	return n > 0 && n <= NAME_MOST;
}

static struct edged_slice id_of(const char *name, char out[sizeof(INSIDE_PREFIX) + NAME_MOST])
{
	size_t n = strlen(name);
	memcpy(out, INSIDE_PREFIX, sizeof(INSIDE_PREFIX) - 1);
	memcpy(out + sizeof(INSIDE_PREFIX) - 1, name, n);
	return edged_slice(out, sizeof(INSIDE_PREFIX) - 1 + n);
}

static int find_or_make(struct shard *shard, struct edged_slice id, struct session **ret)
{
	struct session *s = *ret = session_find(shard, id);
	if (s)
		return 0;
	s = session_new(shard, id);
	if (!s)
		return -ENOMEM;
	s->version = MQTT_5;
	s->expiry = s->ends = EXPIRY_NEVER;
	s->row = broker_row(shard->broker);
	__atomic_fetch_add(&shard->durable, 1, __ATOMIC_RELAXED);
	int r = persist_session(s);
	if (!r)
		r = turn_wrote(shard);
	if (r)
		session_end(s);
	*ret = s;
	return r;
}

static void set_limits(struct inside *in, const struct edged_session_options *options)
{
	struct edged_session_options o = { 0 };
	memcpy(&o, options, options->struct_size < sizeof(o) ? options->struct_size : sizeof(o));
	o.name = NULL;
	in->limits = o;
	in->session->apart = o.apart;
	shared_present(in->session, in->session->client != NULL);
}

static int make(struct insides *all, uint32_t slot, struct session *s, struct inside **ret)
{
	struct inside *in = calloc(1, sizeof(*in));
	if (!in)
		return -ENOMEM;
	in->all = all;
	in->slot = slot;
	in->session = s;
	session_hold(s);
	in->client = (struct client){ .broker = all->broker,
		.shard = inside_home(all),
		.version = MQTT_5,
		.max_packet = UINT32_MAX,
		.inside = true };
	all->slots[slot].inside = in;
	all->open++;
	s->opened = (uint16_t)(slot + 1);
	edged_metric_set(all->open_figure, all->open);
	*ret = in;
	return 0;
}

static int find_slot(struct insides *all, uint32_t *ret)
{
	uint32_t slot = 0, size = all->size ? all->size * 2 : 8;
	if (all->open >= all->broker->limits.plugin_sessions)
		return -ENOSPC;
	while (slot < all->size && all->slots[slot].inside)
		slot++;
	*ret = slot;
	if (slot < all->size)
		return 0;
	struct slot *slots = realloc(all->slots, size * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = all->size; i < size; i++)
		slots[i] = (struct slot){ .generation = 1 };
	all->slots = slots;
	all->size = size;
	return 0;
}

static int open_session(void *ctx, const struct edged_session_options *options,
        const struct edged_session_handler *handler, void *arg, edged_handle *ret)
{
	struct insides *all = ctx;
	char text[sizeof(INSIDE_PREFIX) + NAME_MOST];
	struct session *s;
	struct inside *in;
	uint32_t slot;
	if (!name_valid(options->name) || !EDGED_HAS(handler, detached) || !handler->deliver ||
	        !handler->release)
		return -EINVAL;
	int r = find_slot(all, &slot);
	if (!r)
		r = find_or_make(inside_home(all), id_of(options->name, text), &s);
	if (!r && inside_opened(s))
		r = -EEXIST;
	if (!r)
		r = make(all, slot, s, &in);
	if (r)
		return r;
	memcpy(&in->handler, handler,
	        handler->struct_size < sizeof(in->handler) ? handler->struct_size : sizeof(in->handler));
	in->arg = arg;
	set_limits(in, options);
	*ret = (uint64_t)all->slots[slot].generation << 32 | (slot + 1);
	return 0;
}

static int limit(void *ctx, edged_handle handle, const struct edged_session_options *options)
{
	struct inside *in = inside_find(ctx, handle);
	if (!in)
		return -ENOENT;
	set_limits(in, options);
	return 0;
}

static void close_session(void *ctx, edged_handle handle)
{
	struct insides *all = ctx;
	uint32_t slot = (uint32_t)handle - 1;
	if (slot >= all->size || all->slots[slot].generation != handle >> 32 || !all->slots[slot].inside)
		return;
	struct inside *in = all->slots[slot].inside;
	inside_leave(in);
	all->slots[slot].inside = NULL;
	all->slots[slot].generation++;
	all->open--;
	edged_metric_set(all->open_figure, all->open);
	in->slot = NOT_OPEN;
	in->session->opened = 0;
	for (uint32_t i = 0; i < in->count; i++) {
		struct promise *p = &in->promises[(in->first + i) & (in->size - 1)];
		void (*done)(void *arg, int result) = p->done;
		p->done = NULL; /* its turn is still to come, but nobody listens any more */
		if (done)
			done(p->arg, -ECANCELED);
	}
	if (in->count == 0)
		inside_free(in);
}

static int forget(void *ctx, const char *name)
{
	struct insides *all = ctx;
	char text[sizeof(INSIDE_PREFIX) + NAME_MOST];
	struct session *s = name_valid(name) ? session_find(inside_home(all), id_of(name, text)) : NULL;
	if (!s)
		return -ENOENT;
	if (inside_opened(s))
		return -EBUSY;
	session_end(s);
	return turn_wrote(inside_home(all));
}

static void names(void *ctx, const char *prefix, void (*each)(void *arg, const char *name), void *arg)
{
	const struct session_table *table = &inside_home(ctx)->sessions;
	for (size_t i = 0; i < table->size; i++)
		for (struct session *s = table->buckets[i], *next; s; s = next) {
			next = s->chain;
			char name[NAME_MOST + 1];
			size_t skip = sizeof(INSIDE_PREFIX) - 1;
			if (!s->inside || s->id_len < skip || s->id_len - skip > NAME_MOST)
				continue;
			memcpy(name, s->id + skip, s->id_len - skip);
			name[s->id_len - skip] = '\0';
			if (edged_slice_starts(edged_str(name), prefix))
				each(arg, name);
		}
}

struct telling {
	void (*each)(void *arg, const struct edged_session_message *message);
	void *arg;
	uint64_t now;
};

static int tell_retained(void *arg, struct message *m)
{
	const struct telling *t = arg;
	const struct edged_session_message message = { .struct_size = sizeof(message),
		.topic = message_topic(m),
		.payload = message_payload(m),
		.publisher = message_publisher(m),
		.props = message_props(m),
		.expiry = m->expires > t->now ? (uint32_t)((m->expires - t->now + 999) / 1000) : 0,
		.qos = m->qos,
		.retain = true,
		.stamp = m->stamp };
	if (!message_expired(m, t->now))
		t->each(t->arg, &message);
	return 0;
}

static int tell_buried(void *arg, struct edged_slice topic, uint64_t stamp)
{
	const struct telling *t = arg;
	const struct edged_session_message message = {
		.struct_size = sizeof(message), .topic = topic, .qos = 1, .retain = true, .stamp = stamp
	};
	t->each(t->arg, &message);
	return 0;
}

static void retained(void *ctx, struct edged_slice topic,
        void (*each)(void *arg, const struct edged_session_message *message), void *arg)
{
	const struct retained *all = &inside_home(ctx)->retained;
	struct telling t = { each, arg, wall_ms() };
	if (!topic.len) {
		retained_each(all, tell_retained, &t);
		retained_each_buried(all, tell_buried, &t);
		return;
	}
	struct message *m = retained_get(all, topic);
	uint64_t stamp = retained_stamp(all, topic);
	if (m)
		(void)tell_retained(&t, m);
	else if (stamp)
		(void)tell_buried(&t, topic, stamp);
}

static uint64_t retained_version(void *ctx)
{
	return inside_home(ctx)->retained.version;
}

static int figures(void *ctx, edged_handle handle, struct edged_session_figures *ret)
{
	const struct inside *in = inside_find(ctx, handle);
	if (!in)
		return -ENOENT;
	const struct flight *f = in->session->flight;
	struct edged_session_figures now = {
		.struct_size = ret->struct_size,
		.waiting = f ? f->count - f->sent : 0,
		.in_flight = f ? f->sent : 0,
		.bytes = f ? f->bytes : 0,
		.dropped = in->dropped,
		.acknowledged = in->acknowledged,
		.number = in->session->row,
	};
	memcpy(ret, &now, ret->struct_size < sizeof(now) ? ret->struct_size : sizeof(now));
	return 0;
}

/* --- life ---------------------------------------------------------------------------------------------------------------- */

int insides_new(struct broker *broker, struct insides **ret)
{
	struct insides *all = calloc(1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	all->broker = broker;
	all->open_figure = broker->metrics->figure(
	        broker->host, EDGED_GAUGE, "broker_plugin_sessions", NULL, "Sessions that plugins have open");
	all->capability = (struct edged_session_1){
		.struct_size = sizeof(struct edged_session_1),
		.ctx = all,
		.open = open_session,
		.limit = limit,
		.subscribe = subscribe,
		.attach = inside_attach,
		.detach = inside_detach,
		.flow = inside_flow,
		.puback = inside_puback,
		.pubrec = inside_pubrec,
		.pubcomp = inside_pubcomp,
		.publish = inside_publish,
		.release = inside_pubrel,
		.figures = figures,
		.close = close_session,
		.forget = forget,
		.names = names,
		.retained = retained,
		.subscribe_one = subscribe_one,
		.unsubscribe_one = unsubscribe_one,
		.retained_version = retained_version,
	};
	*ret = all;
	return 0;
}

void insides_free(struct insides *all)
{
	for (uint32_t i = 0; all && i < all->size; i++)
		if (all->slots[i].inside)
			inside_free(all->slots[i].inside);
	if (all)
		free(all->slots);
	free(all);
}

const struct edged_session_1 *insides_capability(struct insides *all)
{
	return &all->capability;
}

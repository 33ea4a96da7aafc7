/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "client.h"
#include "listing.h"
#include "rest.h"
#include "shard.h"
#include "text.h"

/* One line of a list. */
struct line {
	char *key; /* malloc'ed; lists are in its order */
	json_t *json;
};

/* A page being put together. It goes from shard to shard; whoever has it owns it. */
struct page {
	struct broker *broker;
	edged_handle request;
	void (*collect)(struct page *page, struct shard *shard);
	int (*answer)(struct page *page, bool more);
	struct line *lines; /* the smallest keys after the cursor, in order */
	size_t count, limit;
	bool more, failed;
	unsigned shard;
	char cursor[];
};

static void page_free(struct page *page)
{
	for (size_t i = 0; i < page->count; i++) {
		free(page->lines[i].key);
		json_decref(page->lines[i].json);
	}
	free(page->lines);
	free(page);
}

static void page_drop(void *arg)
{
	page_free(arg);
}

/* Where the key belongs, or -1: it is not on this page. */
static int64_t find_place(struct page *page, const char *key)
{
	if (*page->cursor && strcmp(key, page->cursor) <= 0)
		return -1;
	size_t low = 0, high = page->count;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (strcmp(page->lines[mid].key, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < page->limit)
		return (int64_t)low;
	page->more = true;
	return -1;
}

/* Puts the line at its place; takes key and json. */
static void insert(struct page *page, int64_t place, char *key, json_t *json)
{
	if (!key || !json) {
		page->failed = true;
		free(key);
		json_decref(json);
		return;
	}
	if (page->count == page->limit) {
		struct line *last = &page->lines[--page->count];
		free(last->key);
		json_decref(last->json);
		page->more = true;
	}
	struct line *at = &page->lines[place];
	memmove(at + 1, at, (page->count - (size_t)place) * sizeof(*at));
	*at = (struct line){ key, json };
	page->count++;
}

/* --- what there is -------------------------------------------------------------------------------------------------------- */

static void each_session(
        struct page *page, struct shard *shard, json_t *(*describe)(const struct session *session))
{
	for (size_t i = 0; i < shard->sessions.size; i++) {
		for (struct session *s = shard->sessions.buckets[i]; s; s = s->chain) {
			char *key = strndup(s->id, s->id_len);
			int64_t place = key ? find_place(page, key) : -1;
			json_t *json = place >= 0 ? describe(s) : NULL;
			if (json)
				insert(page, place, key, json);
			else
				free(key);
		}
	}
}

static const char *version_name(uint8_t version)
{
	return version == MQTT_5 ? "5.0" : version == MQTT_3_1_1 ? "3.1.1" : "3.1";
}

static json_t *client_json(const struct session *s)
{
	const struct client *c = s->client;
	if (!c)
		return NULL;
	const struct edged_peer *peer = c->broker->stream->peer(c->stream);
	return json_pack("{s:o, s:s, s:s, s:s, s:b, s:b, s:i, s:i}", "clientId", text_json(session_id(s)),
	        "address", peer->address, "listener", peer->listener ? peer->listener : "", "version",
	        version_name(c->version), "tls", peer->tls, "websocket", peer->websocket, "keepAlive",
	        c->keep_alive, "subscriptions", (int)s->target.count);
}

static json_t *session_json(const struct session *s)
{
	return json_pack("{s:o, s:b, s:b, s:s, s:I, s:i, s:i, s:I}", "clientId", text_json(session_id(s)),
	        "connected", s->client != NULL, "durable", s->row != 0, "version", version_name(s->version),
	        "expirySeconds", (json_int_t)s->expiry, "subscriptions", (int)s->target.count, "queued",
	        (int)(s->flight ? s->flight->count : 0), "queuedBytes",
	        (json_int_t)(s->flight ? s->flight->bytes : 0));
}

static void collect_clients(struct page *page, struct shard *shard)
{
	each_session(page, shard, client_json);
}

static void collect_sessions(struct page *page, struct shard *shard)
{
	each_session(page, shard, session_json);
}

/* Key: client id, line feed, filter. */
static void collect_sub(
        struct page *page, const struct shard *shard, const struct session *s, const struct sub *sub)
{
	char text[1100];
	size_t n = subs_text(&shard->subs, sub, text, sizeof(text));
	char *key = malloc(s->id_len + n + 2);
	if (!key) {
		page->failed = true;
		return;
	}
	memcpy(key, s->id, s->id_len);
	key[s->id_len] = '\n';
	memcpy(key + s->id_len + 1, text, n);
	key[s->id_len + 1 + n] = '\0';
	int64_t place = find_place(page, key);
	if (place < 0) {
		free(key);
		return;
	}
	insert(page, place, key,
	        json_pack("{s:o, s:o, s:i, s:b, s:b}", "clientId", text_json(session_id(s)), "filter",
	                text_json(edged_slice(text, n)), "qos", sub->options & OPT_QOS, "noLocal",
	                (sub->options & OPT_NO_LOCAL) != 0, "retainAsPublished",
	                (sub->options & OPT_RETAIN_AS_PUBLISHED) != 0));
}

static void collect_subscriptions(struct page *page, struct shard *shard)
{
	for (size_t i = 0; i < shard->sessions.size; i++)
		for (const struct session *s = shard->sessions.buckets[i]; s; s = s->chain)
			for (const struct sub *sub = s->target.first; sub; sub = sub->sibling)
				collect_sub(page, shard, s, sub);
}

static int collect_message(void *arg, struct message *m)
{
	struct page *page = arg;
	struct edged_slice topic = message_topic(m);
	char *key = message_expired(m, wall_ms()) ? NULL : strndup(topic.ptr, topic.len);
	int64_t place = key ? find_place(page, key) : -1;
	if (place < 0) {
		free(key);
		return 0;
	}
	insert(page, place, key,
	        json_pack("{s:o, s:I, s:i, s:I}", "topic", text_json(topic), "payloadSize",
	                (json_int_t)m->payload_len, "qos", m->qos, "lastModifiedTime",
	                (json_int_t)m->arrived));
	return 0;
}

static void collect_retained(struct page *page, struct shard *shard)
{
	if (shard->index == 0)
		retained_each(&shard->retained, collect_message, page);
}

/* --- the way around -------------------------------------------------------------------------------------------------------- */

static json_t *lines_json(const struct page *page)
{
	json_t *list = json_array();
	for (size_t i = 0; i < page->count; i++)
		(void)json_array_append(list, page->lines[i].json);
	return list;
}

static int answer_with(struct page *page, bool more, const char *list_name, const char *cursor_name)
{
	json_t *body = json_pack("{s:o}", list_name, lines_json(page));
	if (body && more && page->count)
		(void)json_object_set_new(
		        body, cursor_name, text_json(edged_str(page->lines[page->count - 1].key)));
	return rest_reply(page->broker, page->request, 200, body);
}

static int answer(struct page *page, bool more)
{
	return answer_with(page, more, "data", "cursor");
}

static int answer_aws(struct page *page, bool more)
{
	return answer_with(page, more, "retainedTopics", "nextToken");
}

static void finish(struct page *page)
{
	struct broker *b = page->broker;
	if (page->failed || page->answer(page, page->more))
		(void)b->http->problem(
		        b->host, page->request, 503, "no-memory", "Not enough memory for this answer", NULL);
	page_free(page);
}

static void finish_here(void *arg)
{
	finish(arg);
}

static void visit(void *arg)
{
	struct page *page = arg;
	const struct broker *b = page->broker;
	page->collect(page, b->shards[page->shard]);
	bool last = ++page->shard == b->shard_count;
	if (b->loop->post(b->host, last ? 0 : page->shard, last ? finish_here : visit, page_drop, page))
		page_free(page); /* the request's time runs out */
}

static int start(struct broker *b, edged_handle request, struct edged_slice cursor, size_t limit,
        void (*collect)(struct page *page, struct shard *shard),
        int (*answer_fn)(struct page *page, bool more))
{
	struct page *page = calloc(1, sizeof(*page) + cursor.len + 1);
	if (!page)
		return -ENOMEM;
	page->lines = calloc(limit, sizeof(*page->lines));
	if (!page->lines) {
		free(page);
		return -ENOMEM;
	}
	page->broker = b;
	page->request = request;
	page->collect = collect;
	page->answer = answer_fn;
	page->limit = limit;
	if (cursor.len)
		memcpy(page->cursor, cursor.ptr, cursor.len);
	if (b->shard_count > 1) {
		visit(page);
		return 0;
	}
	collect(page, b->shards[0]);
	finish(page);
	return 0;
}

static int list(void *self, edged_handle request, void (*collect)(struct page *page, struct shard *shard))
{
	struct broker *b = self;
	uint64_t limit;
	if (!rest_number(b, request, "limit", 100, 1000, &limit))
		return 0;
	return start(b, request, b->http->query(b->host, request, "cursor"), (size_t)limit, collect, answer);
}

int list_clients(void *self, edged_handle request)
{
	return list(self, request, collect_clients);
}

int list_sessions(void *self, edged_handle request)
{
	return list(self, request, collect_sessions);
}

int list_subscriptions(void *self, edged_handle request)
{
	return list(self, request, collect_subscriptions);
}

int list_retained(void *self, edged_handle request)
{
	return list(self, request, collect_retained);
}

int list_retained_aws(void *self, edged_handle request)
{
	struct broker *b = self;
	uint64_t limit;
	if (!rest_number(b, request, "maxResults", 200, 200, &limit))
		return 0;
	return start(b, request, b->http->query(b->host, request, "nextToken"), (size_t)limit,
	        collect_retained, answer_aws);
}

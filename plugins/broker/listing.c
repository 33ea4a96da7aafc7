/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "auth.h"
#include "listing.h"
#include "rest.h"
#include "shard.h"
#include "text.h"

#define FILTER_ROOM 1100 /* the longest filter, "$share/..." included */

/* One line of a list. */
struct line {
	char *key; /* malloc'ed; lists are in its order */
	json_t *json;
};

/* What the lines have to fit; empty slices fit all. */
struct want {
	struct edged_slice client;  /* its id begins with this */
	struct edged_slice user;    /* is this */
	struct edged_slice address; /* begins with this */
	struct edged_slice topic;   /* a subscription matches this topic */
	struct edged_slice filter;  /* of the topic of a retained message */
	int connected;              /* 0, 1, or -1: either */
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
	struct want want;
	char *cursor;
	char texts[]; /* of want and cursor */
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

static bool begins(struct edged_slice text, struct edged_slice with)
{
	return text.len >= with.len && (with.len == 0 || memcmp(text.ptr, with.ptr, with.len) == 0);
}

static bool client_fits(const struct want *want, const struct client *c)
{
	if (!want->user.len && !want->address.len)
		return true;
	return c && !c->inside &&
	       begins(edged_str(c->broker->stream->peer(c->stream)->address), want->address) &&
	       (!want->user.len || edged_slice_eq(auth_user(c), want->user));
}

/* Of a session that fits or not: clientId, connected, user, address. */
static bool session_fits(const struct want *want, const struct session *s)
{
	return begins(session_id(s), want->client) &&
	       (want->connected < 0 || want->connected == (s->client != NULL)) &&
	       client_fits(want, s->client);
}

/* Its text is `text`, "$share/..." included. */
static bool sub_fits(const struct want *want, const struct sub *sub, struct edged_slice text)
{
	if (!want->topic.len)
		return true;
	if (sub->group) {
		size_t head = strlen("$share/") + sub->group->len + 1;
		text = edged_slice(text.ptr + head, text.len - head);
	}
	return filter_matches(text, want->topic);
}

static bool any_sub_fits(const struct want *want, const struct shard *shard, const struct session *s)
{
	char text[FILTER_ROOM];
	if (!want->topic.len)
		return true;
	for (const struct sub *sub = s->target.first; sub; sub = sub->sibling)
		if (sub_fits(want, sub, edged_slice(text, subs_text(&shard->subs, sub, text, sizeof(text)))))
			return true;
	return false;
}

static void add_session(
        struct page *page, const struct session *s, json_t *(*describe)(const struct session *session))
{
	char *key = strndup(s->id, s->id_len);
	int64_t place = key ? find_place(page, key) : 0;
	if (place < 0)
		free(key);
	else
		insert(page, place, key, key ? describe(s) : NULL);
}

static bool is_client(const struct session *s)
{
	return s->client && !s->client->inside;
}

static void each_session(struct page *page, struct shard *shard, bool clients,
        json_t *(*describe)(const struct session *session))
{
	for (size_t i = 0; i < shard->sessions.size; i++)
		for (const struct session *s = shard->sessions.buckets[i]; s; s = s->chain)
			if ((!clients || is_client(s)) && session_fits(&page->want, s) &&
			        any_sub_fits(&page->want, shard, s))
				add_session(page, s, describe);
}

static const char *version_name(uint8_t version)
{
	return version == MQTT_5 ? "5.0" : version == MQTT_3_1_1 ? "3.1.1" : "3.1";
}

static json_t *client_json(const struct session *s)
{
	const struct client *c = s->client;
	const struct edged_peer *peer = c->broker->stream->peer(c->stream);
	json_t *json =
	        json_pack("{s:o, s:s, s:s, s:s, s:b, s:b, s:i, s:i}", "clientId", text_json(session_id(s)),
	                "address", peer->address, "listener", peer->listener ? peer->listener : "", "version",
	                version_name(c->version), "tls", peer->tls, "websocket", peer->websocket, "keepAlive",
	                c->keep_alive, "subscriptions", (int)s->target.count);
	if (json && auth_user(c).len)
		(void)json_object_set_new(json, "user", text_json(auth_user(c)));
	return json;
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
	each_session(page, shard, true, client_json);
}

static void collect_sessions(struct page *page, struct shard *shard)
{
	each_session(page, shard, false, session_json);
}

/* Key: client id, line feed, filter. */
static void collect_sub(
        struct page *page, const struct shard *shard, const struct session *s, const struct sub *sub)
{
	char text[FILTER_ROOM];
	size_t n = subs_text(&shard->subs, sub, text, sizeof(text));
	if (!sub_fits(&page->want, sub, edged_slice(text, n)))
		return;
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
			for (const struct sub *sub = s->target.first; sub && session_fits(&page->want, s);
			        sub = sub->sibling)
				collect_sub(page, shard, s, sub);
}

static int collect_message(void *arg, struct message *m)
{
	struct page *page = arg;
	struct edged_slice topic = message_topic(m);
	char *key = message_over(m) ? NULL : strndup(topic.ptr, topic.len);
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
	if (shard->index == 0 && page->want.filter.len)
		retained_match(&shard->retained, page->want.filter, collect_message, page);
	else if (shard->index == 0)
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

/* Copies the text of *slice to `at`, with a NUL behind it. */
static char *move_text(char *at, struct edged_slice *slice)
{
	if (slice->len)
		memcpy(at, slice->ptr, slice->len);
	at[slice->len] = '\0';
	slice->ptr = at;
	return at + slice->len + 1;
}

static struct page *page_new(const struct want *want, struct edged_slice cursor, size_t limit)
{
	size_t room = want->client.len + want->user.len + want->address.len + want->topic.len +
	              want->filter.len + cursor.len + 6;
	struct page *page = calloc(1, sizeof(*page) + room);
	if (!page)
		return NULL;
	page->lines = calloc(limit, sizeof(*page->lines));
	if (!page->lines) {
		free(page);
		return NULL;
	}
	page->limit = limit;
	page->want = *want;
	struct edged_slice *texts[] = { &page->want.client, &page->want.user, &page->want.address,
		&page->want.topic, &page->want.filter, &cursor };
	char *at = page->texts;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		at = move_text(at, texts[i]);
	page->cursor = (char *)(uintptr_t)cursor.ptr;
	return page;
}

static int start(struct broker *b, edged_handle request, struct page *page,
        void (*collect)(struct page *page, struct shard *shard),
        int (*answer_fn)(struct page *page, bool more))
{
	if (!page)
		return -ENOMEM;
	page->broker = b;
	page->request = request;
	page->collect = collect;
	page->answer = answer_fn;
	if (b->shard_count > 1) {
		visit(page);
		return 0;
	}
	collect(page, b->shards[0]);
	finish(page);
	return 0;
}

/* NULL, or what is wrong. */
static const char *read_want(const struct broker *b, edged_handle request, struct want *ret)
{
	const struct edged_http_1 *http = b->http;
	struct filter filter;
	struct edged_slice connected = http->query(b->host, request, "connected");
	*ret = (struct want){
		.client = http->query(b->host, request, "clientId"),
		.user = http->query(b->host, request, "user"),
		.address = http->query(b->host, request, "address"),
		.topic = http->query(b->host, request, "topic"),
		.filter = http->query(b->host, request, "filter"),
		.connected = !connected.ptr ? -1 : edged_slice_is(connected, "true"),
	};
	if (connected.ptr && !ret->connected && !edged_slice_is(connected, "false"))
		return "The query parameter connected is true or false.";
	if (ret->topic.ptr && !topic_valid(ret->topic, &b->limits.topic))
		return "The query parameter topic is a topic name, without wildcards.";
	if (ret->filter.ptr && (!filter_parse(ret->filter, &b->limits.topic, &filter) || filter.group.len))
		return "The query parameter filter is an MQTT topic filter, such as sensors/%23 for "
		       "sensors/#.";
	return NULL;
}

static int list(void *self, edged_handle request, void (*collect)(struct page *page, struct shard *shard))
{
	struct broker *b = self;
	struct want want;
	uint64_t limit;
	if (!rest_number(b, request, "limit", 100, 1000, &limit))
		return 0;
	const char *wrong = read_want(b, request, &want);
	if (wrong)
		return b->http->problem(
		        b->host, request, 400, "bad-parameter", "A query parameter is not valid", wrong);
	struct edged_slice cursor = b->http->query(b->host, request, "cursor");
	return start(b, request, page_new(&want, cursor, (size_t)limit), collect, answer);
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
	static const struct want all = { .connected = -1 };
	struct edged_slice cursor = b->http->query(b->host, request, "nextToken");
	return start(b, request, page_new(&all, cursor, (size_t)limit), collect_retained, answer_aws);
}

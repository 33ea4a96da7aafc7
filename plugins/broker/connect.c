/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "auth.h"
#include "connect.h"
#include "lifecycle.h"
#include "inside.h"
#include "persist.h"
#include "pressure.h"
#include "queue.h"
#include "reason.h"
#include "receive.h"
#include "rights.h"
#include "shard.h"
#include "stored.h"
#include "strict.h"
#include "subscribe.h"
#include "trace_packet.h"

/* --- refusing ---------------------------------------------------------------------------------------------------------- */

/* It is not let in, and nothing is said. */
static int hang_up(struct client *c, const struct connect *p, uint8_t reason)
{
	count_one(c->broker->figures.refused);
	if (tracing(c->broker))
		trace_refused(c, p->client_id, reason);
	if (reason == REASON_NOT_AUTHORIZED || reason == REASON_PASSWORD)
		lifecycle_refused(c, p->client_id);
	return reason;
}

/* CONNACK with a reason, then the end. MQTT 3 knows no answer to a packet that makes no sense. */
static int refuse(struct client *c, const struct connect *p, uint8_t reason)
{
	uint8_t version = p->version;
	(void)hang_up(c, p, reason);
	bool known = reason == REASON_VERSION || reason == REASON_CLIENT_ID ||
	             reason == REASON_NOT_AUTHORIZED || reason == REASON_UNAVAILABLE ||
	             reason == REASON_QUOTA || reason == REASON_PASSWORD || reason == REASON_RATE;
	if (version >= MQTT_5 || known) {
		uint8_t bytes[128];
		struct writer w = writer(bytes, sizeof(bytes));
		struct connack connack = { .reason = reason };
		if (p->props.request_problem && p->props.max_packet >= sizeof(bytes))
			connack.text = reason_text(reason);
		write_connack(&w, version >= MQTT_5 ? MQTT_5 : version, &connack);
		if ((size_t)(w.at - bytes) <= p->props.max_packet)
			client_write(c, bytes, (size_t)(w.at - bytes));
	}
	return reason;
}

static uint8_t judge_will(const struct client *c, const struct connect *p)
{
	if (!p->will)
		return 0;
	if (!topic_valid(p->will_topic, &c->broker->limits.topic))
		return REASON_TOPIC;
	return topic_open_to_clients(p->will_topic) ? 0 : REASON_NOT_AUTHORIZED;
}

static uint8_t judge(const struct client *c, const struct connect *p)
{
	const struct broker *broker = c->broker;
	if (p->client_id.len > broker->limits.client_id || inside_id(p->client_id))
		return REASON_CLIENT_ID;
	if (p->client_id.len == 0 && (p->version == MQTT_3_1 || (p->version == MQTT_3_1_1 && !p->clean)))
		return REASON_CLIENT_ID;
	if (__atomic_load_n(&broker->clients, __ATOMIC_RELAXED) >= broker->limits.clients)
		return REASON_QUOTA;
	pressure_update(c->broker);
	if (pressure_of(broker) >= PRESSURE_CONNECT) {
		pressure_count(c->broker, PRESSURE_CONNECT);
		return REASON_QUOTA;
	}
	return judge_will(c, p);
}

/* --- the session --------------------------------------------------------------------------------------------------------- */

/* Whoever is connected with this id goes; its will follows the rules of a lost connection. */
static void take_over(struct shard *shard, struct edged_slice id)
{
	struct session *s = session_find(shard, id);
	if (!s || !s->client)
		return;
	count_one(shard->broker->figures.taken_over);
	client_part(s->client, REASON_TAKEN_OVER);
	session_detach(s, true);
}

static struct message *make_will(const struct connect *p, struct edged_slice id, const struct author *author)
{
	struct message_parts parts = {
		.topic = p->will_topic,
		.payload = p->will_payload,
		.publisher = id,
		.props = p->will_props.raw,
		.expires = (uint64_t)p->will_props.message_expiry * 1000, /* from when it is published */
		.qos = p->will_qos,
		.retain = p->will_retain,
		.will = true,
		.author = *author,
	};
	return message_new(&parts);
}

static uint32_t session_expiry(const struct client *c, const struct connect *p)
{
	uint32_t limit = c->broker->limits.session_expiry ? c->broker->limits.session_expiry : EXPIRY_NEVER;
	if (p->version != MQTT_5)
		return p->clean ? 0 : limit;
	return p->props.session_expiry < limit ? p->props.session_expiry : limit;
}

/* Finds or makes the session. *ret_wait: an older durable one was discarded, which must not come back after a crash. */
static struct session *get_session(struct client *c, const struct connect *p, struct edged_slice id,
        const struct standing *standing, bool *ret_wait)
{
	struct shard *shard = c->shard;
	struct session *s = session_find(shard, id);
	/* What was kept for one is not given to another who comes with the same id: that begins anew. */
	bool foreign = s && !edged_slice_eq(standing_principal(s->standing), standing_principal(standing));
	if (foreign)
		count_one(c->broker->figures.foreign);
	/* To AWS IoT, sessions of MQTT 3 and of MQTT 5 are two things. */
	bool other = s && c->broker->strict && (s->version == MQTT_5) != (p->version == MQTT_5);
	if (s && (p->clean || foreign || other)) {
		*ret_wait = s->row != 0;
		session_end(s);
		s = NULL;
	}
	/* Who hears that there is no session has thrown away what belongs to it. */
	if (!s && removals_session_left(shard, id))
		*ret_wait = true;
	/* One that ended when the disk was full may still be there. */
	if (!s && p->clean && removals_in_doubt(&shard->removals) && persist_session_row_gone(shard, id) == 0)
		*ret_wait = true;
	c->present = s != NULL;
	if (!s && __atomic_load_n(c->broker->figures.sessions, __ATOMIC_RELAXED) <
	                  (int64_t)c->broker->limits.sessions)
		s = session_new(shard, id);
	return s;
}

/* Makes it durable, or notes what has changed. */
static int save_session(struct session *s, uint32_t expiry)
{
	bool changed = s->expiry != expiry || (s->row && expiry != EXPIRY_NEVER);
	s->expiry = expiry;
	if (!s->row && expiry) {
		s->row = broker_row(s->shard->broker);
		__atomic_fetch_add(&s->shard->durable, 1, __ATOMIC_RELAXED);
		changed = true;
	}
	if (!s->row || !changed)
		return 0;
	int r = persist_session(s);
	return r ? r : turn_wrote(s->shard);
}

/* Is it the bridge of another node, which wants to know whom it has met? */
static bool is_bridge(const struct connect *p)
{
	struct reader r = reader(p->props.raw.ptr, p->props.raw.len);
	struct prop prop;
	while (p->props.users && prop_next(&r, &prop))
		if (prop.id == PROP_USER && edged_slice_is(prop.bytes, NODE_PROPERTY))
			return true;
	return false;
}

static void tune(struct client *c, const struct connect *p)
{
	const struct limits *limits = &c->broker->limits;
	c->max_packet = p->props.max_packet;
	c->told.max = p->props.alias_max < limits->aliases ? p->props.alias_max : (uint16_t)limits->aliases;
	c->terse = !p->props.request_problem;
	c->tell_node = is_bridge(p);
	c->tell_response = p->props.request_response;
	c->window =
	        p->props.receive_max < limits->inflight ? p->props.receive_max : (uint16_t)limits->inflight;
	c->keep_alive = c->broker->strict ? strict_keep_alive(p->keep_alive) : p->keep_alive;
	c->since = wall_ms();
	if (p->version == MQTT_5 && limits->keep_alive &&
	        (!c->keep_alive || c->keep_alive > limits->keep_alive))
		c->keep_alive = limits->keep_alive;
	c->tell_keep_alive = p->version == MQTT_5 && c->keep_alive != p->keep_alive;
	c->broker->stream->set_read_limit(c->stream, limits->packet + 5);
	c->broker->stream->deadline(c->stream, 0);
}

/* When the connection ends at the latest. */
static uint32_t lifetime(const struct client *c)
{
	uint32_t most = c->broker->limits.websocket;
	bool limited = most && c->broker->stream->peer(c->stream)->websocket;
	return limited ? shard_now(c->shard) + most : EXPIRY_NEVER;
}

static void join(struct client *c, struct session *s)
{
	c->session = s;
	s->client = c;
	s->epoch++;
	s->unacked = 0;
	shared_present(s, true);
	presence_set(s, true);
	s->version = c->version;
	s->ends = lifetime(c);
	stored_begin(s);
	shard_alarm_cancel(c->shard, s);
	session_watch(s);
}

/* May the client come in with this id and this will? 0, or a reason. */
static uint8_t judge_rights(struct client *c, const struct connect *p, struct edged_slice id,
        struct standing *standing, struct author *ret_author)
{
	struct broker *b = c->broker;
	if (!standing || !standing->who)
		return 0;
	*ret_author = (struct author){ b->auth, standing->who, edged_auth_generation(b->generation) };
	int r = b->auth->allow(standing->who, EDGED_CONNECT, id);
	if (r > 0 && p->will)
		r = b->auth->allow(standing->who, EDGED_PUBLISH, p->will_topic);
	if (r > 0 && p->will && p->will_retain)
		r = b->auth->allow(standing->who, EDGED_RETAIN_PUBLISH, p->will_topic);
	if (r > 0)
		return 0;
	count_one(b->figures.denied[DENIED_CONNECT]);
	return r ? REASON_UNAVAILABLE : REASON_NOT_AUTHORIZED;
}

/* From now on it is this one's; what it had subscribed to is judged by the rights of now. */
static void take_standing(struct session *s, struct standing *standing)
{
	standing_free(s->shard->broker, s->standing);
	s->standing = standing;
	shared_standing(s);
	if (standing && standing->who)
		subscriptions_judge(s);
}

static int attach(struct client *c, const struct connect *p, struct edged_slice id)
{
	bool wait = false;
	struct author author = { 0 };
	struct standing *standing;
	if (auth_standing(c, &standing))
		return refuse(c, p, REASON_UNAVAILABLE);
	uint8_t denied = judge_rights(c, p, id, standing, &author);
	struct session *s = NULL;
	if (!denied) {
		take_over(c->shard, id);
		s = get_session(c, p, id, standing, &wait);
	}
	if (!s) {
		standing_free(c->broker, standing);
		return refuse(c, p, denied ? denied : REASON_QUOTA);
	}
	take_standing(s, standing);
	message_unref(s->will);
	s->will = p->will ? make_will(p, id, &author) : NULL;
	s->will_delay = p->will_props.will_delay;
	c->version = p->version;
	c->bridge = p->bridge;
	uint32_t expiry = session_expiry(c, p);
	c->tell_expiry = p->version == MQTT_5 && expiry != p->props.session_expiry;
	tune(c, p);
	join(c, s);
	edged_metric_add(c->broker->figures.connections, 1);
	__atomic_fetch_add(&c->broker->clients, 1, __ATOMIC_RELAXED);
	count_one(c->broker->figures.connects);
	c->muted = true;
	struct todo todo = { .kind = TODO_CONNACK, .session = s, .epoch = s->epoch };
	if (save_session(s, expiry) || (p->will && !s->will) ||
	        (wait && (turn_wrote(c->shard) || turn_todo(c->shard, &todo))))
		client_accepted(c, -ENOMEM);
	else if (wait)
		c->broker->stream->pause(c->stream);
	else
		client_accepted(c, 0);
	return 0;
}

/* Where answers may be sent to, for a client that asked: topics below "responses/ITS-ID". */
static struct edged_slice response_info(const struct session *s, char *out)
{
	struct edged_slice id = session_id(s);
	if (memchr(id.ptr, '+', id.len) || memchr(id.ptr, '#', id.len))
		return edged_slice(NULL, 0);
	memcpy(out, "responses/", 10);
	memcpy(out + 10, id.ptr, id.len);
	return edged_slice(out, 10 + id.len);
}

void client_accepted(struct client *c, int result)
{
	char response[1024];
	const struct limits *limits = &c->broker->limits;
	struct connack connack = {
		.present = c->present && !result,
		.reason = result ? REASON_UNAVAILABLE : 0,
		.limits = !result,
		.session_expiry = c->session->expiry,
		.has_session_expiry = c->tell_expiry && !result,
		.receive_max = (uint16_t)limits->receive,
		.alias_max = (uint16_t)limits->aliases,
		.max_packet = (uint32_t)limits->packet,
		.shared = true,
		.strict = c->broker->strict,
		.assigned_id = c->assigned ? session_id(c->session) : edged_slice(NULL, 0),
		.keep_alive = c->keep_alive,
		.has_keep_alive = c->tell_keep_alive && !result,
		.auth_data = auth_proof(c),
	};
	if (c->tell_node && EDGED_HAS(c->broker->host->v1, node_id))
		connack.node = edged_str(c->broker->host->v1->node_id(c->broker->host));
	uint8_t bytes[CONNACK_MAX];
	struct writer w = writer(bytes, sizeof(bytes));
	if (c->tell_response && c->session->id_len < sizeof(response) - 10)
		connack.response_info = response_info(c->session, response);
	if (connack.auth_data.len)
		connack.auth_method = edged_str(SCRAM_METHOD);
	write_connack(&w, c->version, &connack);
	if ((size_t)(w.at - bytes) > c->max_packet) {
		c->muted = true; /* nothing that we could say is small enough */
		client_close(c, REASON_TOO_LARGE);
		return;
	}
	client_write(c, bytes, (size_t)(w.at - bytes));
	if (result) {
		client_close(c, REASON_UNAVAILABLE);
		return;
	}
	c->muted = false;
	client_read_on(c);
	lifecycle_connected(c);
	session_pump(c->session);
}

/* --- the packet ---------------------------------------------------------------------------------------------------------- */

/* An id for a client that brought none, one that hashes to this shard. */
static struct edged_slice assign(const struct client *c, char *out, size_t size)
{
	struct edged_slice id;
	do {
		uint64_t random[2];
		if (getrandom(random, sizeof(random), 0) != sizeof(random))
			return edged_slice(NULL, 0);
		int n = snprintf(out, size, "auto-%016llx%016llx", (unsigned long long)random[0],
		        (unsigned long long)random[1]);
		id = edged_slice(out, (size_t)n);
	} while (shard_of(c->broker, id) != c->shard->index);
	return id;
}

/* authenticated: an exchange of AUTH packets has said who it is. */
static int process(struct client *c, const struct frame *frame, bool authenticated)
{
	struct connect p;
	int r = parse_connect(frame, c->broker->limits.user_properties, &p);
	if (!r && c->broker->strict)
		r = strict_connect(&p);
	if (!r)
		r = judge(c, &p);
	c->named = !r && p.has_user;
	if (!r && !authenticated)
		r = auth_judge(c, &p, frame);
	if (!r)
		r = rate_begin(c, auth_user(c));
	if (r == AUTH_LATER)
		return 0;
	if (r)
		return refuse(c, &p, (uint8_t)r);
	char bytes[48];
	c->assigned = p.client_id.len == 0;
	struct edged_slice id = c->assigned ? assign(c, bytes, sizeof(bytes)) : p.client_id;
	return id.len ? attach(c, &p, id) : refuse(c, &p, REASON_UNAVAILABLE);
}

static void drop_connect(struct client *c)
{
	free(c->connect);
	c->connect = NULL;
}

/* On the loop of the session. */
static void arrived(void *conn)
{
	struct client *c = conn;
	client_enter(c, c->broker->shards[c->broker->loop->loop_self(c->broker->host)]);
	c->heard = shard_now(c->shard);
	struct frame f;
	int r = frame_read(c->connect, c->connect_len, c->broker->limits.packet, &f);
	if (!r)
		r = process(c, &f, false);
	if (!auth_pending(c) && !auth_waiting(c))
		drop_connect(c);
	if (r)
		client_close(c, (uint8_t)r);
}

void client_go_on(struct client *c)
{
	struct frame f;
	int r = frame_read(c->connect, c->connect_len, c->broker->limits.packet, &f);
	if (!r)
		r = process(c, &f, false);
	if (!auth_waiting(c))
		drop_connect(c);
	if (r)
		client_close(c, (uint8_t)r);
}

int client_keep_connect(struct client *c, const struct frame *frame)
{
	if (c->connect) /* it has moved */
		return 0;
	c->connect = malloc(frame->size);
	if (!c->connect)
		return -ENOMEM;
	memcpy(c->connect, frame->body + frame->len - frame->size, frame->size);
	c->connect_len = frame->size;
	return 0;
}

int client_authenticate(struct client *c, const struct frame *frame)
{
	struct frame f;
	struct connect p;
	(void)frame_read(c->connect, c->connect_len, c->broker->limits.packet, &f);
	(void)parse_connect(&f, c->broker->limits.user_properties, &p);
	int r = auth_step(c, frame);
	r = r ? refuse(c, &p, (uint8_t)r) : process(c, &f, true);
	drop_connect(c);
	return r;
}

static int move(struct client *c, const struct frame *frame, unsigned loop)
{
	if (client_keep_connect(c, frame))
		return REASON_UNAVAILABLE;
	if (c->broker->stream->move(c->stream, loop, arrived)) {
		drop_connect(c);
		return REASON_UNAVAILABLE;
	}
	client_leave(c); /* until it arrives */
	return 0;
}

int client_connect(struct client *c, const struct frame *frame)
{
	struct connect p;
	int r = parse_connect(frame, c->broker->limits.user_properties, &p);
	if (!r)
		r = rate_connect(c, p.client_id);
	if (r == REASON_QUOTA && p.version < MQTT_5) /* as AWS IoT does when an id comes too often */
		return hang_up(c, &p, REASON_QUOTA);
	if (r)
		return refuse(c, &p, (uint8_t)r);
	if (p.client_id.len) {
		unsigned loop = shard_of(c->broker, p.client_id);
		if (loop != c->shard->index)
			return move(c, frame, loop);
	}
	return process(c, frame, false);
}

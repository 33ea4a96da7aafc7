/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin: its tables, and its life. */
#include "broker.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "channel.h"
#include "client.h"
#include "credentials.h"
#include "dataplane.h"
#include "home.h"
#include "inside_open.h"
#include "load.h"
#include "pubsub.h"
#include "rest.h"
#include "rights.h"
#include "shard.h"
#include "sse.h"
#include "strict.h"
#include "sys.h"
#include "trace.h"

uint64_t wall_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- configuration -------------------------------------------------------------------------------------------------------- */

#define DAY (24 * 3600 * INT64_C(1000))

static const struct edged_setting settings[] = {
	{ "connect_timeout", EDGED_TYPE_DURATION, "\"5s\"", 100, 60000, "ms", NULL,
	        "how long a client may take from connecting to the end of its CONNECT, TLS handshake and "
	        "all" },
	{ "session_expiry", EDGED_TYPE_DURATION, "\"7d\"", 0, 365 * DAY, "ms", NULL,
	        "how long a session is kept while its client is away, at most; 0 means for ever" },
	{ "keep_alive", EDGED_TYPE_INT, "0", 0, 65535, "s", NULL,
	        "the longest keep-alive that MQTT 5 clients are allowed; 0 means any" },
	{ "websocket_lifetime", EDGED_TYPE_DURATION, "\"0s\"", 0, 365 * DAY, "ms", NULL,
	        "how long a connection over WebSocket may last; 0 means for ever" },
	{ "sys_interval", EDGED_TYPE_DURATION, "\"10s\"", 1000, DAY, "ms", NULL,
	        "how often $SYS topics are told, while somebody subscribes to them" },
	{ "password_file", EDGED_TYPE_STRING, "\"\"", 0, 4095, NULL, NULL,
	        "file of users who may log in, NAME:HASH in each line, as mosquitto_passwd writes it; empty "
	        "means none" },
	{ "jwt.key_file", EDGED_TYPE_STRING, "\"\"", 0, 4095, NULL, NULL,
	        "file with the key that JSON Web Tokens are checked with, which then are taken as passwords: "
	        "a "
	        "public key in PEM, or a secret of 32 bytes or more; empty means that no tokens are taken" },
	{ "jwt.issuer", EDGED_TYPE_STRING, "\"\"", 0, 255, NULL, NULL,
	        "who must have issued a token (iss); empty means anybody with the key" },
	{ "jwt.audience", EDGED_TYPE_STRING, "\"\"", 0, 255, NULL, NULL,
	        "for whom a token must be (aud); empty means anybody" },
	{ "strict", EDGED_TYPE_CHOICE, "\"no\"", 0, 0, NULL, "no|aws",
	        "take only what AWS IoT Core takes, so that what works here works there; see the broker's "
	        "README" },
	{ "limits.packet", EDGED_TYPE_SIZE, "\"256k\"", 1024, 16777216, "bytes", NULL, "the largest packet" },
	{ "limits.topic_length", EDGED_TYPE_INT, "1000", 16, 1000, "bytes", NULL,
	        "the longest topic or filter" },
	{ "limits.topic_levels", EDGED_TYPE_INT, "200", 4, 256, "levels", NULL,
	        "the deepest topic or filter" },
	{ "limits.client_id", EDGED_TYPE_INT, "256", 23, 1000, "bytes", NULL, "the longest client id" },
	{ "limits.clients", EDGED_TYPE_INT, "10000", 1, 1000000, "clients", NULL,
	        "clients connected at once" },
	{ "limits.sessions", EDGED_TYPE_INT, "20000", 1, 1000000, "sessions", NULL,
	        "sessions, of clients connected or away" },
	{ "limits.plugin_sessions", EDGED_TYPE_INT, "1000", 1, 10000, "sessions", NULL,
	        "sessions that plugins have open, such as one for each other node and each bridge" },
	{ "limits.subscriptions", EDGED_TYPE_INT, "200", 1, MAX_SUBSCRIPTIONS, "subscriptions", NULL,
	        "subscriptions of one client" },
	{ "limits.user_properties", EDGED_TYPE_INT, "32", 0, 1000, "properties", NULL,
	        "user properties in one packet" },
	{ "limits.inflight", EDGED_TYPE_INT, "100", 1, 65535, "messages", NULL,
	        "messages on the way to one client that it has not acknowledged" },
	{ "limits.receive", EDGED_TYPE_INT, "100", 1, 65535, "messages", NULL,
	        "messages of one MQTT 5 client that are not acknowledged yet (its receive maximum)" },
	{ "limits.receive_old", EDGED_TYPE_INT, "1000", 10, 60000, "messages", NULL,
	        "the same for older clients, which cannot be told: beyond it they are not read until there "
	        "is room, or closed" },
	{ "limits.aliases", EDGED_TYPE_INT, "10", 0, 1000, "aliases", NULL,
	        "topic aliases of one client, and as many towards it" },
	{ "limits.queue_messages", EDGED_TYPE_INT, "1000", 0, 1000000, "messages", NULL,
	        "messages that wait for one client; new ones are dropped when it is full" },
	{ "limits.queue_bytes", EDGED_TYPE_SIZE, "\"1M\"", 1024, 1073741824, "bytes", NULL,
	        "bytes that wait for one client" },
	{ "limits.memory", EDGED_TYPE_SIZE, "\"128M\"", 1048576, 17179869184, "bytes", NULL,
	        "memory of the broker: messages that wait, retained messages, clients; near it load is shed, "
	        "see "
	        "its README" },
	{ "limits.retained_messages", EDGED_TYPE_INT, "100000", 0, 10000000, "messages", NULL,
	        "retained messages" },
	{ "limits.retained_bytes", EDGED_TYPE_SIZE, "\"64M\"", 0, 17179869184, "bytes", NULL,
	        "bytes of retained messages" },
	{ "limits.streams", EDGED_TYPE_INT, "32", 0, 1000, "streams", NULL,
	        "open answers of /pubsub/v1/subscribe" },
	{ "rates.messages", EDGED_TYPE_INT, "10000", 0, 100000000, "messages", NULL,
	        "messages a second of one client; it is not read while it is faster; 0 means any. Like all "
	        "rates "
	        "not for clients of this machine" },
	{ "rates.bytes", EDGED_TYPE_SIZE, "\"16M\"", 0, 17179869184, "bytes", NULL,
	        "bytes a second of one client, likewise" },
	{ "rates.user_messages", EDGED_TYPE_INT, "50000", 0, 100000000, "messages", NULL,
	        "messages a second of all clients that logged in with one name" },
	{ "rates.user_bytes", EDGED_TYPE_SIZE, "\"64M\"", 0, 17179869184, "bytes", NULL,
	        "bytes a second of all clients that logged in with one name" },
	{ "rates.address_messages", EDGED_TYPE_INT, "100000", 0, 100000000, "messages", NULL,
	        "messages a second of all clients of one address (IPv6: one /64 network)" },
	{ "rates.address_bytes", EDGED_TYPE_SIZE, "\"128M\"", 0, 17179869184, "bytes", NULL,
	        "bytes a second of all clients of one address, likewise" },
	{ "rates.connects", EDGED_TYPE_INT, "25", 0, 1000000, "attempts", NULL,
	        "CONNECTs a second of one address (IPv6: one /64 network), refused beyond (0x9F)" },
	{ "rates.client_connects", EDGED_TYPE_INT, "0", 0, 1000000, "attempts", NULL,
	        "CONNECTs a second with one client id, refused beyond (0x97), also those of this machine; 0 "
	        "means any" },
	{ "rates.stored_messages", EDGED_TYPE_INT, "0", 0, 65535, "messages", NULL,
	        "messages a second that a client which is back is sent of those that waited for it; new ones "
	        "do not wait behind them; 0 means any, and all in order" },
	{ "rates.patience", EDGED_TYPE_DURATION, "\"10m\"", 0, DAY, "ms", NULL,
	        "for how long a client may be faster than its rate without a break, before it is "
	        "disconnected (0x96, "
	        "0x97); 0 means for ever" },
	{ .name = NULL },
};

static int64_t setting(const struct broker *b, const char *name)
{
	return b->config->integer(b->host, name);
}

static struct rate_limit rate_limit(const struct broker *b, const char *messages, const char *bytes)
{
	return (struct rate_limit){ (uint64_t)setting(b, messages), (uint64_t)setting(b, bytes) };
}

static void configure(struct broker *b)
{
	b->limits = (struct limits){
		.topic = { (size_t)setting(b, "limits.topic_length"),
		        (unsigned)setting(b, "limits.topic_levels") },
		.packet = (size_t)setting(b, "limits.packet"),
		.queue_bytes = (size_t)setting(b, "limits.queue_bytes"),
		.memory = (size_t)setting(b, "limits.memory"),
		.rates = {
			.client = rate_limit(b, "rates.messages", "rates.bytes"),
			.shared = {
				[RATE_USER] = rate_limit(b, "rates.user_messages", "rates.user_bytes"),
				[RATE_ADDRESS] = rate_limit(b, "rates.address_messages", "rates.address_bytes"),
			},
			.connects = {
				[RATE_CONNECTS_ADDRESS] = (uint64_t)setting(b, "rates.connects"),
				[RATE_CONNECTS_ID] = (uint64_t)setting(b, "rates.client_connects"),
			},
			.patience = (uint32_t)((setting(b, "rates.patience") + 999) / 1000),
		},
		.retained_bytes = (size_t)setting(b, "limits.retained_bytes"),
		.client_id = (unsigned)setting(b, "limits.client_id"),
		.subscriptions = (unsigned)setting(b, "limits.subscriptions"),
		.user_properties = (unsigned)setting(b, "limits.user_properties"),
		.inflight = (unsigned)setting(b, "limits.inflight"),
		.receive = (unsigned)setting(b, "limits.receive"),
		.receive_old = (unsigned)setting(b, "limits.receive_old"),
		.queue_messages = (unsigned)setting(b, "limits.queue_messages"),
		.clients = (unsigned)setting(b, "limits.clients"),
		.sessions = (unsigned)setting(b, "limits.sessions"),
		.plugin_sessions = (unsigned)setting(b, "limits.plugin_sessions"),
		.retained_messages = (unsigned)setting(b, "limits.retained_messages"),
		.aliases = (unsigned)setting(b, "limits.aliases"),
		.streams = (unsigned)setting(b, "limits.streams"),
		.sys_ms = (uint64_t)setting(b, "sys_interval"),
		.connect_ms = (uint64_t)setting(b, "connect_timeout"),
		.stored = (unsigned)setting(b, "rates.stored_messages"),
		.session_expiry = (uint32_t)((setting(b, "session_expiry") + 999) / 1000),
		.websocket = (uint32_t)((setting(b, "websocket_lifetime") + 999) / 1000),
		.keep_alive = (uint16_t)setting(b, "keep_alive"),
	};
	b->strict = strcmp(b->config->string(b->host, "strict"), "aws") == 0;
	if (b->strict)
		strict_limits(&b->limits);
}

/* --- figures -------------------------------------------------------------------------------------------------------------- */

static void add_figures(struct broker *b)
{
	static const char dropped[] = "broker_messages_dropped_total",
	                  why[] = "Messages not delivered, by reason",
	                  shed[] = "What was refused, dropped or put off to keep within limits.memory",
	                  exceeded[] = "broker_rates_exceeded_total",
	                  too_fast[] = "Packets beyond a rate, after which their client was not read for a "
	                               "while, by whose rate it was",
	                  denied[] = "broker_denied_total",
	                  no[] = "What clients were not allowed to do, or their messages not any more";
	const struct {
		int64_t **word;
		enum edged_metric_type type;
		const char *name, *labels, *help;
	} rows[] = {
		{ &b->figures.connections, EDGED_GAUGE, "broker_connections", NULL, "Clients connected" },
		{ &b->figures.sessions, EDGED_GAUGE, "broker_sessions", NULL, "Sessions, connected or away" },
		{ &b->figures.subscriptions, EDGED_GAUGE, "broker_subscriptions", NULL, "Subscriptions" },
		{ &b->figures.retained_messages, EDGED_GAUGE, "broker_retained_messages", NULL,
		        "Retained messages" },
		{ &b->figures.retained_bytes, EDGED_GAUGE, "broker_retained_bytes", NULL, "Their bytes" },
		{ &b->figures.queued_bytes, EDGED_GAUGE, "broker_queued_bytes", NULL,
		        "Bytes waiting for clients" },
		{ &b->figures.streams, EDGED_GAUGE, "broker_event_streams", NULL, "Open event streams" },
		{ &b->figures.traces, EDGED_GAUGE, "broker_traces", NULL, "Open traces" },
		{ &b->figures.received[0], EDGED_COUNTER, "broker_messages_received_total", "qos=\"0\"",
		        "Messages published" },
		{ &b->figures.received[1], EDGED_COUNTER, "broker_messages_received_total", "qos=\"1\"",
		        "Messages published" },
		{ &b->figures.received[2], EDGED_COUNTER, "broker_messages_received_total", "qos=\"2\"",
		        "Messages published" },
		{ &b->figures.sent[0], EDGED_COUNTER, "broker_messages_sent_total", "qos=\"0\"",
		        "Messages sent" },
		{ &b->figures.sent[1], EDGED_COUNTER, "broker_messages_sent_total", "qos=\"1\"",
		        "Messages sent" },
		{ &b->figures.sent[2], EDGED_COUNTER, "broker_messages_sent_total", "qos=\"2\"",
		        "Messages sent" },
		{ &b->figures.connects, EDGED_COUNTER, "broker_connects_total", NULL, "Clients accepted" },
		{ &b->figures.refused, EDGED_COUNTER, "broker_connects_refused_total", NULL,
		        "Clients refused" },
		{ &b->figures.taken_over, EDGED_COUNTER, "broker_sessions_taken_over_total", NULL,
		        "Connections ended by a newer one with the same client id" },
		{ &b->figures.malformed, EDGED_COUNTER, "broker_protocol_errors_total", NULL,
		        "Connections ended for a packet against the protocol" },
		{ &b->figures.kept_dead, EDGED_COUNTER, "broker_keep_alive_timeouts_total", NULL,
		        "Connections ended for silence" },
		{ &b->figures.login_failures, EDGED_COUNTER, "broker_login_failures_total", NULL,
		        "Clients that could not prove who they are" },
		{ &b->figures.dropped_slow, EDGED_COUNTER, dropped, "reason=\"slow\"", why },
		{ &b->figures.dropped_queue, EDGED_COUNTER, dropped, "reason=\"queue-full\"", why },
		{ &b->figures.dropped_size, EDGED_COUNTER, dropped, "reason=\"too-large\"", why },
		{ &b->figures.dropped_expired, EDGED_COUNTER, dropped, "reason=\"expired\"", why },
		{ &b->figures.dropped_quota, EDGED_COUNTER, dropped, "reason=\"not-allowed\"", why },
		{ &b->figures.dropped_memory, EDGED_COUNTER, dropped, "reason=\"no-memory\"", why },
		{ &b->figures.rate_refused[RATE_CONNECTS_ADDRESS], EDGED_COUNTER,
		        "broker_connects_too_fast_total", NULL,
		        "Clients refused because too many came from their address at once" },
		{ &b->figures.rate_refused[RATE_CONNECTS_ID], EDGED_COUNTER,
		        "broker_client_connects_too_fast_total", NULL,
		        "Clients refused because they came again too soon with the same client id" },
		{ &b->figures.rate_ended, EDGED_COUNTER, "broker_rate_disconnects_total", NULL,
		        "Clients disconnected for being too fast for too long" },
		{ &b->figures.rate_client, EDGED_COUNTER, exceeded, "of=\"client\"", too_fast },
		{ &b->figures.rate_shared[RATE_USER], EDGED_COUNTER, exceeded, "of=\"user\"", too_fast },
		{ &b->figures.rate_shared[RATE_ADDRESS], EDGED_COUNTER, exceeded, "of=\"address\"",
		        too_fast },
		{ &b->figures.paused, EDGED_GAUGE, "broker_clients_paused", NULL,
		        "Clients that are not read for a while" },
		{ &b->figures.pauses, EDGED_COUNTER, "broker_pauses_total", NULL,
		        "Times that a client was not read for a while" },
		{ &b->figures.memory, EDGED_GAUGE, "broker_memory_bytes", NULL,
		        "Memory counted when the shedding of load last changed its step" },
		{ &b->figures.pressure, EDGED_GAUGE, "broker_shedding_step", NULL,
		        "The step of shedding load that is reached; 0 is none" },
		{ &b->figures.shed[PRESSURE_CONNECT - 1], EDGED_COUNTER, "broker_shed_total",
		        "step=\"connect\"", shed },
		{ &b->figures.shed[PRESSURE_SLOW - 1], EDGED_COUNTER, "broker_shed_total", "step=\"slow\"",
		        shed },
		{ &b->figures.shed[PRESSURE_KEEP - 1], EDGED_COUNTER, "broker_shed_total", "step=\"keep\"",
		        shed },
		{ &b->figures.shed[PRESSURE_READ - 1], EDGED_COUNTER, "broker_shed_total", "step=\"read\"",
		        shed },
		{ &b->figures.shed[PRESSURE_AWAY - 1], EDGED_COUNTER, "broker_shed_total", "step=\"away\"",
		        shed },
		{ &b->figures.denied[DENIED_CONNECT], EDGED_COUNTER, denied, "action=\"connect\"", no },
		{ &b->figures.denied[DENIED_PUBLISH], EDGED_COUNTER, denied, "action=\"publish\"", no },
		{ &b->figures.denied[DENIED_SUBSCRIBE], EDGED_COUNTER, denied, "action=\"subscribe\"", no },
		{ &b->figures.denied[DENIED_RECEIVE], EDGED_COUNTER, denied, "action=\"receive\"", no },
		{ &b->figures.denied[DENIED_AUTHOR], EDGED_COUNTER, denied, "action=\"author\"", no },
		{ &b->figures.foreign, EDGED_COUNTER, "broker_sessions_discarded_total", NULL,
		        "Sessions that ended because somebody else came with their client id" },
		{ &b->figures.store_failures, EDGED_COUNTER, "broker_store_failures_total", NULL,
		        "Writes to the store that failed" },
		{ &b->figures.compactions, EDGED_COUNTER, "broker_log_compactions_total", NULL,
		        "Times that the log of messages was written anew, without what is over" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		*rows[i].word =
		        b->metrics->figure(b->host, rows[i].type, rows[i].name, rows[i].labels, rows[i].help);
}

/* --- life ----------------------------------------------------------------------------------------------------------------- */

static void destroy(void *self)
{
	struct broker *b = self;
	load_free(b->load);
	sse_free(b->sse);
	dataplane_free(b->dataplane);
	trace_free(b->trace);
	sys_free(b->sys);
	for (unsigned i = 0; b->shards && i < b->shard_count; i++)
		if (i || !b->pubsub)
			shard_free(b->shards[i]);
	struct shard *first = b->pubsub ? b->shards[0] : NULL;
	pubsub_free(b->pubsub); /* its subscriptions are in shard 0 */
	shard_free(first);
	insides_free(b->insides);
	channels_free(b->channels);
	free(b->shards);
	shared_fini(&b->shared);
	presence_fini(&b->presence);
	users_fini(&b->users);
	rates_fini(&b->rates);
	home_unref(b->home);
	penalties_fini(&b->penalties);
	free(b);
}

static int make_parts(struct broker *b)
{
	b->shards = calloc(b->shard_count, sizeof(struct shard *));
	int r = b->shards ? shared_init(&b->shared, b->key) : -ENOMEM;
	b->shared.subs.strict = b->strict;
	for (unsigned i = 0; i < b->shard_count && !r; i++)
		r = shard_new(b, i, &b->shards[i]);
	if (!r)
		r = pubsub_new(b, &b->pubsub);
	if (!r)
		r = insides_new(b, &b->insides);
	if (!r)
		r = channels_new(&b->channels);
	if (!r)
		r = sse_new(b, &b->sse);
	if (!r)
		r = dataplane_new(b, &b->dataplane);
	if (!r)
		r = sys_new(b, &b->sys);
	if (!r)
		r = trace_new(b, &b->trace);
	return r;
}

static int create(struct edged_host *host, void **ret_self)
{
	struct broker *b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->host = host;
	b->log = edged_cap(host, EDGED_LOG_1);
	b->loop = edged_cap(host, EDGED_LOOP_1);
	b->config = edged_cap(host, EDGED_CONFIG_1);
	b->stream = edged_cap(host, EDGED_STREAM_1);
	b->http = edged_cap(host, EDGED_HTTP_1);
	b->metrics = edged_cap(host, EDGED_METRICS_1);
	b->store = edged_cap(host, EDGED_STORE_1);
	b->auth = edged_cap(host, EDGED_AUTH_1);
	b->work = edged_cap(host, EDGED_WORK_1);
	b->generation = b->auth->generation(host);
	users_init(&b->users);
	presence_init(&b->presence);
	rates_init(&b->rates);
	penalties_init(&b->penalties);
	b->next_row = 1;
	b->shard_count = b->loop->loop_count(host);
	configure(b);
	add_figures(b);
	int r = getrandom(b->key, sizeof(b->key), 0) == sizeof(b->key) ? 0 : -EIO;
	if (!r && !(b->home = home_new()))
		r = -ENOMEM;
	if (!r)
		r = make_parts(b);
	if (!r)
		r = b->auth->watch(host, rights_changed, b);
	if (!r)
		r = credentials_load(b);
	if (r) {
		destroy(b);
		return r;
	}
	*ret_self = b;
	return 0;
}

static void up(void *arg)
{
	struct broker *b = arg;
	if (--b->starting)
		return;
	int r = b->stream->serve(b->host, "mqtt", &client_handler, b);
	b->host->v1->started(b->host, r, r ? "another plugin serves MQTT already" : NULL);
}

static void start_shard(void *arg)
{
	struct shard *shard = arg;
	const struct broker *b = shard->broker;
	int r = shard_start(shard);
	if (r || b->loop->post(b->host, 0, up, NULL, shard->broker))
		b->log->log(b->host, EDGED_ERROR, "no memory to start loop %u", shard->index);
}

static void loaded(struct broker *b, int result, const char *why)
{
	load_free(b->load);
	b->load = NULL;
	if (result) {
		b->host->v1->started(b->host, result, why);
		return;
	}
	b->starting = b->shard_count;
	for (unsigned i = 0; i < b->shard_count && !result; i++)
		result = b->loop->post(b->host, i, start_shard, NULL, b->shards[i]);
	if (result)
		b->host->v1->started(b->host, result, "its loops could not be reached");
}

static int start(void *self)
{
	int r = load_start(self, loaded);
	return r ? r : EDGED_LATER;
}

/* The main loop's share; the other loops' timers end with the plugin. */
static void stop(void *self)
{
	struct broker *b = self;
	sse_stop(b->sse);
	dataplane_stop(b->dataplane);
	trace_stop(b->trace);
	sys_stop(b->sys);
	shard_stop(b->shards[0]);
}

static const void *offer(void *self, const char *name)
{
	struct broker *b = self;
	if (strcmp(name, EDGED_SESSION_1) == 0)
		return insides_capability(b->insides);
	if (strcmp(name, EDGED_CHANNEL_1) == 0)
		return channels_capability(b->channels);
	return strcmp(name, EDGED_PUBSUB_1) == 0 ? pubsub_capability(b->pubsub) : NULL;
}

static const char *const reload_settings[] = { "password_file", "jwt.key_file", "jwt.issuer", "jwt.audience",
	NULL };

static void reloaded(void *self)
{
	(void)credentials_load(self);
}

static const char *const needs[] = { EDGED_LOG_1, EDGED_LOOP_1, EDGED_CONFIG_1, EDGED_STREAM_1, EDGED_HTTP_1,
	EDGED_METRICS_1, EDGED_STORE_1, EDGED_AUTH_1, EDGED_WORK_1, NULL };
static const char *const offers[] = { EDGED_PUBSUB_1, EDGED_SESSION_1, EDGED_CHANNEL_1, NULL };

EDGED_PLUGIN(.name = "broker", .version = EDGED_VERSION, .summary = "MQTT 3.1, 3.1.1 and 5.0 broker",
        .needs = needs, .offers = offers, .settings = settings, .routes = rest_routes, .create = create,
        .start = start, .stop = stop, .destroy = destroy, .offer = offer, .reload_settings = reload_settings,
        .reloaded = reloaded);

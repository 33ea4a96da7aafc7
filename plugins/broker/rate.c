/* SPDX-License-Identifier: Apache-2.0 */
#include "rate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "pressure.h"
#include "shard.h"

#define SECOND  UINT64_C(1000000000) /* ns */
#define ROOM_MS 100                  /* so much is free again when a client is read on */
#define WAYS    4                    /* places where an address may be */

struct user_rate {
	struct user_rate *next;
	uint64_t messages, bytes; /* atomic; as in struct rate */
	unsigned clients;
	size_t len;
	char name[];
};

struct rate {
	struct client *client;
	struct user_rate *user;
	struct rate *next, **link; /* of the paused ones; link NULL: it is read */
	uint64_t until;            /* ms: when it is read on */
	uint64_t messages, bytes;  /* ns: when what came is paid for */
	uint32_t over;             /* s: since when it has been ahead without a break, 0: it is not */
	bool limited;              /* rates are counted; else it was only paused once */
};

static uint64_t now_ms(const struct broker *b)
{
	return b->loop->now(b->host);
}

/* --- buckets ------------------------------------------------------------------------------------------------------------ */

/* Takes n of what may come at `rate` a second. By how many ns it is then more than a second's worth ahead. */
static uint64_t spend(uint64_t *due, uint64_t n, uint64_t rate, uint64_t now)
{
	if (rate == 0)
		return 0;
	*due = (*due > now ? *due : now) + n * SECOND / rate;
	return *due > now + SECOND ? *due - now - SECOND : 0;
}

static uint64_t spend_shared(uint64_t *due, uint64_t n, uint64_t rate, uint64_t now)
{
	uint64_t seen = __atomic_load_n(due, __ATOMIC_RELAXED), next, over;
	do {
		next = seen;
		over = spend(&next, n, rate, now);
	} while (!__atomic_compare_exchange_n(due, &seen, next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return over;
}

/* --- addresses ------------------------------------------------------------------------------------------------------------ */

void rates_init(struct rates *rates)
{
	pthread_mutex_init(&rates->lock, NULL);
}

void rates_fini(struct rates *rates)
{
	for (size_t i = 0; i < sizeof(rates->users) / sizeof(rates->users[0]); i++)
		for (struct user_rate *u = rates->users[i], *next; u; u = next) {
			next = u->next;
			free(u);
		}
	pthread_mutex_destroy(&rates->lock);
}

/* Of the address without its port, of an IPv6 one the network only. */
static uint64_t place_of(const struct broker *b, const char *text)
{
	char host[64];
	uint8_t ipv6[16];
	const char *end = *text == '[' ? text + strcspn(text, "%]") : strrchr(text, ':');
	size_t n = end ? (size_t)(end - text) : strlen(text), skip = *text == '[';
	if (n >= sizeof(host))
		n = sizeof(host) - 1;
	memcpy(host, text + skip, n - skip);
	host[n - skip] = '\0';
	if (inet_pton(AF_INET6, host, ipv6) == 1)
		return keyed_hash(b->key, 3, edged_slice(ipv6, 8)) | 1;
	return keyed_hash(b->key, 3, edged_slice(host, n - skip)) | 1;
}

static bool is_local(const struct edged_peer *peer)
{
	return peer->loopback || peer->uid >= 0;
}

bool rate_connect(struct client *c)
{
	struct broker *b = c->broker;
	struct rates *rates = &b->rates;
	const struct edged_peer *peer = b->stream->peer(c->stream);
	if (b->limits.rates.connects == 0 || is_local(peer))
		return true;
	uint64_t place = place_of(b, peer->address), now = now_ms(b) * 1000000;
	size_t set = (size_t)(place >> 32) % (RATE_PLACES / WAYS) * WAYS, at = set;
	pthread_mutex_lock(&rates->lock);
	for (size_t i = set; i < set + WAYS; i++) {
		if (rates->places[i].address == place) {
			at = i;
			break;
		}
		if (rates->places[i].due < rates->places[at].due)
			at = i;
	}
	uint64_t due = rates->places[at].address == place ? rates->places[at].due : 0, before = due;
	bool fits = spend(&due, 1, b->limits.rates.connects, now) == 0;
	rates->places[at].address = place;
	rates->places[at].due = fits ? due : before;
	pthread_mutex_unlock(&rates->lock);
	if (!fits)
		count_one(b->figures.rate_refused);
	return fits;
}

/* --- users ---------------------------------------------------------------------------------------------------------------- */

static struct user_rate **chain_of(struct broker *b, struct edged_slice name)
{
	return &b->rates.users[keyed_hash(b->key, 4, name) % 256];
}

/* Those whose last client has left keep what they owe until it is paid, or leaving would pay it. */
static void sweep(struct rates *rates, struct user_rate **at, uint64_t now)
{
	while (*at) {
		struct user_rate *u = *at;
		if (u->clients || u->messages > now || u->bytes > now) {
			at = &u->next;
			continue;
		}
		*at = u->next;
		rates->user_count--;
		free(u);
	}
}

static struct user_rate *take_user(struct broker *b, struct edged_slice name)
{
	struct rates *rates = &b->rates;
	struct user_rate **chain = chain_of(b, name), *u;
	uint64_t now = now_ms(b) * 1000000;
	pthread_mutex_lock(&rates->lock);
	sweep(rates, chain, now);
	for (u = *chain; u && !edged_slice_eq(edged_slice(u->name, u->len), name); u = u->next)
		;
	for (size_t i = 0; !u && rates->user_count >= RATE_USERS_MAX && i < 256; i++)
		sweep(rates, &rates->users[i], now);
	if (!u && rates->user_count < RATE_USERS_MAX && (u = calloc(1, sizeof(*u) + name.len))) {
		memcpy(u->name, name.ptr, name.len);
		u->len = name.len;
		u->next = *chain;
		*chain = u;
		rates->user_count++;
	}
	if (u)
		u->clients++;
	pthread_mutex_unlock(&rates->lock);
	return u;
}

/* --- clients -------------------------------------------------------------------------------------------------------------- */

static struct rate *rate_of(struct client *c)
{
	if (!c->rate && (c->rate = calloc(1, sizeof(*c->rate))))
		c->rate->client = c;
	return c->rate;
}

int rate_begin(struct client *c, struct edged_slice user)
{
	struct broker *b = c->broker;
	const struct rate_limits *limits = &b->limits.rates;
	bool own = limits->messages || limits->bytes;
	bool shared = user.len && (limits->user_messages || limits->user_bytes);
	if (is_local(b->stream->peer(c->stream)) || !(own || shared))
		return 0;
	if (!rate_of(c))
		return REASON_QUOTA;
	c->rate->limited = true;
	if (shared && !c->rate->user && !(c->rate->user = take_user(b, user)))
		return REASON_QUOTA;
	return 0;
}

static void leave_user(struct broker *b, struct user_rate *u)
{
	pthread_mutex_lock(&b->rates.lock);
	u->clients--;
	pthread_mutex_unlock(&b->rates.lock);
}

bool rate_request(struct broker *b, const struct edged_peer *peer, struct edged_slice principal, size_t bytes)
{
	const struct rate_limits *limits = &b->limits.rates;
	uint64_t now = now_ms(b) * 1000000;
	if (is_local(peer) || !(limits->messages || limits->bytes))
		return true;
	struct user_rate *u = take_user(b, principal);
	bool fits = u && u->messages <= now + SECOND && u->bytes <= now + SECOND;
	if (fits) {
		(void)spend_shared(&u->messages, 1, limits->messages, now);
		(void)spend_shared(&u->bytes, bytes, limits->bytes, now);
	}
	if (u)
		leave_user(b, u);
	return fits;
}

static void unlink_paused(struct rate *rate)
{
	if (!rate->link)
		return;
	*rate->link = rate->next;
	if (rate->next)
		rate->next->link = rate->link;
	rate->link = NULL;
	edged_metric_add(rate->client->broker->figures.paused, -1);
}

void rate_end(struct client *c)
{
	if (!c->rate)
		return;
	unlink_paused(c->rate);
	if (c->rate->user)
		leave_user(c->broker, c->rate->user);
	free(c->rate);
	c->rate = NULL;
}

/* --- paused --------------------------------------------------------------------------------------------------------------- */

static void on_timer(void *arg);

static void arm(struct shard *shard)
{
	struct rate_gate *gate = &shard->gate;
	uint64_t first = 0, now = now_ms(shard->broker);
	for (const struct rate *r = gate->paused; r; r = r->next)
		if (!first || r->until < first)
			first = r->until;
	if (first && first != gate->due)
		shard->broker->loop->timer_set(gate->timer, first > now ? first - now : 0);
	gate->due = first;
}

static void on_timer(void *arg)
{
	struct shard *shard = arg;
	uint64_t now = now_ms(shard->broker);
	struct rate *ready = NULL;
	shard->gate.due = 0;
	pressure_update(shard->broker);
	if (pressure_of(shard->broker) >= PRESSURE_AWAY)
		pressure_relieve(shard);
	for (struct rate *r = shard->gate.paused, *next; r; r = next) {
		next = r->next;
		if (r->until > now)
			continue;
		unlink_paused(r);
		r->next = ready;
		ready = r;
	}
	for (struct rate *r = ready, *next; r; r = next) {
		next = r->next;
		r->next = NULL;
		client_read_on(r->client);
	}
	arm(shard);
}

int rate_pause(struct client *c, uint64_t ms)
{
	struct shard *shard = c->shard;
	struct rate_gate *gate = &shard->gate;
	struct rate *rate = rate_of(c);
	if (rate && !gate->timer)
		gate->timer = c->broker->loop->timer_new(c->broker->host, on_timer, shard);
	if (!rate || !gate->timer)
		return -ENOMEM;
	if (rate->link)
		return 0;
	rate->until = now_ms(c->broker) + ms;
	rate->next = gate->paused;
	rate->link = &gate->paused;
	if (rate->next)
		rate->next->link = &rate->next;
	gate->paused = rate;
	edged_metric_add(c->broker->figures.paused, 1);
	count_one(c->broker->figures.pauses);
	c->broker->stream->pause(c->stream);
	if (!gate->due || rate->until < gate->due)
		arm(shard);
	return 0;
}

bool rate_paused(const struct client *c)
{
	return c->rate && c->rate->link;
}

void rate_gate_fini(struct shard *shard)
{
	shard->broker->loop->timer_free(shard->gate.timer);
	shard->gate.timer = NULL;
}

/* --- counting ------------------------------------------------------------------------------------------------------------- */

static bool is_message(const struct frame *packet)
{
	return packet->type == PUBLISH || packet->type == SUBSCRIBE || packet->type == UNSUBSCRIBE;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void rate_charge(struct client *c, const struct frame *packet)
{
	struct rate *rate = c->rate;
	if (!rate || !rate->limited || c->closing)
		return;
	const struct rate_limits *limits = &c->broker->limits.rates;
	uint64_t ms = now_ms(c->broker), now = ms * 1000000, messages = is_message(packet);
	if (rate->messages <= now && rate->bytes <= now)
		rate->over = 0;
	uint64_t by_count = spend(&rate->messages, messages, limits->messages, now);
	uint64_t by_size = spend(&rate->bytes, packet->size, limits->bytes, now);
	if (rate->user) {
		uint64_t of_user = spend_shared(&rate->user->messages, messages, limits->user_messages, now);
		by_size = later(by_size, of_user);
		of_user = spend_shared(&rate->user->bytes, packet->size, limits->user_bytes, now);
		by_size = later(by_size, of_user);
	}
	uint64_t over = later(by_count, by_size);
	if (over == 0)
		return;
	uint32_t seconds = (uint32_t)(ms / 1000) | 1;
	if (rate->over == 0)
		rate->over = seconds;
	bool abuse = limits->patience && seconds - rate->over >= limits->patience;
	if (abuse)
		count_one(c->broker->figures.rate_ended);
	if (abuse || rate_pause(c, over / 1000000 + ROOM_MS))
		client_close(c, by_count >= by_size && abuse ? REASON_MESSAGE_RATE : REASON_QUOTA);
}

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
#define CHAINS  256

struct shared_rate {
	struct shared_rate *next;
	uint64_t messages, bytes; /* atomic; as in struct rate */
	unsigned clients;
	size_t len;
	char name[];
};

struct rate {
	struct client *client;
	struct shared_rate *shared[RATE_SHARES]; /* NULL: no such rate */
	struct rate *next, **link;               /* of the paused ones; link NULL: it is read */
	uint64_t until;                          /* ms: when it is read on */
	uint64_t messages, bytes;                /* ns: when what came is paid for */
	uint32_t over; /* s: since when it has been ahead without a break, 0: it is not */
	bool limited;  /* rates are counted; else it was only paused once */
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
	for (int share = 0; share < RATE_SHARES; share++)
		for (size_t i = 0; i < CHAINS; i++)
			for (struct shared_rate *u = rates->tables[share].chains[i], *next; u; u = next) {
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

/* One more CONNECT with that name. False: it comes too soon, and is not counted. */
static bool spend_connect(struct broker *b, enum rate_connects by, uint64_t name)
{
	struct rate_place *places = b->rates.places[by];
	uint64_t now = now_ms(b) * 1000000;
	size_t set = (size_t)(name >> 32) % (RATE_PLACES / WAYS) * WAYS, at = set;
	pthread_mutex_lock(&b->rates.lock);
	for (size_t i = set; i < set + WAYS; i++) {
		if (places[i].name == name) {
			at = i;
			break;
		}
		if (places[i].due < places[at].due)
			at = i;
	}
	uint64_t due = places[at].name == name ? places[at].due : 0, before = due;
	bool fits = spend(&due, 1, b->limits.rates.connects[by], now) == 0;
	places[at] = (struct rate_place){ name, fits ? due : before };
	pthread_mutex_unlock(&b->rates.lock);
	if (!fits)
		count_one(b->figures.rate_refused[by]);
	return fits;
}

int rate_connect(struct client *c, struct edged_slice id)
{
	struct broker *b = c->broker;
	const uint64_t *rates = b->limits.rates.connects;
	const struct edged_peer *peer = b->stream->peer(c->stream);
	if (rates[RATE_CONNECTS_ADDRESS] && !is_local(peer) &&
	        !spend_connect(b, RATE_CONNECTS_ADDRESS, place_of(b, peer->address)))
		return REASON_RATE;
	if (rates[RATE_CONNECTS_ID] && id.len &&
	        !spend_connect(b, RATE_CONNECTS_ID, keyed_hash(b->key, 5, id) | 1))
		return REASON_QUOTA;
	return 0;
}

/* --- rates that clients share ------------------------------------------------------------------------------------------- */

/* Those whose last client has left keep what they owe until it is paid, or leaving would pay it. */
static void sweep(size_t *count, struct shared_rate **at, uint64_t now)
{
	while (*at) {
		struct shared_rate *u = *at;
		if (u->clients || u->messages > now || u->bytes > now) {
			at = &u->next;
			continue;
		}
		*at = u->next;
		--*count;
		free(u);
	}
}

static struct shared_rate *take(struct broker *b, enum rate_share share, struct edged_slice name)
{
	struct rates *rates = &b->rates;
	struct shared_rate **chains = rates->tables[share].chains, *u;
	struct shared_rate **chain = &chains[keyed_hash(b->key, 4, name) % CHAINS];
	size_t *count = &rates->tables[share].count, most = b->limits.clients + (size_t)RATE_DEBTORS_MAX;
	uint64_t now = now_ms(b) * 1000000;
	pthread_mutex_lock(&rates->lock);
	sweep(count, chain, now);
	for (u = *chain; u && !edged_slice_eq(edged_slice(u->name, u->len), name); u = u->next)
		;
	for (size_t i = 0; !u && *count >= most && i < CHAINS; i++)
		sweep(count, &chains[i],
		        now + SECOND); /* what they owe is less than what they may send in one go */
	if (!u && *count < most && (u = calloc(1, sizeof(*u) + name.len))) {
		memcpy(u->name, name.ptr, name.len);
		u->len = name.len;
		u->next = *chain;
		*chain = u;
		++*count;
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

static bool is_set(const struct rate_limit *limit)
{
	return limit->messages || limit->bytes;
}

/* What the client shares a rate by; empty: nothing. */
static struct edged_slice share_name(
        const struct client *c, enum rate_share share, struct edged_slice user, uint64_t *place)
{
	if (share == RATE_USER)
		return user;
	*place = place_of(c->broker, c->broker->stream->peer(c->stream)->address);
	return edged_slice(place, sizeof(*place));
}

static int begin_shared(struct client *c, enum rate_share share, struct edged_slice user)
{
	uint64_t place;
	struct edged_slice name = share_name(c, share, user, &place);
	if (name.len == 0 || !is_set(&c->broker->limits.rates.shared[share]))
		return 0;
	if (!rate_of(c))
		return REASON_QUOTA;
	c->rate->limited = true;
	if (!c->rate->shared[share])
		c->rate->shared[share] = take(c->broker, share, name);
	return c->rate->shared[share] ? 0 : REASON_QUOTA;
}

int rate_begin(struct client *c, struct edged_slice user)
{
	struct broker *b = c->broker;
	int r = 0;
	if (is_local(b->stream->peer(c->stream)))
		return 0;
	if (is_set(&b->limits.rates.client)) {
		if (!rate_of(c))
			return REASON_QUOTA;
		c->rate->limited = true;
	}
	for (int share = 0; share < RATE_SHARES && !r; share++)
		r = begin_shared(c, (enum rate_share)share, user);
	return r;
}

static void leave(struct broker *b, struct shared_rate *u)
{
	pthread_mutex_lock(&b->rates.lock);
	u->clients--;
	pthread_mutex_unlock(&b->rates.lock);
}

bool rate_request(struct broker *b, const struct edged_peer *peer, struct edged_slice principal, size_t bytes)
{
	const struct rate_limit *limit = &b->limits.rates.client;
	uint64_t now = now_ms(b) * 1000000;
	if (is_local(peer) || !is_set(limit))
		return true;
	struct shared_rate *u = take(b, RATE_USER, principal);
	bool fits = u && u->messages <= now + SECOND && u->bytes <= now + SECOND;
	if (fits) {
		(void)spend_shared(&u->messages, 1, limit->messages, now);
		(void)spend_shared(&u->bytes, bytes, limit->bytes, now);
	}
	if (u)
		leave(b, u);
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
	for (int share = 0; share < RATE_SHARES; share++)
		if (c->rate->shared[share])
			leave(c->broker, c->rate->shared[share]);
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

/* By how much (ns) each of its rates is exceeded with this packet. */
struct excess {
	uint64_t messages, bytes, most;
	int64_t *figure; /* of the one that is exceeded most */
};

static void note(struct excess *excess, uint64_t over, int64_t *figure)
{
	if (over <= excess->most)
		return;
	excess->most = over;
	excess->figure = figure;
}

static void spend_all(struct rate *rate, const struct frame *packet, uint64_t now, struct excess *ret)
{
	const struct broker *b = rate->client->broker;
	const struct rate_limits *limits = &b->limits.rates;
	uint64_t messages = is_message(packet);
	*ret = (struct excess){ .messages = spend(&rate->messages, messages, limits->client.messages, now),
		.bytes = spend(&rate->bytes, packet->size, limits->client.bytes, now) };
	note(ret, ret->messages, b->figures.rate_client);
	note(ret, ret->bytes, b->figures.rate_client);
	for (int share = 0; share < RATE_SHARES; share++) {
		struct shared_rate *u = rate->shared[share];
		const struct rate_limit *limit = &limits->shared[share];
		if (!u)
			continue;
		note(ret, spend_shared(&u->messages, messages, limit->messages, now),
		        b->figures.rate_shared[share]);
		note(ret, spend_shared(&u->bytes, packet->size, limit->bytes, now),
		        b->figures.rate_shared[share]);
	}
}

static bool in_debt(const struct rate *rate, uint64_t now)
{
	bool owes = rate->messages > now || rate->bytes > now;
	for (int share = 0; share < RATE_SHARES; share++) {
		const struct shared_rate *u = rate->shared[share];
		owes |= u && (__atomic_load_n(&u->messages, __ATOMIC_RELAXED) > now ||
		                     __atomic_load_n(&u->bytes, __ATOMIC_RELAXED) > now);
	}
	return owes;
}

void rate_charge(struct client *c, const struct frame *packet)
{
	struct rate *rate = c->rate;
	if (!rate || !rate->limited || c->closing)
		return;
	const struct rate_limits *limits = &c->broker->limits.rates;
	uint64_t ms = now_ms(c->broker), now = ms * 1000000;
	if (!in_debt(rate, now))
		rate->over = 0;
	struct excess excess;
	spend_all(rate, packet, now, &excess);
	if (excess.most == 0)
		return;
	count_one(excess.figure);
	uint32_t seconds = (uint32_t)(ms / 1000) | 1;
	if (rate->over == 0)
		rate->over = seconds;
	bool abuse = limits->patience && seconds - rate->over >= limits->patience;
	if (abuse)
		count_one(c->broker->figures.rate_ended);
	if (abuse || rate_pause(c, excess.most / 1000000 + ROOM_MS))
		client_close(c, excess.messages == excess.most && abuse ? REASON_MESSAGE_RATE : REASON_QUOTA);
}

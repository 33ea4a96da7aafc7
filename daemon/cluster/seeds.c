/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/seeds.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cluster/addr.h"

enum { SEEDS = 64, FOUND = 4, FIRST_GAP = 1000, LAST_GAP = 60000, POLL = 50 };

/* Lives by itself while the resolver works on it. */
struct lookup {
	struct gaicb request;
	struct addrinfo hints;
	char host[256], port[8];
};

struct seed {
	char text[272];
	struct lookup *lookup; /* NULL: not under way */
	struct peer_addr found[FOUND];
	unsigned count;
	bool numeric;
};

struct seeds {
	void (*ask)(void *arg, const struct peer_addr *addr);
	bool (*connected)(void *arg, const struct peer_addr *addr);
	void *arg;
	struct loop *loop;
	struct timer *timer;
	struct seed all[SEEDS];
	unsigned count;
	uint64_t ask_ms, gap;
};

static void take_results(struct seed *seed, const struct addrinfo *list)
{
	seed->count = 0;
	for (; list && seed->count < FOUND; list = list->ai_next)
		if (!addr_from_socket(list->ai_addr, &seed->found[seed->count]))
			seed->count++;
}

/* A name server may not be reachable at first, and addresses change: names are looked up for each question. */
static void start_lookup(struct seed *seed)
{
	struct lookup *l = calloc(1, sizeof(*l));
	if (!l)
		return;
	const char *colon = strrchr(seed->text, ':');
	memcpy(l->host, seed->text, (size_t)(colon - seed->text));
	strncpy(l->port, colon + 1, sizeof(l->port) - 1);
	l->hints = (struct addrinfo){ .ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG };
	l->request = (struct gaicb){ .ar_name = l->host, .ar_service = l->port, .ar_request = &l->hints };
	struct gaicb *list[] = { &l->request };
	if (getaddrinfo_a(GAI_NOWAIT, list, 1, NULL))
		free(l);
	else
		seed->lookup = l;
}

/* True: still under way. */
static bool poll_lookup(struct seeds *s, struct seed *seed)
{
	struct lookup *l = seed->lookup;
	if (!l)
		return false;
	int r = gai_error(&l->request);
	if (r == EAI_INPROGRESS)
		return true;
	if (!r) {
		take_results(seed, l->request.ar_result);
		freeaddrinfo(l->request.ar_result);
		for (unsigned i = 0; i < seed->count; i++)
			s->ask(s->arg, &seed->found[i]);
	}
	free(l);
	seed->lookup = NULL;
	return false;
}

static bool is_connected(const struct seeds *s, const struct seed *seed)
{
	for (unsigned i = 0; i < seed->count; i++)
		if (s->connected(s->arg, &seed->found[i]))
			return true;
	return false;
}

static void ask(struct seeds *s, struct seed *seed)
{
	if (!seed->numeric)
		start_lookup(seed);
	else
		s->ask(s->arg, &seed->found[0]);
}

static void tick(void *arg)
{
	struct seeds *s = arg;
	uint64_t now = loop_now(s->loop);
	bool due = now >= s->ask_ms, missing = false, looking = false;
	for (unsigned i = 0; i < s->count; i++) {
		struct seed *seed = &s->all[i];
		bool busy = poll_lookup(s, seed);
		if (!busy && is_connected(s, seed))
			continue;
		missing = true;
		if (!busy && due)
			ask(s, seed);
		looking |= seed->lookup != NULL;
	}
	if (!missing)
		return; /* until seeds_look() */
	if (due) {
		s->ask_ms = now + s->gap;
		s->gap = s->gap * 2 > LAST_GAP ? LAST_GAP : s->gap * 2;
	}
	uint64_t wait = s->ask_ms - now;
	timer_set(s->timer, looking && wait > POLL ? POLL : wait);
}

void seeds_look(struct seeds *s)
{
	if (!s || !s->count)
		return;
	uint64_t now = loop_now(s->loop);
	bool missing = false;
	for (unsigned i = 0; i < s->count; i++)
		missing |= !is_connected(s, &s->all[i]);
	if (!missing || s->ask_ms > now) /* asked lately, and will be again */
		return;
	s->gap = FIRST_GAP;
	timer_set(s->timer, 0);
}

static int add_seed(struct seeds *s, const char *text, struct err *err)
{
	struct seed *seed = &s->all[s->count];
	const char *colon = strrchr(text, ':');
	char *end;
	unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
	if (s->count == SEEDS || !colon || colon == text || !port || port > 65535 || *end ||
	        colon - text > 255)
		return err_set(err, -EINVAL,
		        "cluster.seeds: \"%.80s\" is no HOST:PORT, such as \"192.0.2.7:8443\" or "
		        "\"[2001:db8::7]:8443\"",
		        text);
	snprintf(seed->text, sizeof(seed->text), "%.*s:%lu", (int)(colon - text), text, port);
	seed->numeric = !addr_parse(text, &seed->found[0]);
	seed->count = seed->numeric;
	s->count++;
	return 0;
}

int seeds_new(struct loop *loop, const char *const *list,
        void (*ask_one)(void *arg, const struct peer_addr *addr),
        bool (*connected)(void *arg, const struct peer_addr *addr), void *arg, struct seeds **ret,
        struct err *err)
{
	struct seeds *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	*s = (struct seeds){
		.loop = loop, .ask = ask_one, .connected = connected, .arg = arg, .gap = FIRST_GAP
	};
	int r = timer_new(loop, tick, s, &s->timer);
	for (unsigned i = 0; !r && list && list[i]; i++)
		r = add_seed(s, list[i], err);
	if (r) {
		seeds_free(s);
		return r;
	}
	if (s->count)
		timer_set(s->timer, 0);
	*ret = s;
	return 0;
}

void seeds_free(struct seeds *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->count; i++) {
		struct lookup *l = s->all[i].lookup;
		if (!l)
			continue;
		/* one that the resolver works on just now cannot be taken from it: that memory is left behind */
		if (gai_cancel(&l->request) != EAI_NOTCANCELED) {
			if (!gai_error(&l->request))
				freeaddrinfo(l->request.ar_result);
			free(l);
		}
	}
	timer_free(s->timer);
	free(s);
}

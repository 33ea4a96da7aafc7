/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/mdns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/dns_message.h"

enum { TTL_HOST = 120, TTL_SHARED = 4500, LEGACY_TTL = 10, PORT = 5353 };
enum {
	ANNOUNCE_AGAIN = 1000,
	QUERY_FIRST = 1000,
	QUERY_LAST = 300 * 1000,
	ONCE_IN = 1000,
	LEGACY_A_SECOND = 10
};
enum { ADDRESSES = 5 };

struct mdns {
	struct mdns_deps deps;
	struct faces *faces;
	struct timer *timer;
	struct dns_name type, instance, host, types;
	struct bound bound;
	uint8_t txt[MDNS_TXT];
	size_t txt_len;

	uint64_t announce_ms; /* 0: nothing to announce */
	unsigned announcements;
	uint64_t query_ms, query_gap;
	uint64_t answer_ms[FACES_MAX]; /* by face; 0: nothing to answer */
	uint64_t legacy_second;
	unsigned legacy;
	struct mdns_counts counts;
};

/* --- what we say ---------------------------------------------------------------------------------------------------------- */

enum { SAY_TYPES = 1, SAY_PTR = 2, SAY_SRV = 4, SAY_TXT = 8, SAY_HOST = 16, SAY_ALL = 31 };

struct manner {
	uint32_t ttl_cap; /* 0: none */
	uint16_t unique;  /* class of unique records: with the cache-flush bit, or not for one-shot askers */
};

static uint32_t ttl_of(const struct manner *manner, uint32_t ttl)
{
	return manner->ttl_cap && ttl > manner->ttl_cap ? manner->ttl_cap : ttl;
}

static void write_ptr(
        struct dns_writer *w, const struct dns_name *name, const struct dns_name *to, uint32_t ttl)
{
	size_t at = dns_write_record(w, 1, name, DNS_PTR, DNS_CLASS_IN, ttl);
	dns_write_data(w, to->wire, to->len);
	dns_write_end(w, at);
}

static void write_srv(
        struct dns_writer *w, const struct mdns *m, unsigned section, const struct manner *manner)
{
	size_t at =
	        dns_write_record(w, section, &m->instance, DNS_SRV, manner->unique, ttl_of(manner, TTL_HOST));
	dns_write_number(w, 0, 4);
	dns_write_number(w, bound_port(&m->bound), 2);
	dns_write_data(w, m->host.wire, m->host.len);
	dns_write_end(w, at);
}

static void write_txt(
        struct dns_writer *w, const struct mdns *m, unsigned section, const struct manner *manner)
{
	size_t at = dns_write_record(
	        w, section, &m->instance, DNS_TXT, manner->unique, ttl_of(manner, TTL_SHARED));
	dns_write_data(w, m->txt, m->txt_len);
	dns_write_end(w, at);
}

/* Those of the interface at which the service answers; a node without any can still be spoken to by datagrams. */
static void write_host(struct dns_writer *w, const struct mdns *m, const struct face *face, unsigned section,
        const struct manner *manner)
{
	for (unsigned i = 0; i < face->count; i++) {
		if (m->bound.count && !bound_covers(&m->bound, &face->addresses[i]))
			continue;
		bool v6 = face->addresses[i].family == 6;
		size_t at = dns_write_record(w, section, &m->host, v6 ? DNS_AAAA : DNS_A, manner->unique,
		        ttl_of(manner, TTL_HOST));
		dns_write_data(w, face->addresses[i].ip, v6 ? 16 : 4);
		dns_write_end(w, at);
	}
}

/* The records of `what` as answers, and with a PTR or SRV what is needed to use them. */
static void write_records(struct dns_writer *w, const struct mdns *m, const struct face *face, unsigned what,
        const struct manner *manner)
{
	if (what & SAY_TYPES)
		write_ptr(w, &m->types, &m->type, ttl_of(manner, TTL_SHARED));
	if (what & SAY_PTR)
		write_ptr(w, &m->type, &m->instance, ttl_of(manner, TTL_SHARED));
	if (what & SAY_SRV)
		write_srv(w, m, 1, manner);
	if (what & SAY_TXT)
		write_txt(w, m, 1, manner);
	if (what & SAY_HOST)
		write_host(w, m, face, 1, manner);
	unsigned more = what & SAY_PTR ? SAY_SRV | SAY_TXT | SAY_HOST : what & SAY_SRV ? SAY_HOST : 0;
	more &= ~what;
	if (more & SAY_SRV)
		write_srv(w, m, 3, manner);
	if (more & SAY_TXT)
		write_txt(w, m, 3, manner);
	if (more & SAY_HOST)
		write_host(w, m, face, 3, manner);
}

static void send_all(struct mdns *m, struct face *face, struct dns_writer *w)
{
	if (!dns_finish(w))
		return;
	m->counts.sent++;
	face_send_all(face, w->bytes, w->len);
}

static void announce_on(struct mdns *m, struct face *face, uint64_t now)
{
	static const struct manner manner = { 0, DNS_CLASS_IN | DNS_TOP_BIT };
	struct dns_writer w;
	dns_write(&w, 0, DNS_RESPONSE);
	write_records(&w, m, face, SAY_ALL, &manner);
	face->multicast_ms = now;
	m->counts.answers++;
	send_all(m, face, &w);
}

static void query_on(struct mdns *m, struct face *face)
{
	struct dns_writer w;
	dns_write(&w, 0, 0);
	dns_write_question(&w, &m->type, DNS_PTR, DNS_CLASS_IN);
	m->counts.queries++;
	send_all(m, face, &w);
}

static void goodbye(struct mdns *m)
{
	struct face *face;
	for (unsigned i = 0; (face = faces_at(m->faces, i)); i++) {
		struct dns_writer w;
		dns_write(&w, 0, DNS_RESPONSE);
		write_ptr(&w, &m->type, &m->instance, 0);
		send_all(m, face, &w);
	}
}

/* --- the clock ------------------------------------------------------------------------------------------------------------- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return b && b < a ? b : a;
}

static void arm(struct mdns *m)
{
	uint64_t now = loop_now(m->deps.loop), next = m->query_ms;
	next = sooner(next, m->announce_ms);
	for (unsigned i = 0; i < FACES_MAX; i++)
		next = sooner(next, m->answer_ms[i]);
	timer_set(m->timer, next > now ? next - now : 0);
}

static void tick(void *arg)
{
	struct mdns *m = arg;
	uint64_t now = loop_now(m->deps.loop);
	bool announce = m->announce_ms && now >= m->announce_ms, query = now >= m->query_ms;
	struct face *face;
	for (unsigned i = 0; (face = faces_at(m->faces, i)); i++) {
		if (announce || (m->answer_ms[i] && now >= m->answer_ms[i])) {
			m->answer_ms[i] = 0;
			announce_on(m, face, now);
		}
		if (query)
			query_on(m, face);
	}
	if (announce)
		m->announce_ms = --m->announcements ? now + ANNOUNCE_AGAIN : 0;
	if (query) {
		m->query_ms = now + m->query_gap;
		m->query_gap = m->query_gap * 2 > QUERY_LAST ? QUERY_LAST : m->query_gap * 2;
	}
	arm(m);
}

static void begin(struct mdns *m)
{
	m->announce_ms = m->query_ms = loop_now(m->deps.loop);
	m->announcements = 2;
	m->query_gap = QUERY_FIRST;
	memset(m->answer_ms, 0, sizeof(m->answer_ms));
	arm(m);
}

static void faces_changed(void *arg)
{
	struct mdns *m = arg;
	begin(m);
	m->deps.changed(m->deps.arg);
}

/* --- what others ask --------------------------------------------------------------------------------------------------------- */

static unsigned answers_to(const struct mdns *m, const struct dns_question *q)
{
	bool any = q->type == DNS_ANY;
	unsigned what = 0;
	if (q->class != DNS_CLASS_IN && q->class != DNS_ANY)
		return 0;
	if (dns_name_eq(&q->name, &m->type) && (any || q->type == DNS_PTR))
		what |= SAY_PTR;
	if (dns_name_eq(&q->name, &m->types) && (any || q->type == DNS_PTR))
		what |= SAY_TYPES;
	if (dns_name_eq(&q->name, &m->instance))
		what |= (any || q->type == DNS_SRV ? SAY_SRV : 0) | (any || q->type == DNS_TXT ? SAY_TXT : 0);
	if (dns_name_eq(&q->name, &m->host) && (any || q->type == DNS_A || q->type == DNS_AAAA))
		what |= SAY_HOST;
	return what;
}

/* The asker lists what it knows already. */
static unsigned known_to(const struct mdns *m, struct dns_reader *r)
{
	struct dns_record record;
	struct dns_name to;
	unsigned known = 0;
	while (dns_read_record(r, &record))
		if (record.answer && record.type == DNS_PTR && record.ttl >= TTL_SHARED / 2 &&
		        dns_name_eq(&record.name, &m->type) && dns_record_name(r, &record, 0, &to) &&
		        dns_name_eq(&to, &m->instance))
			known |= SAY_PTR;
	return known;
}

/* A one-shot asker on another port gets its answer directly, in the old manner. */
static void answer_legacy(struct mdns *m, struct face *face, const struct peer_addr *to, uint16_t id,
        const struct dns_question *q, unsigned what)
{
	static const struct manner manner = { LEGACY_TTL, DNS_CLASS_IN };
	uint64_t second = loop_now(m->deps.loop) / 1000;
	if (second != m->legacy_second) {
		m->legacy_second = second;
		m->legacy = 0;
	}
	if (m->legacy++ >= LEGACY_A_SECOND)
		return;
	struct dns_writer w;
	dns_write(&w, id, DNS_RESPONSE);
	dns_write_question(&w, &q->name, q->type, DNS_CLASS_IN);
	write_records(&w, m, face, what, &manner);
	if (!dns_finish(&w))
		return;
	m->counts.sent++;
	m->counts.answers++;
	face_send(face, to, w.bytes, w.len);
}

static void take_query(struct mdns *m, struct face *face, struct dns_reader *r, const struct peer_addr *from)
{
	struct dns_question q, first = { 0 };
	unsigned what = 0;
	while (dns_read_question(r, &q)) {
		unsigned more = answers_to(m, &q);
		if (more && !what)
			first = q;
		what |= more;
	}
	if (!what)
		return;
	if (from->port != PORT) {
		answer_legacy(m, face, from, r->id, &first, what);
		return;
	}
	what &= ~known_to(m, r);
	uint64_t now = loop_now(m->deps.loop), *at = &m->answer_ms[face - faces_at(m->faces, 0)];
	if (!what || *at)
		return;
	uint16_t jitter = 0;
	if (getrandom(&jitter, sizeof(jitter), GRND_NONBLOCK) < 0)
		jitter = 0;
	bool shared = what & (SAY_PTR | SAY_TYPES);
	*at = now + (shared ? 20u + jitter % 100u : 0);
	if (*at < face->multicast_ms + ONCE_IN)
		*at = face->multicast_ms + ONCE_IN;
	arm(m);
}

/* --- what others say ----------------------------------------------------------------------------------------------------------- */

/* Is it <one label>.<type>? */
static bool is_instance(const struct mdns *m, const struct dns_name *name)
{
	unsigned skip = name->wire[0] + 1u;
	if (name->len != skip + m->type.len)
		return false;
	struct dns_name rest = { .len = m->type.len };
	memcpy(rest.wire, name->wire + skip, m->type.len);
	return dns_name_eq(&rest, &m->type);
}

static bool take_address(const struct dns_reader *r, const struct dns_record *record,
        const struct peer_addr *from, struct peer_addr *ret)
{
	bool v6 = record->type == DNS_AAAA;
	if ((!v6 && record->type != DNS_A) || record->len != (v6 ? 16 : 4))
		return false;
	*ret = (struct peer_addr){ .family = v6 ? 6 : 4 };
	memcpy(ret->ip, r->bytes + record->at, record->len);
	if (peer_addr_is_link_local(ret))
		ret->scope = from->scope;
	return !peer_addr_is_link_local(ret) || ret->scope;
}

static void take_response(struct mdns *m, struct dns_reader *r, const struct peer_addr *from)
{
	struct peer_addr addresses[ADDRESSES] = { *from };
	unsigned count = 1;
	struct dns_record record, txt = { 0 };
	struct dns_question q;
	while (dns_read_question(r, &q))
		;
	addresses[0].port = 0;
	while (dns_read_record(r, &record)) {
		if (record.type == DNS_TXT && record.ttl && is_instance(m, &record.name))
			txt = record;
		else if (count < ADDRESSES && take_address(r, &record, from, &addresses[count]))
			count++;
	}
	if (txt.ttl)
		m->deps.found(m->deps.arg, r, &txt, addresses, count);
	else if (r->bad)
		m->counts.malformed++;
}

static void received(
        void *arg, struct face *face, const uint8_t *bytes, size_t len, const struct peer_addr *from)
{
	struct mdns *m = arg;
	struct dns_reader r;
	m->counts.received++;
	if (!dns_read(&r, bytes, len) || r.flags & 0x7800) {
		m->counts.malformed++;
		return;
	}
	if (!(r.flags & 0x8000))
		take_query(m, face, &r, from);
	else if (from->port == PORT)
		take_response(m, &r, from);
}

/* --- the interface --------------------------------------------------------------------------------------------------------------- */

static bool make_names(struct mdns *m, const struct mdns_service *service)
{
	return dns_name_make(&m->type, NULL, service->type) &&
	       dns_name_make(&m->instance, service->instance, service->type) &&
	       dns_name_make(&m->host, NULL, service->host) &&
	       dns_name_make(&m->types, NULL, "_services._dns-sd._udp.local");
}

static void set_txt(struct mdns *m, const struct bound *bound, const uint8_t *txt, size_t len)
{
	m->bound = *bound;
	m->txt_len = len < sizeof(m->txt) ? len : sizeof(m->txt);
	memcpy(m->txt, txt, m->txt_len);
}

int mdns_new(const struct mdns_deps *deps, const struct mdns_service *service, struct mdns **ret)
{
	struct mdns *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->deps = *deps;
	struct faces_deps faces_deps = { deps->loop, deps->only, deps->local, received, faces_changed, m };
	int r = make_names(m, service) ? 0 : -EINVAL;
	if (!r)
		r = timer_new(deps->loop, tick, m, &m->timer);
	if (!r)
		r = faces_new(&faces_deps, &m->faces);
	if (r) {
		timer_free(m->timer);
		free(m);
		return r;
	}
	set_txt(m, service->bound, service->txt, service->txt_len);
	begin(m);
	*ret = m;
	return 0;
}

void mdns_free(struct mdns *m)
{
	if (!m)
		return;
	goodbye(m);
	faces_free(m->faces);
	timer_free(m->timer);
	free(m);
}

static bool same_bound(const struct bound *a, const struct bound *b)
{
	bool same = a->count == b->count;
	for (unsigned i = 0; same && i < a->count; i++)
		same = peer_addr_eq(&a->at[i], &b->at[i]);
	return same;
}

void mdns_update(struct mdns *m, const struct bound *bound, const uint8_t *txt, size_t txt_len)
{
	if (same_bound(bound, &m->bound) && txt_len == m->txt_len && !memcmp(txt, m->txt, txt_len))
		return;
	set_txt(m, bound, txt, txt_len);
	uint64_t now = loop_now(m->deps.loop);
	if (!m->announce_ms) {
		m->announce_ms = now + ANNOUNCE_AGAIN; /* changes follow each other: say the last one */
		m->announcements = 1;
		arm(m);
	}
}

struct mdns_counts mdns_counts(const struct mdns *m)
{
	struct mdns_counts counts = m->counts;
	while (faces_at(m->faces, counts.faces))
		counts.faces++;
	return counts;
}

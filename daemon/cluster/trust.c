/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/trust.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include "base/clock.h"
#include "base/map.h"
#include "cluster/cert.h"
#include "cluster/removal_list.h"

struct trust {
	pthread_mutex_t lock; /* for ca, removed, known, dirty */
	X509 *ca;
	const struct removal_list *removed; /* NULL: none */
	struct map known;                   /* id -> moment() when its certificate was last in time */
	bool dirty;
	_Atomic uint64_t floor_ms;
	uint64_t (*wall_ms)(void *arg);
	uint64_t (*mono_ms)(void *arg);
	void *wall_arg, *mono_arg;
};

static uint64_t real_time(void *arg)
{
	(void)arg;
	return clock_wall_ms();
}

static uint64_t real_mono(void *arg)
{
	(void)arg;
	return clock_mono_ms();
}

int trust_new(struct trust **ret)
{
	struct trust *trust = calloc(1, sizeof(*trust));
	if (!trust)
		return -ENOMEM;
	pthread_mutex_init(&trust->lock, NULL);
	map_init(&trust->known);
	atomic_init(&trust->floor_ms, TRUST_EPOCH_MS);
	trust->wall_ms = real_time;
	trust->mono_ms = real_mono;
	*ret = trust;
	return 0;
}

void trust_free(struct trust *trust)
{
	if (!trust)
		return;
	X509_free(trust->ca);
	map_fini(&trust->known);
	pthread_mutex_destroy(&trust->lock);
	free(trust);
}

void trust_set_clock(struct trust *trust, uint64_t (*wall_ms)(void *arg), void *arg)
{
	trust->wall_ms = wall_ms ? wall_ms : real_time;
	trust->wall_arg = arg;
}

void trust_set_mono(struct trust *trust, uint64_t (*mono_ms)(void *arg), void *arg)
{
	trust->mono_ms = mono_ms ? mono_ms : real_mono;
	trust->mono_arg = arg;
}

/* --- time --- */

void trust_seen(struct trust *trust, uint64_t from_ms)
{
	uint64_t floor = atomic_load(&trust->floor_ms);
	while (from_ms > floor && !atomic_compare_exchange_weak(&trust->floor_ms, &floor, from_ms))
		;
}

uint64_t trust_time(struct trust *trust)
{
	uint64_t wall = trust->wall_ms(trust->wall_arg), floor = atomic_load(&trust->floor_ms);
	return wall > floor ? wall : floor;
}

uint64_t trust_mono(const struct trust *trust)
{
	return trust->mono_ms(trust->mono_arg);
}

/* --- nodes known before --- */

/* Seconds of this process, as the value of a map; never NULL. */
static void *moment(const struct trust *trust)
{
	return (void *)(uintptr_t)(1 + trust_mono(trust) / 1000);
}

static void *const in_another_life = (void *)UINTPTR_MAX;

/* Was it in time so lately, in this process? However the wall clock has jumped since. */
static bool lately(const struct trust *trust, const void *when)
{
	return when && when != in_another_life &&
	       (uintptr_t)moment(trust) - (uintptr_t)when <= TRUST_GRACE_MS / 1000;
}

static void remember(struct trust *trust, struct edged_slice id, void *when)
{
	bool is_new = !map_get(&trust->known, id);
	/* Lack of memory costs the node only its time of grace. */
	if ((!is_new || trust->known.count < TRUST_KNOWN_MAX) && map_set(&trust->known, id, when, NULL) == 0)
		trust->dirty |= is_new;
}

void trust_read_known(struct trust *trust, struct edged_slice text)
{
	pthread_mutex_lock(&trust->lock);
	while (text.len >= NODE_ID_LEN) {
		const char *end = memchr(text.ptr, '\n', text.len);
		size_t n = end ? (size_t)(end - text.ptr) : text.len;
		struct edged_slice line = edged_slice(text.ptr, n);
		if (node_id_valid(line))
			remember(trust, line, in_another_life);
		n += end ? 1 : 0;
		text = edged_slice(text.ptr + n, text.len - n);
	}
	trust->dirty = false;
	pthread_mutex_unlock(&trust->lock);
}

static int write_known(const struct trust *trust, struct buf *ret)
{
	int r = 0;
	for (struct map_entry *e = map_first(&trust->known); e && !r; e = map_next(&trust->known, e))
		r = buf_addf(ret, "%.*s\n", EDGED_SLICE_FMT(map_key(e)));
	return r;
}

int trust_write_known(struct trust *trust, struct buf *ret)
{
	pthread_mutex_lock(&trust->lock);
	int r = trust->dirty ? write_known(trust, ret) : TRUST_UNCHANGED;
	if (!r)
		trust->dirty = false;
	pthread_mutex_unlock(&trust->lock);
	return r;
}

/* --- nodes removed --- */

void trust_set_removed(struct trust *trust, const struct removal_list *list)
{
	char id[NODE_ID_LEN + 1];
	pthread_mutex_lock(&trust->lock);
	trust->removed = list;
	/* Their lines end by the clock, and with them must all that could bring them back. */
	for (unsigned i = 0; list && i < list->count; i++) {
		node_id_format(list->removed[i].id, id);
		trust->dirty |= map_remove(&trust->known, edged_str(id)) != NULL;
	}
	pthread_mutex_unlock(&trust->lock);
}

bool trust_is_removed(struct trust *trust, const uint8_t id[32])
{
	uint64_t now = trust_time(trust);
	pthread_mutex_lock(&trust->lock);
	const struct removal *removal = trust->removed ? removal_find(trust->removed, id) : NULL;
	bool removed = removal && now <= removal->until_ms;
	pthread_mutex_unlock(&trust->lock);
	return removed;
}

/* --- judging --- */

void trust_set_ca(struct trust *trust, X509 *ca)
{
	if (ca)
		X509_up_ref(ca);
	pthread_mutex_lock(&trust->lock);
	X509 *old = trust->ca;
	trust->ca = ca;
	trust->dirty = trust->known.count > 0;
	map_fini(&trust->known);
	map_init(&trust->known);
	pthread_mutex_unlock(&trust->lock);
	X509_free(old);
}

static X509 *ca_ref(struct trust *trust)
{
	pthread_mutex_lock(&trust->lock);
	X509 *ca = trust->ca;
	if (ca)
		X509_up_ref(ca);
	pthread_mutex_unlock(&trust->lock);
	return ca;
}

uint64_t trust_withdrawn(struct trust *trust, X509 *signer)
{
	char text[NODE_ID_LEN + 1];
	uint8_t id[32];
	uint64_t since = TRUST_COUNTS;
	if (!cert_is_signer(signer, text) || !node_id_parse(edged_str(text), id))
		return 0;
	pthread_mutex_lock(&trust->lock);
	const struct removal *removed = trust->removed ? removal_find(trust->removed, id) : NULL,
	                     *former = trust->removed ? removal_find_former(trust->removed, id) : NULL;
	/* One that is a signer again has a later certificate. */
	if (former && cert_from(signer) <= former->since_ms)
		since = former->since_ms;
	if (removed && removed->since_ms < since)
		since = removed->since_ms;
	pthread_mutex_unlock(&trust->lock);
	return since;
}

/* Is its time right? Remembers those whose time is. `withdrawn`: what signed it counts since then for nothing. */
static bool judge_time(
        struct trust *trust, const X509 *certificate, uint64_t withdrawn, struct edged_slice id)
{
	uint64_t until = cert_until(certificate);
	if (withdrawn == TRUST_COUNTS)
		trust_seen(trust, cert_from(certificate));
	uint64_t now = trust_time(trust);
	pthread_mutex_lock(&trust->lock);
	bool in_time = withdrawn == TRUST_COUNTS && now <= until;
	if (in_time) {
		remember(trust, id, moment(trust));
	} else {
		const void *when = map_get(&trust->known, id);
		uint64_t end = withdrawn < until ? withdrawn : until;
		in_time = when && (now <= end + TRUST_GRACE_MS || lately(trust, when));
	}
	pthread_mutex_unlock(&trust->lock);
	return in_time;
}

bool trust_judge(struct trust *trust, X509 *certificate, X509 *issuer, char ret_id[NODE_ID_LEN + 1])
{
	char signer[NODE_ID_LEN + 1];
	uint8_t id[32];
	ret_id[0] = '\0';
	if (cert_id(certificate, ret_id))
		return false;
	CLEANUP(X509_freep) X509 *ca = ca_ref(trust);
	if (!ca || !cert_chain_ok(certificate, issuer, ca, signer))
		return false;
	return node_id_parse(edged_str(ret_id), id) && !trust_is_removed(trust, id) &&
	       judge_time(trust, certificate, signer[0] ? trust_withdrawn(trust, issuer) : TRUST_COUNTS,
	               edged_str(ret_id));
}

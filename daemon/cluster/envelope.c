/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/envelope.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"

enum { PROCESSES = 3, WINDOW = 128, SEALED = 1, VERSION = 1 };

/* One process that speaks with a peer's key. */
struct process {
	uint64_t instance;
	EVP_CIPHER_CTX *ctx; /* NULL: free */
	uint64_t highest, used;
	uint64_t seen[WINDOW / 64]; /* bit i: highest - i */
};

struct peer {
	struct list lru;
	uint8_t key[GOSSIP_KEY], id[GOSSIP_ID];
	uint8_t secret[32];
	EVP_CIPHER_CTX *send;
	struct process processes[PROCESSES];
	uint64_t kept; /* instance whose place is not given away */
};

/* So many at once, then so many a second. */
struct bucket {
	double tokens;
	uint64_t filled_ms;
};

struct envelope {
	const struct identity *identity;
	struct envelope_limits limits;
	uint64_t instance, counter, uses;
	struct map peers;
	struct list lru; /* latest first */
	struct bucket receiving, sending;
	EVP_CIPHER *cipher;
	struct envelope_counts counts;
};

static bool take_token(struct bucket *bucket, uint64_t now, unsigned per_second)
{
	double burst = 2.0 * per_second;
	bucket->tokens += (double)(now - bucket->filled_ms) * per_second / 1000;
	bucket->filled_ms = now;
	if (bucket->tokens > burst)
		bucket->tokens = burst;
	if (bucket->tokens < 1)
		return false;
	bucket->tokens -= 1;
	return true;
}

static void put_u64(uint8_t *to, uint64_t value)
{
	for (int i = 7; i >= 0; i--, value >>= 8)
		to[i] = (uint8_t)value;
}

static uint64_t get_u64(const uint8_t *from)
{
	uint64_t value = 0;
	for (int i = 0; i < 8; i++)
		value = value << 8 | from[i];
	return value;
}

/* --- peers ------------------------------------------------------------------------------------------------------------ */

static void peer_free(struct peer *peer)
{
	if (!peer)
		return;
	for (int i = 0; i < PROCESSES; i++)
		EVP_CIPHER_CTX_free(peer->processes[i].ctx);
	EVP_CIPHER_CTX_free(peer->send);
	OPENSSL_cleanse(peer->secret, sizeof(peer->secret));
	free(peer);
}
DEFINE_CLEANUP(struct peer *, peer_free)

static void forget(struct envelope *e, struct peer *peer)
{
	map_remove(&e->peers, edged_slice(peer->key, GOSSIP_KEY));
	list_remove(&peer->lru);
	peer_free(peer);
}

static struct peer *find(struct envelope *e, const uint8_t key[GOSSIP_KEY])
{
	struct peer *peer = map_get(&e->peers, edged_slice(key, GOSSIP_KEY));
	if (peer) {
		list_remove(&peer->lru);
		list_prepend(&e->lru, &peer->lru);
	}
	return peer;
}

static int make(struct envelope *e, const uint8_t key[GOSSIP_KEY], struct peer **ret)
{
	CLEANUP(peer_freep) struct peer *peer = calloc(1, sizeof(*peer));
	if (!peer)
		return -ENOMEM;
	list_init(&peer->lru);
	memcpy(peer->key, key, GOSSIP_KEY);
	e->counts.secrets++;
	int r = identity_shared_key(e->identity, key, "edged gossip 1", peer->secret);
	if (r)
		return r;
	if (!EVP_Digest(key, GOSSIP_KEY, peer->id, NULL, EVP_sha256(), NULL))
		return -EIO;
	*ret = TAKE(peer);
	return 0;
}

static int keep(struct envelope *e, struct peer *peer)
{
	while (e->peers.count >= e->limits.peers)
		forget(e, list_entry(e->lru.prev, struct peer, lru));
	int r = map_add(&e->peers, edged_slice(peer->key, GOSSIP_KEY), peer);
	if (!r)
		list_prepend(&e->lru, &peer->lru);
	return r;
}

/* The cipher of one direction of one process. */
static EVP_CIPHER_CTX *make_cipher(struct envelope *e, const struct peer *peer,
        const uint8_t sender[GOSSIP_KEY], uint64_t instance, bool sealing)
{
	uint8_t text[GOSSIP_KEY + 8], key[32];
	unsigned size = sizeof(key);
	memcpy(text, sender, GOSSIP_KEY);
	put_u64(text + GOSSIP_KEY, instance);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool ok = ctx &&
	          HMAC(EVP_sha256(), peer->secret, sizeof(peer->secret), text, sizeof(text), key, &size) &&
	          EVP_CipherInit_ex(ctx, e->cipher, NULL, key, NULL, sealing);
	OPENSSL_cleanse(key, sizeof(key));
	if (ok)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

/* --- making and ending -------------------------------------------------------------------------------------------------- */

int envelope_new(const struct identity *identity, uint64_t instance, const struct envelope_limits *limits,
        struct envelope **ret)
{
	struct envelope *e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->identity = identity;
	e->instance = instance;
	e->limits = *limits;
	e->receiving.tokens = e->sending.tokens = 2.0 * limits->per_second;
	map_init(&e->peers);
	list_init(&e->lru);
	e->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	if (!e->cipher) {
		free(e);
		return -EIO;
	}
	*ret = e;
	return 0;
}

void envelope_free(struct envelope *e)
{
	if (!e)
		return;
	list_each_safe (node, &e->lru)
		forget(e, list_entry(node, struct peer, lru));
	map_fini(&e->peers);
	EVP_CIPHER_free(e->cipher);
	free(e);
}

/* --- sealing -------------------------------------------------------------------------------------------------------------- */

static int addressee(struct envelope *e, uint64_t now, const uint8_t key[GOSSIP_KEY], struct peer **ret)
{
	CLEANUP(peer_freep) struct peer *made = NULL;
	struct peer *peer = find(e, key);
	if (!peer) {
		if (!take_token(&e->sending, now, e->limits.per_second)) {
			e->counts.limited++;
			return -EBUSY;
		}
		int r = make(e, key, &made);
		if (!r)
			r = keep(e, made);
		if (r)
			return r;
		peer = TAKE(made);
	}
	if (!peer->send)
		peer->send = make_cipher(e, peer, identity_public_key(e->identity), e->instance, true);
	if (!peer->send)
		return -ENOMEM;
	*ret = peer;
	return 0;
}

static void nonce_of(uint64_t counter, uint8_t ret[12])
{
	memset(ret, 0, 4);
	put_u64(ret + 4, counter);
}

int envelope_seal(struct envelope *e, uint64_t now, const uint8_t key[GOSSIP_KEY], const uint8_t *bytes,
        size_t len, uint8_t *out)
{
	struct peer *peer;
	int r = len > GOSSIP_MAX ? -EINVAL : addressee(e, now, key, &peer);
	if (r)
		return r;
	uint8_t nonce[12];
	memcpy(out, (const uint8_t[]){ 'E', 'G', VERSION, SEALED }, 4);
	memcpy(out + 4, identity_public_key(e->identity), GOSSIP_KEY);
	put_u64(out + 4 + GOSSIP_KEY, e->instance);
	put_u64(out + 4 + GOSSIP_KEY + 8, ++e->counter);
	nonce_of(e->counter, nonce);
	uint8_t *body = out + ENVELOPE_HEAD;
	int n, end;
	bool ok = EVP_EncryptInit_ex(peer->send, NULL, NULL, NULL, nonce) &&
	          EVP_EncryptUpdate(peer->send, NULL, &n, out, ENVELOPE_HEAD) &&
	          EVP_EncryptUpdate(peer->send, body, &n, bytes, (int)len) &&
	          EVP_EncryptFinal_ex(peer->send, body + n, &end) &&
	          EVP_CIPHER_CTX_ctrl(peer->send, EVP_CTRL_AEAD_GET_TAG, ENVELOPE_TAG, body + len);
	if (!ok)
		return -EIO;
	e->counts.sealed++;
	return (int)len + ENVELOPE_OVERHEAD;
}

/* --- opening -------------------------------------------------------------------------------------------------------------- */

static bool is_repeat(const struct process *process, uint64_t counter)
{
	if (counter > process->highest)
		return false;
	uint64_t age = process->highest - counter;
	return age >= WINDOW || process->seen[age / 64] >> age % 64 & 1;
}

static void note(struct process *process, uint64_t counter)
{
	if (counter > process->highest) {
		uint64_t shift = counter - process->highest;
		for (; shift >= 64; shift -= 64) {
			process->seen[1] = process->seen[0];
			process->seen[0] = 0;
			if (shift > WINDOW) {
				process->seen[1] = 0;
				shift = 64;
			}
		}
		if (shift) {
			process->seen[1] = process->seen[1] << shift | process->seen[0] >> (64 - shift);
			process->seen[0] <<= shift;
		}
		process->highest = counter;
	}
	uint64_t age = process->highest - counter;
	process->seen[age / 64] |= (uint64_t)1 << age % 64;
}

static struct process *process_of(struct peer *peer, uint64_t instance)
{
	for (int i = 0; i < PROCESSES; i++)
		if (peer->processes[i].ctx && peer->processes[i].instance == instance)
			return &peer->processes[i];
	return NULL;
}

/* Gives the place that was used longest ago, but not that of the member, to a process that has shown it has the key. */
static void admit(struct peer *peer, const struct process *process)
{
	struct process *place = NULL;
	for (int i = 0; i < PROCESSES; i++) {
		struct process *p = &peer->processes[i];
		bool kept = p->ctx && p->instance == peer->kept;
		if (!kept && (!place || !p->ctx || (place->ctx && p->used < place->used)))
			place = p;
	}
	EVP_CIPHER_CTX_free(place->ctx);
	*place = *process;
}

static bool decrypt(EVP_CIPHER_CTX *ctx, const uint8_t *datagram, size_t len, uint8_t *out)
{
	uint8_t nonce[12], tag[ENVELOPE_TAG];
	nonce_of(get_u64(datagram + ENVELOPE_HEAD - 8), nonce);
	memcpy(tag, datagram + len - ENVELOPE_TAG, ENVELOPE_TAG);
	int n, end, size = (int)(len - ENVELOPE_OVERHEAD);
	return EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, nonce) &&
	       EVP_DecryptUpdate(ctx, NULL, &n, datagram, ENVELOPE_HEAD) &&
	       EVP_DecryptUpdate(ctx, out, &n, datagram + ENVELOPE_HEAD, size) &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, ENVELOPE_TAG, tag) &&
	       EVP_DecryptFinal_ex(ctx, out + n, &end);
}

static int open_from(struct envelope *e, struct peer *peer, const uint8_t *datagram, size_t len, uint8_t *out)
{
	uint64_t instance = get_u64(datagram + 4 + GOSSIP_KEY),
	         counter = get_u64(datagram + 4 + GOSSIP_KEY + 8);
	struct process *process = process_of(peer, instance), fresh = { .instance = instance };
	if (process && is_repeat(process, counter)) {
		e->counts.replayed++;
		return -EALREADY;
	}
	if (!process)
		fresh.ctx = make_cipher(e, peer, peer->key, instance, false);
	struct process *used = process ? process : &fresh;
	if (!used->ctx)
		return -ENOMEM;
	if (!decrypt(used->ctx, datagram, len, out)) {
		e->counts.forged++;
		EVP_CIPHER_CTX_free(fresh.ctx);
		return -EBADMSG;
	}
	note(used, counter);
	used->used = ++e->uses;
	if (!process)
		admit(peer, &fresh);
	return (int)len - ENVELOPE_OVERHEAD;
}

int envelope_open(struct envelope *e, uint64_t now, const uint8_t *datagram, size_t len, uint8_t *out,
        uint8_t ret_key[GOSSIP_KEY], uint64_t *ret_instance)
{
	if (len < ENVELOPE_OVERHEAD || len > ENVELOPE_MAX ||
	        memcmp(datagram, (const uint8_t[]){ 'E', 'G', VERSION, SEALED }, 4) != 0) {
		e->counts.malformed++;
		return -EINVAL;
	}
	const uint8_t *key = datagram + 4;
	CLEANUP(peer_freep) struct peer *made = NULL;
	struct peer *peer = find(e, key);
	int r = 0;
	if (!peer) {
		if (!take_token(&e->receiving, now, e->limits.per_second)) {
			e->counts.limited++;
			return -EBUSY;
		}
		r = make(e, key, &made);
	}
	int n = r ? r : open_from(e, peer ? peer : made, datagram, len, out);
	if (n < 0)
		return n;
	if (made) {
		r = keep(e, made);
		if (r)
			return r;
		TAKE(made);
	}
	e->counts.opened++;
	memcpy(ret_key, key, GOSSIP_KEY);
	*ret_instance = get_u64(datagram + 4 + GOSSIP_KEY);
	return n;
}

void envelope_keep(struct envelope *e, const uint8_t key[GOSSIP_KEY], uint64_t instance)
{
	struct peer *peer = find(e, key);
	if (peer)
		peer->kept = instance;
}

void envelope_identify(struct envelope *e, const uint8_t key[GOSSIP_KEY], uint8_t ret_id[GOSSIP_ID])
{
	const struct peer *peer = map_get(&e->peers, edged_slice(key, GOSSIP_KEY));
	if (peer)
		memcpy(ret_id, peer->id, GOSSIP_ID);
	else if (!EVP_Digest(key, GOSSIP_KEY, ret_id, NULL, EVP_sha256(), NULL))
		abort(); /* without a hash nothing here makes sense */
}

struct envelope_counts envelope_counts(const struct envelope *e)
{
	struct envelope_counts counts = e->counts;
	counts.held = e->peers.count;
	return counts;
}

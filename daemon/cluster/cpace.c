/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/cpace.h"

#include <errno.h>
#include <sodium.h>

/* sodium.h has sizes of its own. */
_Static_assert(CPACE_SCALAR == crypto_core_ristretto255_SCALARBYTES, "scalar");
_Static_assert(CPACE_POINT == crypto_core_ristretto255_BYTES, "point");
_Static_assert(CPACE_ISK == crypto_hash_sha512_BYTES, "key");
_Static_assert(CPACE_TAG == crypto_auth_hmacsha512_BYTES, "tag");
_Static_assert(crypto_core_ristretto255_HASHBYTES == crypto_hash_sha512_BYTES, "hash to point");

enum { BLOCK = 128 /* bytes that SHA-512 takes at once */ };

static const char suite[] = "CPaceRistretto255", suite_key[] = "CPaceRistretto255_ISK",
                  suite_mac[] = "CPaceMac";

/* --- strings with their lengths in front --- */

/* LEB128: seven bits a byte, the lowest first; returns how many bytes. */
static size_t write_length(size_t n, uint8_t ret[10])
{
	size_t i = 0;
	for (; n >= 128; n >>= 7)
		ret[i++] = (uint8_t)(n & 127) | 128;
	ret[i++] = (uint8_t)n;
	return i;
}

static const uint8_t *bytes_of(struct edged_slice text)
{
	return (const uint8_t *)(text.len ? text.ptr : "");
}

static void hash_text(crypto_hash_sha512_state *hash, struct edged_slice text)
{
	uint8_t length[10];
	crypto_hash_sha512_update(hash, length, write_length(text.len, length));
	crypto_hash_sha512_update(hash, bytes_of(text), text.len);
}

static struct edged_slice point_slice(const uint8_t point[CPACE_POINT])
{
	return edged_slice(point, CPACE_POINT);
}

static void hash_sent(crypto_hash_sha512_state *hash, const struct cpace_sent *sent)
{
	hash_text(hash, point_slice(sent->share));
	hash_text(hash, sent->data);
}

/* Zeros fill the first block, so that what is hashed after the secret does not share a block with it. */
static struct edged_slice padding(struct edged_slice secret)
{
	static const char zeros[BLOCK];
	uint8_t length[10];
	size_t used = 1 + write_length(secret.len, length) + secret.len + 1 + sizeof(suite) - 1;
	return edged_slice(zeros, used < BLOCK ? BLOCK - used : 0);
}

/* --- the suite --- */

int cpace_generator(const struct cpace_input *input, uint8_t ret[CPACE_POINT])
{
	crypto_hash_sha512_state hash;
	uint8_t digest[crypto_hash_sha512_BYTES];
	crypto_hash_sha512_init(&hash);
	hash_text(&hash, edged_str(suite));
	hash_text(&hash, input->secret);
	hash_text(&hash, padding(input->secret));
	hash_text(&hash, input->channel);
	hash_text(&hash, input->session);
	crypto_hash_sha512_final(&hash, digest);
	int r = crypto_core_ristretto255_from_hash(ret, digest);
	sodium_memzero(&hash, sizeof(hash));
	sodium_memzero(digest, sizeof(digest));
	return r ? -EIO : 0;
}

int cpace_scalar(uint8_t ret[CPACE_SCALAR])
{
	if (sodium_init() < 0)
		return -EIO;
	crypto_core_ristretto255_scalar_random(ret);
	return 0;
}

int cpace_share(
        const uint8_t scalar[CPACE_SCALAR], const uint8_t generator[CPACE_POINT], uint8_t ret[CPACE_POINT])
{
	/* RFC 9496 section 4.3.1 refuses it, libsodium only since 1.0.19. */
	if (generator[CPACE_POINT - 1] & 0x80)
		return -EINVAL;
	return crypto_scalarmult_ristretto255(ret, scalar, generator) ? -EINVAL : 0;
}

int cpace_isk(const uint8_t scalar[CPACE_SCALAR], const uint8_t theirs[CPACE_POINT],
        struct edged_slice session, const struct cpace_sent *a, const struct cpace_sent *b,
        uint8_t ret[CPACE_ISK])
{
	crypto_hash_sha512_state hash;
	uint8_t shared[CPACE_POINT];
	int r = cpace_share(scalar, theirs, shared);
	if (r)
		return r;
	crypto_hash_sha512_init(&hash);
	hash_text(&hash, edged_str(suite_key));
	hash_text(&hash, session);
	hash_text(&hash, point_slice(shared));
	hash_sent(&hash, a);
	hash_sent(&hash, b);
	crypto_hash_sha512_final(&hash, ret);
	sodium_memzero(&hash, sizeof(hash));
	sodium_memzero(shared, sizeof(shared));
	return 0;
}

/* --- key confirmation --- */

static void mac_key(
        const uint8_t isk[CPACE_ISK], struct edged_slice session, uint8_t ret[crypto_hash_sha512_BYTES])
{
	crypto_hash_sha512_state hash;
	crypto_hash_sha512_init(&hash);
	crypto_hash_sha512_update(&hash, (const uint8_t *)suite_mac, sizeof(suite_mac) - 1);
	crypto_hash_sha512_update(&hash, bytes_of(session), session.len);
	crypto_hash_sha512_update(&hash, isk, CPACE_ISK);
	crypto_hash_sha512_final(&hash, ret);
	sodium_memzero(&hash, sizeof(hash));
}

static void mac_text(crypto_auth_hmacsha512_state *mac, struct edged_slice text)
{
	uint8_t length[10];
	crypto_auth_hmacsha512_update(mac, length, write_length(text.len, length));
	crypto_auth_hmacsha512_update(mac, bytes_of(text), text.len);
}

int cpace_tag(const uint8_t isk[CPACE_ISK], struct edged_slice session, const struct cpace_sent *sent,
        uint8_t ret[CPACE_TAG])
{
	crypto_auth_hmacsha512_state mac;
	uint8_t key[crypto_hash_sha512_BYTES];
	mac_key(isk, session, key);
	int r = crypto_auth_hmacsha512_init(&mac, key, sizeof(key));
	mac_text(&mac, point_slice(sent->share));
	mac_text(&mac, sent->data);
	r |= crypto_auth_hmacsha512_final(&mac, ret);
	sodium_memzero(&mac, sizeof(mac));
	sodium_memzero(key, sizeof(key));
	return r ? -EIO : 0;
}

bool cpace_tag_fits(const uint8_t right[CPACE_TAG], struct edged_slice tag)
{
	return tag.len == CPACE_TAG && sodium_memcmp(right, tag.ptr, CPACE_TAG) == 0;
}

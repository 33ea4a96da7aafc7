/* SPDX-License-Identifier: Apache-2.0 */
#include "password.h"

#include <errno.h>
#include <stdio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

enum { SALT = 16, HASH = 32, LOG_N = 14, BLOCK_R = 8, PARALLEL = 5 };

struct parameters {
	unsigned log_n, r, p;
	uint8_t salt[SALT], hash[HASH];
};

static bool derive(const struct parameters *from, struct edged_slice password, uint8_t ret[HASH])
{
	return EVP_PBE_scrypt(password.ptr ? password.ptr : "", password.len, from->salt, SALT,
	               UINT64_C(1) << from->log_n, from->r, from->p, 256u << 20, ret, HASH) == 1;
}

static void write_hex(char *to, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		snprintf(to + 2 * i, 3, "%02x", bytes[i]);
}

static bool read_hex(const char *from, uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned byte;
		if (sscanf(from + 2 * i, "%2x", &byte) != 1)
			return false;
		bytes[i] = (uint8_t)byte;
	}
	return true;
}

int password_hash(struct edged_slice password, char ret[PASSWORD_TEXT])
{
	struct parameters p = { .log_n = LOG_N, .r = BLOCK_R, .p = PARALLEL };
	char salt[2 * SALT + 1], hash[2 * HASH + 1];
	if (RAND_bytes(p.salt, SALT) != 1)
		return -EIO;
	if (!derive(&p, password, p.hash))
		return -ENOMEM;
	write_hex(salt, p.salt, SALT);
	write_hex(hash, p.hash, HASH);
	snprintf(ret, PASSWORD_TEXT, "scrypt$%u$%u$%u$%s$%s", p.log_n, p.r, p.p, salt, hash);
	return 0;
}

static bool parse(const char *text, struct parameters *ret)
{
	char salt[2 * SALT + 1], hash[2 * HASH + 1];
	int n = 0;
	return sscanf(text, "scrypt$%2u$%2u$%2u$%32[0-9a-f]$%64[0-9a-f]%n", &ret->log_n, &ret->r, &ret->p,
	               salt, hash, &n) == 5 &&
	       text[n] == '\0' && strlen(salt) == 2 * SALT && strlen(hash) == 2 * HASH && ret->log_n >= 1 &&
	       ret->log_n <= 17 && ret->r >= 1 && ret->r <= 8 && ret->p >= 1 && ret->p <= 16 &&
	       read_hex(salt, ret->salt, SALT) && read_hex(hash, ret->hash, HASH);
}

bool password_fits(const char *text, struct edged_slice password)
{
	struct parameters p = { 0 };
	uint8_t hash[HASH];
	bool known = parse(text, &p);
	if (!known)
		p = (struct parameters){ .log_n = LOG_N, .r = BLOCK_R, .p = PARALLEL };
	return derive(&p, password, hash) && CRYPTO_memcmp(hash, p.hash, HASH) == 0 && known;
}

void password_quick(
        const uint8_t key[32], const char *text, struct edged_slice password, uint8_t ret[PASSWORD_QUICK])
{
	uint8_t inner[PASSWORD_QUICK];
	unsigned n = PASSWORD_QUICK;
	memset(ret, 0, PASSWORD_QUICK);
	if (HMAC(EVP_sha256(), key, 32, (const uint8_t *)text, strlen(text), inner, &n) &&
	        HMAC(EVP_sha256(), inner, (int)n, (const uint8_t *)password.ptr, password.len, ret, &n))
		OPENSSL_cleanse(inner, sizeof(inner));
}

bool password_same(const uint8_t a[PASSWORD_QUICK], const uint8_t b[PASSWORD_QUICK])
{
	static const uint8_t none[PASSWORD_QUICK];
	return CRYPTO_memcmp(a, none, PASSWORD_QUICK) != 0 && CRYPTO_memcmp(a, b, PASSWORD_QUICK) == 0;
}

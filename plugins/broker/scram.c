/* SPDX-License-Identifier: Apache-2.0 */
#include "scram.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <sys/random.h>
#include "text.h"

enum { KEY = 32, NONCE = 18, NONCE_TEXT = 24 };

struct scram {
	struct verifier verifier;
	char *bare; /* the first message without its header; malloc'ed */
	size_t bare_len;
	struct edged_slice nonce; /* of the client, in `bare` */
	bool binding_unused;      /* it said "y": it could bind, and believes that we cannot */
	size_t sent_len;
	char sent[SCRAM_TEXT_MAX]; /* our challenge */
};

/* --- keys --------------------------------------------------------------------------------------------------------------------- */

static void hmac(const uint8_t *key, struct edged_slice text, uint8_t out[KEY])
{
	unsigned n = KEY;
	HMAC(EVP_sha256(), key, KEY, (const uint8_t *)text.ptr, text.len, out, &n);
}

static bool salted(const struct verifier *v, struct edged_slice password, uint8_t out[KEY])
{
	return PKCS5_PBKDF2_HMAC(password.ptr ? password.ptr : "", (int)password.len, v->salt,
	               sizeof(v->salt), (int)v->iterations, EVP_sha256(), KEY, out) == 1;
}

static bool keys(struct verifier *v, struct edged_slice password)
{
	uint8_t salted_password[KEY], client_key[KEY];
	if (!salted(v, password, salted_password))
		return false;
	hmac(salted_password, edged_str("Client Key"), client_key);
	hmac(salted_password, edged_str("Server Key"), v->server_key);
	SHA256(client_key, KEY, v->stored_key);
	OPENSSL_cleanse(salted_password, KEY);
	OPENSSL_cleanse(client_key, KEY);
	return true;
}

int verifier_make(struct edged_slice password, struct verifier *ret)
{
	struct verifier v = { .iterations = SCRAM_ITERATIONS };
	if (getrandom(v.salt, sizeof(v.salt), 0) != sizeof(v.salt) || !keys(&v, password))
		return -EIO;
	*ret = v;
	return 0;
}

bool verifier_fits(const struct verifier *verifier, struct edged_slice password)
{
	struct verifier v = *verifier;
	return keys(&v, password) && CRYPTO_memcmp(v.stored_key, verifier->stored_key, KEY) == 0;
}

void verifier_feign(const uint64_t key[2], struct edged_slice name, struct verifier *ret)
{
	uint8_t secret[KEY] = { 0 }, bytes[KEY];
	memcpy(secret, key, 16);
	*ret = (struct verifier){ .iterations = SCRAM_ITERATIONS };
	hmac(secret, name, bytes);
	memcpy(ret->salt, bytes, sizeof(ret->salt));
	hmac(bytes, name, ret->stored_key); /* nobody knows what it is the hash of */
	hmac(ret->stored_key, name, ret->server_key);
}

/* --- messages ------------------------------------------------------------------------------------------------------------------- */

/* The value of the attribute that comes next ("r=..."), and a comma behind it; false when another one comes. */
static bool take(struct edged_slice *text, char attribute, struct edged_slice *ret)
{
	if (text->len < 2 || text->ptr[0] != attribute || text->ptr[1] != '=')
		return false;
	const char *comma = memchr(text->ptr, ',', text->len);
	size_t n = comma ? (size_t)(comma - text->ptr) : text->len;
	*ret = edged_slice(text->ptr + 2, n - 2);
	*text = comma ? edged_slice(comma + 1, text->len - n - 1) : edged_slice(text->ptr + n, 0);
	return true;
}

/* "=2C" is a comma and "=3D" an equals sign. */
static bool read_name(struct edged_slice text, char *name, size_t *ret_len)
{
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (c == '=') {
			struct edged_slice code = edged_slice(text.ptr + i, text.len - i);
			if (!edged_slice_starts(code, "=2C") && !edged_slice_starts(code, "=3D"))
				return false;
			c = code.ptr[1] == '2' ? ',' : '=';
			i += 2;
		}
		if (n == SCRAM_NAME_MAX)
			return false;
		name[n++] = c;
	}
	*ret_len = n;
	return n > 0 && utf8_valid(edged_slice(name, n));
}

static bool printable(struct edged_slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < 0x21 || text.ptr[i] > 0x7e)
			return false;
	return text.len > 0;
}

struct scram *scram_new(struct edged_slice first, char *name, size_t *ret_name_len)
{
	struct edged_slice user, nonce;
	if (first.len > SCRAM_TEXT_MAX / 2 ||
	        (!edged_slice_starts(first, "n,,") && !edged_slice_starts(first, "y,,")))
		return NULL;
	struct scram *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->bare_len = first.len - 3;
	s->bare = malloc(s->bare_len + 1);
	if (!s->bare) {
		free(s);
		return NULL;
	}
	memcpy(s->bare, first.ptr + 3, s->bare_len);
	s->binding_unused = first.ptr[0] == 'y';
	struct edged_slice rest = edged_slice(s->bare, s->bare_len);
	if (take(&rest, 'n', &user) && take(&rest, 'r', &nonce) && printable(nonce) &&
	        read_name(user, name, ret_name_len)) {
		s->nonce = nonce;
		return s;
	}
	scram_free(s);
	return NULL;
}

void scram_free(struct scram *s)
{
	if (!s)
		return;
	free(s->bare);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

size_t scram_challenge(struct scram *s, const struct verifier *v, char *text)
{
	uint8_t random[NONCE];
	unsigned char nonce[NONCE_TEXT + 1], salt[24 + 1];
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return 0;
	EVP_EncodeBlock(nonce, random, NONCE);
	EVP_EncodeBlock(salt, v->salt, sizeof(v->salt));
	int n = snprintf(s->sent, sizeof(s->sent), "r=%.*s%s,s=%s,i=%u", EDGED_SLICE_FMT(s->nonce),
	        (char *)nonce, (char *)salt, v->iterations);
	if (n < 0 || (size_t)n >= sizeof(s->sent))
		return 0;
	s->verifier = *v;
	s->sent_len = (size_t)n;
	memcpy(text, s->sent, s->sent_len);
	return s->sent_len;
}

/* Everything said so far, without the proof. */
static bool said(const struct scram *s, struct edged_slice last, char *out, size_t *ret_len)
{
	int n = snprintf(out, 3 * SCRAM_TEXT_MAX, "%.*s,%.*s,%.*s", (int)s->bare_len, s->bare,
	        (int)s->sent_len, s->sent, EDGED_SLICE_FMT(last));
	*ret_len = (size_t)n;
	return n > 0 && n < 3 * SCRAM_TEXT_MAX;
}

static bool proof_fits(const struct scram *s, struct edged_slice all, struct edged_slice proof)
{
	uint8_t signature[KEY], hash[KEY], *bytes;
	size_t n;
	if (base64_decode(proof, &bytes, &n))
		return false;
	bool fits = n == KEY;
	if (fits) {
		hmac(s->verifier.stored_key, all, signature);
		for (size_t i = 0; i < KEY; i++)
			signature[i] ^= bytes[i]; /* the client's key */
		SHA256(signature, KEY, hash);
		fits = CRYPTO_memcmp(hash, s->verifier.stored_key, KEY) == 0;
		OPENSSL_cleanse(signature, KEY);
	}
	free(bytes);
	return fits;
}

int scram_prove(struct scram *s, struct edged_slice last, char *text, size_t *ret_len)
{
	struct edged_slice rest = last, binding, nonce, proof;
	const size_t nonce_len = s->nonce.len + NONCE_TEXT;
	if (last.len > SCRAM_TEXT_MAX / 2 || !s->sent_len || !take(&rest, 'c', &binding) ||
	        !take(&rest, 'r', &nonce) || !take(&rest, 'p', &proof) || rest.len)
		return -EACCES;
	if (!edged_slice_is(binding, s->binding_unused ? "eSws" : "biws") ||
	        !edged_slice_eq(nonce, edged_slice(s->sent + 2, nonce_len)))
		return -EACCES;
	char all[3 * SCRAM_TEXT_MAX];
	size_t n;
	if (!said(s, edged_slice(last.ptr, last.len - proof.len - 3), all, &n) ||
	        !proof_fits(s, edged_slice(all, n), proof))
		return -EACCES;
	uint8_t signature[KEY];
	hmac(s->verifier.server_key, edged_slice(all, n), signature);
	memcpy(text, "v=", 2);
	*ret_len = 2 + (size_t)EVP_EncodeBlock((unsigned char *)text + 2, signature, KEY);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "jwt.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

enum { SECRET_MIN = 32, RSA_MIN = 2048, LEEWAY_S = 30, SIGNATURE_MAX = 1024 };

struct jwt {
	unsigned refs; /* atomic */
	const char *alg;
	EVP_PKEY *key; /* NULL: a secret */
	char *secret;
	size_t secret_len;
	char *issuer, *audience;
};

/* --- keys --------------------------------------------------------------------------------------------------------------------- */

struct jwt *jwt_ref(struct jwt *jwt)
{
	if (jwt)
		__atomic_fetch_add(&jwt->refs, 1, __ATOMIC_RELAXED);
	return jwt;
}

void jwt_unref(struct jwt *jwt)
{
	if (!jwt || __atomic_sub_fetch(&jwt->refs, 1, __ATOMIC_ACQ_REL))
		return;
	EVP_PKEY_free(jwt->key);
	if (jwt->secret)
		OPENSSL_cleanse(jwt->secret, jwt->secret_len);
	free(jwt->secret);
	free(jwt->issuer);
	free(jwt->audience);
	free(jwt);
}

/* NULL: none of those that are allowed. */
static const char *alg_of(EVP_PKEY *key)
{
	char curve[32] = "";
	if (EVP_PKEY_is_a(key, "ED25519"))
		return "EdDSA";
	if (EVP_PKEY_is_a(key, "RSA"))
		return EVP_PKEY_get_bits(key) >= RSA_MIN ? "RS256" : NULL;
	if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) == 1 &&
	        strcmp(curve, "prime256v1") == 0)
		return "ES256";
	return NULL;
}

static const char *read_pem(struct jwt *jwt, struct edged_slice text)
{
	BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
	jwt->key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	if (!jwt->key)
		return "it is PEM, but holds no public key (BEGIN PUBLIC KEY)";
	jwt->alg = alg_of(jwt->key);
	return jwt->alg ? NULL : "the key is neither RSA of 2,048 bits or more, nor P-256, nor Ed25519";
}

static const char *read_secret(struct jwt *jwt, struct edged_slice text)
{
	if (text.len && text.ptr[text.len - 1] == '\n')
		text.len--;
	if (text.len < SECRET_MIN)
		return "a secret has 32 bytes at least";
	jwt->alg = "HS256";
	jwt->secret = malloc(text.len);
	jwt->secret_len = text.len;
	if (!jwt->secret)
		return "there is no memory";
	memcpy(jwt->secret, text.ptr, text.len);
	return NULL;
}

int jwt_new(struct edged_slice key, const char *issuer, const char *audience, struct jwt **ret, char *why,
        size_t why_size)
{
	struct jwt *jwt = calloc(1, sizeof(*jwt));
	if (!jwt)
		return -ENOMEM;
	jwt->refs = 1;
	jwt->issuer = strdup(issuer);
	jwt->audience = strdup(audience);
	const char *wrong = !jwt->issuer || !jwt->audience           ? "there is no memory"
	                    : edged_slice_starts(key, "-----BEGIN ") ? read_pem(jwt, key)
	                                                             : read_secret(jwt, key);
	if (!wrong) {
		*ret = jwt;
		return 0;
	}
	snprintf(why, why_size, "%s", wrong);
	jwt_unref(jwt);
	return -EINVAL;
}

/* --- the form ----------------------------------------------------------------------------------------------------------------- */

static int digit(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '-'             ? 62
	       : c == '_'             ? 63
	                              : -1;
}

/* Base64 for URLs without padding (RFC 7515, section 2), in its one right form. -1: it is not. */
static long decode(struct edged_slice text, uint8_t *out, size_t room)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;
	if (text.len % 4 == 1)
		return -1;
	for (size_t i = 0; i < text.len; i++) {
		int d = digit(text.ptr[i]);
		if (d < 0)
			return -1;
		bits = bits << 6 | (uint32_t)d;
		have += 6;
		if (have < 8)
			continue;
		if (n == room)
			return -1;
		have -= 8;
		out[n++] = (uint8_t)(bits >> have);
	}
	return bits & ((1u << have) - 1) ? -1 : (long)n;
}

struct parts {
	struct edged_slice header, payload, signature, signed_text;
};

static bool split(struct edged_slice token, struct parts *ret)
{
	const char *first = token.len && token.len <= JWT_MAX ? memchr(token.ptr, '.', token.len) : NULL;
	if (!first)
		return false;
	const char *end = token.ptr + token.len;
	const char *second = memchr(first + 1, '.', (size_t)(end - first - 1));
	if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
		return false;
	ret->header = edged_slice(token.ptr, (size_t)(first - token.ptr));
	ret->payload = edged_slice(first + 1, (size_t)(second - first - 1));
	ret->signature = edged_slice(second + 1, (size_t)(end - second - 1));
	ret->signed_text = edged_slice(token.ptr, (size_t)(second - token.ptr));
	return ret->header.len && ret->payload.len;
}

bool jwt_form(struct edged_slice text)
{
	struct parts parts;
	return edged_slice_starts(text, "eyJ") && split(text, &parts);
}

static json_t *read_json(struct edged_slice text)
{
	uint8_t bytes[JWT_MAX];
	long n = decode(text, bytes, sizeof(bytes));
	json_t *json = n < 0 ? NULL : json_loadb((char *)bytes, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(json))
		return json;
	json_decref(json);
	return NULL;
}

/* --- the signature ------------------------------------------------------------------------------------------------------------ */

/* Two numbers of 32 bytes (RFC 7518, section 3.4) become what OpenSSL expects. */
static size_t to_der(const uint8_t *raw, uint8_t *out)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw, 32, NULL), *s = BN_bin2bn(raw + 32, 32, NULL);
	int n = 0;
	if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
		n = i2d_ECDSA_SIG(sig, &out);
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(sig);
	return n > 0 ? (size_t)n : 0;
}

static bool verify_key(EVP_PKEY *key, const char *alg, struct edged_slice text, const uint8_t *sig, size_t n)
{
	uint8_t der[80];
	if (strcmp(alg, "ES256") == 0) {
		if (n != 64 || !(n = to_der(sig, der)))
			return false;
		sig = der;
	}
	const EVP_MD *digest = strcmp(alg, "EdDSA") == 0 ? NULL : EVP_sha256();
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context && EVP_DigestVerifyInit(context, NULL, digest, NULL, key) == 1 &&
	            EVP_DigestVerify(context, sig, n, (const uint8_t *)text.ptr, text.len) == 1;
	EVP_MD_CTX_free(context);
	return good;
}

static bool verify(const struct jwt *jwt, const struct parts *parts)
{
	uint8_t sig[SIGNATURE_MAX], mac[32];
	long n = decode(parts->signature, sig, sizeof(sig));
	if (n <= 0)
		return false;
	if (jwt->key)
		return verify_key(jwt->key, jwt->alg, parts->signed_text, sig, (size_t)n);
	unsigned len = sizeof(mac);
	return n == sizeof(mac) &&
	       HMAC(EVP_sha256(), jwt->secret, (int)jwt->secret_len, (const uint8_t *)parts->signed_text.ptr,
	               parts->signed_text.len, mac, &len) &&
	       CRYPTO_memcmp(mac, sig, sizeof(mac)) == 0;
}

/* --- what it says ------------------------------------------------------------------------------------------------------------- */

static bool is_text(const json_t *value, const char *text)
{
	return json_is_string(value) && strlen(text) == json_string_length(value) &&
	       strcmp(json_string_value(value), text) == 0;
}

/* The key says which algorithm it is; "crit" names extensions that must be understood, and none is. */
static bool header_fits(const struct jwt *jwt, struct edged_slice text)
{
	json_t *header = read_json(text);
	bool fits = is_text(json_object_get(header, "alg"), jwt->alg) && !json_object_get(header, "crit");
	json_decref(header);
	return fits;
}

static bool audience_fits(const json_t *aud, const char *wanted)
{
	size_t i;
	const json_t *item;
	if (!*wanted || is_text(aud, wanted))
		return true;
	json_array_foreach(aud, i, item) if (is_text(item, wanted)) return true;
	return false;
}

/* It must end; where it says when it begins, it has begun. */
static bool time_fits(const json_t *claims, uint64_t now, uint64_t *ret_end)
{
	const json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf");
	if (!json_is_number(exp) || (nbf && !json_is_number(nbf)))
		return false;
	double end = json_number_value(exp), begin = nbf ? json_number_value(nbf) : 0;
	if (!(end > (double)now) || !(begin <= (double)now + LEEWAY_S))
		return false;
	*ret_end = end < 1e15 ? (uint64_t)end : (uint64_t)1e15;
	return true;
}

static bool subject_fits(const json_t *sub, char *ret, size_t *ret_len)
{
	size_t n = json_string_length(sub);
	if (!json_is_string(sub) || n == 0 || n > JWT_SUB_MAX)
		return false;
	memcpy(ret, json_string_value(sub), n);
	*ret_len = n;
	return true;
}

int jwt_judge(const struct jwt *jwt, struct edged_slice token, uint64_t now, char *ret_sub,
        size_t *ret_sub_len, uint64_t *ret_end)
{
	struct parts parts;
	if (!split(token, &parts) || !header_fits(jwt, parts.header) || !verify(jwt, &parts))
		return -EACCES;
	json_t *claims = read_json(parts.payload);
	bool fits = claims && time_fits(claims, now, ret_end) &&
	            (!*jwt->issuer || is_text(json_object_get(claims, "iss"), jwt->issuer)) &&
	            audience_fits(json_object_get(claims, "aud"), jwt->audience) &&
	            subject_fits(json_object_get(claims, "sub"), ret_sub, ret_sub_len);
	json_decref(claims);
	return fits ? 0 : -EACCES;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "password.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>

#include "text.h"

/* OWASP's recommendation for Argon2id where memory is short: 19 MiB, 2 rounds, 1 lane. */
enum { ROUNDS = 2, KIBIBYTES = 19456 };
enum { ROUNDS_MAX = 16, KIBIBYTES_MAX = 256 * 1024, ITERATIONS_MAX = 10000000 };
enum { SHA512_LEN = 64, SHA512_TEXT = 88, SALT_MAX = 64 };

int password_hash(struct edged_slice password, char *ret)
{
	_Static_assert(HASH_MAX >= crypto_pwhash_argon2id_STRBYTES, "room for the text");
	if (sodium_init() < 0)
		return -EIO;
	return crypto_pwhash_argon2id_str(
	               ret, password.len ? password.ptr : "", password.len, ROUNDS, (size_t)KIBIBYTES * 1024)
	               ? -ENOMEM
	               : 0;
}

const char *password_decoy(void)
{
	return "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
	       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
}

/* --- reading ------------------------------------------------------------------------------------------------------------------ */

/* What comes before `end` (0: all of it), which is taken, too. */
static bool take(struct edged_slice *text, char end, struct edged_slice *ret)
{
	const char *at = end && text->len ? memchr(text->ptr, end, text->len) : NULL;
	if (end && !at)
		return false;
	size_t n = at ? (size_t)(at - text->ptr) : text->len;
	*ret = edged_slice(text->ptr, n);
	*text = at ? edged_slice(at + 1, text->len - n - 1) : edged_slice(text->ptr + n, 0);
	return true;
}

static bool number(struct edged_slice text, const char *name, uint64_t max, uint64_t *ret)
{
	size_t skip = strlen(name);
	return edged_slice_starts(text, name) &&
	       number_parse(edged_slice(text.ptr + skip, text.len - skip), max, ret) == 0 && *ret > 0;
}

static bool base64_text(struct edged_slice text, size_t min, size_t max)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < text.len; i++)
		if (!text.ptr[i] || !strchr(digits, text.ptr[i]))
			return false;
	return text.len >= min && text.len <= max && text.len % 4 != 1;
}

static bool argon2_valid(struct edged_slice text)
{
	struct edged_slice part;
	uint64_t n;
	return take(&text, '$', &part) && edged_slice_is(part, "v=19") && take(&text, ',', &part) &&
	       number(part, "m=", KIBIBYTES_MAX, &n) && n >= 8 && take(&text, ',', &part) &&
	       number(part, "t=", ROUNDS_MAX, &n) && take(&text, '$', &part) && edged_slice_is(part, "p=1") &&
	       take(&text, '$', &part) && base64_text(part, 11, 64) && base64_text(text, 22, 86);
}

struct pbkdf2 {
	uint64_t iterations;
	uint8_t *salt, *hash;
	size_t salt_len, hash_len;
};

static void pbkdf2_free(struct pbkdf2 *p)
{
	free(p->salt);
	free(p->hash);
}

/* Behind "$7$". To be freed in any case. */
static bool pbkdf2_read(struct edged_slice text, struct pbkdf2 *ret)
{
	struct edged_slice part;
	*ret = (struct pbkdf2){ 0 };
	return take(&text, '$', &part) && number(part, "", ITERATIONS_MAX, &ret->iterations) &&
	       take(&text, '$', &part) && base64_decode(part, &ret->salt, &ret->salt_len) == 0 &&
	       ret->salt_len >= 8 && ret->salt_len <= SALT_MAX && text.len == SHA512_TEXT &&
	       base64_decode(text, &ret->hash, &ret->hash_len) == 0 && ret->hash_len == SHA512_LEN;
}

static bool starts(struct edged_slice *text, const char *start)
{
	size_t n = strlen(start);
	if (!edged_slice_starts(*text, start))
		return false;
	*text = edged_slice(text->ptr + n, text->len - n);
	return true;
}

bool password_hash_valid(struct edged_slice text)
{
	if (text.len >= HASH_MAX)
		return false;
	if (starts(&text, "$argon2id$"))
		return argon2_valid(text);
	struct pbkdf2 p = { 0 };
	bool valid = starts(&text, "$7$") && pbkdf2_read(text, &p);
	pbkdf2_free(&p);
	return valid;
}

/* --- comparing ---------------------------------------------------------------------------------------------------------------- */

static bool pbkdf2_fits(struct edged_slice text, struct edged_slice password)
{
	struct pbkdf2 p;
	uint8_t hash[SHA512_LEN];
	bool fits = pbkdf2_read(text, &p) &&
	            PKCS5_PBKDF2_HMAC(password.len ? password.ptr : "", (int)password.len, p.salt,
	                    (int)p.salt_len, (int)p.iterations, EVP_sha512(), SHA512_LEN, hash) == 1 &&
	            CRYPTO_memcmp(hash, p.hash, SHA512_LEN) == 0;
	pbkdf2_free(&p);
	OPENSSL_cleanse(hash, sizeof(hash));
	return fits;
}

bool password_fits(const char *hash, struct edged_slice password)
{
	struct edged_slice text = edged_str(hash);
	if (!password_hash_valid(text) || sodium_init() < 0)
		return false;
	if (starts(&text, "$7$"))
		return pbkdf2_fits(text, password);
	return crypto_pwhash_argon2id_str_verify(hash, password.len ? password.ptr : "", password.len) == 0;
}

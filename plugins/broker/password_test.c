/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of passwords, files of users, tokens, and how many guesses there are. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "jwt.h"
#include "password_file.h"
#include "penalty.h"

/* Made by Python's hashlib for "secret". */
#define OLD                                                                                                  \
	"$7$101$MDEyMzQ1Njc4OWFi$"                                                                           \
	"EO/lLlkeUgIiBaS8G8UK0ZMP1u508TA7Tl+AdJ1cEsmlbGyEPAERErpfq84j1kepISs0UzmcdL4ucgZ2uodxfQ=="

/* --- hashes ----------------------------------------------------------------------------------------------------------------- */

static void passwords_are_told_apart(void **state)
{
	(void)state;
	char a[HASH_MAX], b[HASH_MAX];
	assert_int_equal(password_hash(edged_str("pencil"), a), 0);
	assert_int_equal(password_hash(edged_str("pencil"), b), 0);
	assert_string_not_equal(a, b);
	assert_true(password_hash_valid(edged_str(a)));
	assert_true(password_fits(a, edged_str("pencil")));
	assert_false(password_fits(a, edged_str("pencil ")));
	assert_false(password_fits(a, edged_str("")));
	assert_true(password_fits(OLD, edged_str("secret")));
	assert_false(password_fits(OLD, edged_str("Secret")));
	assert_true(password_hash_valid(edged_str(password_decoy())));
	assert_false(password_fits(password_decoy(), edged_str("")));
	a[strlen(a) - 1] ^= 4;
	assert_false(password_fits(a, edged_str("pencil")));
}

static void hashes_that_cost_too_much_or_are_none_are_refused(void **state)
{
	(void)state;
	static const char *const rows[] = { "", "secret", "$7$", "$7$0$MDEyMzQ1Njc4OWFi$x",
		"$argon2i$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=9999999,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=19456,t=17,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA", "$6$salt$hash" };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_false(password_hash_valid(edged_str(rows[i])));
}

/* --- files ------------------------------------------------------------------------------------------------------------------ */

static int parse(const char *text, struct password_file *ret, unsigned *ret_line)
{
	const char *why;
	char *copy = malloc(strlen(text) + 1);
	assert_non_null(copy);
	memcpy(copy, text, strlen(text) + 1);
	*ret_line = 0;
	return password_file_parse(copy, strlen(text), ret, ret_line, &why);
}

static void a_file_is_read_whole_or_not_at_all(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned line;
	} rows[] = { { "ann:" OLD "\nbob\n", 2 }, { "ann:" OLD "\n:" OLD "\n", 2 }, { "ann:\n", 1 },
		{ "# me\n\nann:plain\n", 3 }, { "ann:" OLD "\nann:" OLD "\n", 0 }, { "a\tb:" OLD "\n", 1 },
		{ "ann:" OLD "\r\n", 1 }, { " \n", 1 } };
	struct password_file file;
	unsigned line;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(parse(rows[i].text, &file, &line), -EINVAL);
		assert_int_equal(line, rows[i].line);
	}
	assert_int_equal(parse("# users\n\nbob:" OLD "\nann:" OLD, &file, &line), 0);
	assert_int_equal(file.count, 2);
	assert_string_equal(password_file_find(&file, edged_str("ann")), OLD);
	assert_non_null(password_file_find(&file, edged_str("bob")));
	assert_null(password_file_find(&file, edged_str("# users")));
	assert_null(password_file_find(&file, edged_str("")));
	password_file_free(&file);
	assert_int_equal(parse("", &file, &line), 0); /* nobody, not everybody */
	assert_null(password_file_find(&file, edged_str("ann")));
	password_file_free(&file);
}

/* CVE-2018-12551: a file that is cut anywhere never lets in who is not in it. */
static void a_file_that_is_cut_lets_in_nobody_by_mistake(void **state)
{
	(void)state;
	static const char whole[] = "ann:" OLD "\nbob:" OLD "\n";
	char part[sizeof(whole)];
	for (size_t n = 0; n < sizeof(whole); n++) {
		struct password_file file = { 0 };
		unsigned line;
		memcpy(part, whole, n);
		part[n] = 0;
		if (parse(part, &file, &line))
			continue;
		for (size_t i = 0; i < file.count; i++)
			assert_string_equal(file.users[i].hash.ptr, OLD);
		password_file_free(&file);
	}
}

static void a_file_that_others_may_change_or_read_is_refused(void **state)
{
	(void)state;
	char path[] = "/tmp/edged-users-XXXXXX", why[300];
	int fd = mkstemp(path);
	assert_true(fd >= 0 && write(fd, "ann:" OLD "\n", sizeof(OLD) + 4) > 0);
	static const struct {
		mode_t mode;
		int result;
	} rows[] = { { 0600, 0 }, { 0640, 0 }, { 0644, -EPERM }, { 0660, -EPERM }, { 0602, -EPERM } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct password_file file = { 0 };
		assert_int_equal(fchmod(fd, rows[i].mode), 0);
		assert_int_equal(password_file_read(path, &file, why, sizeof(why)), rows[i].result);
		password_file_free(&file);
	}
	close(fd);
	unlink(path);
	struct password_file file;
	assert_int_equal(password_file_read(path, &file, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, path));
}

/* --- tokens ----------------------------------------------------------------------------------------------------------------- */

static void url64(const void *bytes, size_t n, char *out)
{
	int len = EVP_EncodeBlock((unsigned char *)out, bytes, (int)n);
	while (len && out[len - 1] == '=')
		len--;
	out[len] = 0;
	for (char *c = out; *c; c++)
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
}

#define SECRET "0123456789abcdef0123456789abcdef"

static const char *sign(const char *header, const char *claims, const char *secret, EVP_PKEY *key)
{
	static char token[4000];
	unsigned char sig[512];
	char part[2000];
	size_t n = sizeof(sig);
	url64(header, strlen(header), part);
	int at = snprintf(token, sizeof(token), "%s.", part);
	url64(claims, strlen(claims), part);
	at += snprintf(token + at, sizeof(token) - (size_t)at, "%s", part);
	if (secret) {
		unsigned len = 0;
		HMAC(EVP_sha256(), secret, (int)strlen(secret), (unsigned char *)token, (size_t)at, sig,
		        &len);
		n = len;
	} else {
		EVP_MD_CTX *context = EVP_MD_CTX_new();
		bool ed = EVP_PKEY_is_a(key, "ED25519");
		assert_int_equal(EVP_DigestSignInit(context, NULL, ed ? NULL : EVP_sha256(), NULL, key), 1);
		assert_int_equal(EVP_DigestSign(context, sig, &n, (unsigned char *)token, (size_t)at), 1);
		EVP_MD_CTX_free(context);
		if (EVP_PKEY_is_a(key, "EC")) {
			const unsigned char *der = sig;
			ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)n);
			unsigned char raw[64];
			BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, 32);
			BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + 32, 32);
			ECDSA_SIG_free(pair);
			memcpy(sig, raw, n = 64);
		}
	}
	url64(sig, n, part);
	snprintf(token + at, sizeof(token) - (size_t)at, ".%s", part);
	return token;
}

static struct jwt *key_of(const char *text, const char *issuer, const char *audience)
{
	struct jwt *jwt = NULL;
	char why[200];
	assert_int_equal(jwt_new(edged_str(text), issuer, audience, &jwt, why, sizeof(why)), 0);
	return jwt;
}

static bool good(const struct jwt *jwt, const char *token)
{
	char sub[JWT_SUB_MAX];
	size_t n = 0;
	uint64_t end = 0;
	if (jwt_judge(jwt, edged_str(token), 1000, sub, &n, &end))
		return false;
	return edged_slice_is(edged_slice(sub, n), "ann") && end > 1000;
}

#define HS "{\"alg\":\"HS256\"}"

static void tokens_are_judged_by_what_they_say(void **state)
{
	(void)state;
	static const struct {
		const char *header, *claims;
		bool good;
	} rows[] = {
		{ HS, "{\"sub\":\"ann\",\"exp\":1001,\"iss\":\"me\",\"aud\":\"you\"}", true },
		{ HS, "{\"sub\":\"ann\",\"exp\":1001,\"iss\":\"me\",\"aud\":[\"x\",\"you\"],\"nbf\":1000}",
		        true },
		{ HS, "{\"sub\":\"ann\",\"exp\":1000,\"iss\":\"me\",\"aud\":\"you\"}", false },
		{ HS, "{\"sub\":\"ann\",\"iss\":\"me\",\"aud\":\"you\"}", false },
		{ HS, "{\"sub\":\"ann\",\"exp\":\"9999\",\"iss\":\"me\",\"aud\":\"you\"}", false },
		{ HS, "{\"sub\":\"ann\",\"exp\":9999,\"iss\":\"me\",\"aud\":\"you\",\"nbf\":2000}", false },
		{ HS, "{\"sub\":\"ann\",\"exp\":9999,\"iss\":\"he\",\"aud\":\"you\"}", false },
		{ HS, "{\"sub\":\"ann\",\"exp\":9999,\"iss\":\"me\",\"aud\":\"she\"}", false },
		{ HS, "{\"sub\":\"\",\"exp\":9999,\"iss\":\"me\",\"aud\":\"you\"}", false },
		{ HS, "{\"exp\":9999,\"iss\":\"me\",\"aud\":\"you\"}", false },
		{ HS, "[]", false },
		{ "{\"alg\":\"none\"}", "{\"sub\":\"ann\",\"exp\":9999,\"iss\":\"me\",\"aud\":\"you\"}",
		        false },
		{ "{\"alg\":\"HS512\"}", "{\"sub\":\"ann\",\"exp\":9999,\"iss\":\"me\",\"aud\":\"you\"}",
		        false },
		{ "{\"alg\":\"HS256\",\"crit\":[\"x\"]}",
		        "{\"sub\":\"ann\",\"exp\":9999,\"iss\":\"me\",\"aud\":\"you\"}", false },
	};
	struct jwt *jwt = key_of(SECRET "\n", "me", "you"),
	           *other = key_of("another secret of 32 bytes or more", "", "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *token = sign(rows[i].header, rows[i].claims, SECRET, NULL);
		assert_int_equal(good(jwt, token), rows[i].good);
		assert_false(good(other, token));
	}
	jwt_unref(jwt);
	jwt_unref(other);
}

static void public_keys_pin_their_algorithm(void **state)
{
	(void)state;
	static const struct {
		const char *alg;
		int kind;
	} rows[] = { { "RS256", EVP_PKEY_RSA }, { "ES256", EVP_PKEY_EC }, { "EdDSA", EVP_PKEY_ED25519 } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		EVP_PKEY *key = rows[i].kind == EVP_PKEY_RSA  ? EVP_RSA_gen(2048)
		                : rows[i].kind == EVP_PKEY_EC ? EVP_EC_gen("P-256")
		                                              : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		char header[40], pem[1000] = "";
		BIO *bio = BIO_new(BIO_s_mem());
		assert_true(key && PEM_write_bio_PUBKEY(bio, key));
		BIO_read(bio, pem, sizeof(pem) - 1);
		BIO_free(bio);
		struct jwt *jwt = key_of(pem, "", "");
		snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", rows[i].alg);
		assert_true(good(jwt, sign(header, "{\"sub\":\"ann\",\"exp\":1001}", NULL, key)));
		/* the public key as a secret, and another algorithm's name over a good signature */
		assert_false(good(jwt, sign(HS, "{\"sub\":\"ann\",\"exp\":1001}", pem, NULL)));
		assert_false(
		        good(jwt, sign("{\"alg\":\"none\"}", "{\"sub\":\"ann\",\"exp\":1001}", NULL, key)));
		char token[4000];
		snprintf(token, sizeof(token), "%s",
		        sign(header, "{\"sub\":\"ann\",\"exp\":1001}", NULL, key));
		assert_true(jwt_form(edged_str(token)));
		for (size_t n = 0; n < strlen(token); n++) {
			char sub[JWT_SUB_MAX];
			size_t len;
			uint64_t end;
			assert_int_equal(
			        jwt_judge(jwt, edged_slice(token, n), 1000, sub, &len, &end), -EACCES);
		}
		jwt_unref(jwt);
		EVP_PKEY_free(key);
	}
	struct jwt *jwt;
	char why[200];
	assert_int_equal(jwt_new(edged_str("too short"), "", "", &jwt, why, sizeof(why)), -EINVAL);
	assert_int_equal(jwt_new(edged_str("-----BEGIN nothing"), "", "", &jwt, why, sizeof(why)), -EINVAL);
}

/* --- guesses ---------------------------------------------------------------------------------------------------------------- */

/* How many guesses one address has in an hour, however it spreads them. */
static void one_address_has_few_guesses(void **state)
{
	(void)state;
	static struct penalties p;
	for (uint32_t pause = 0; pause <= 3600; pause += 60) {
		memset(&p, 0, sizeof(p));
		penalties_init(&p);
		unsigned guesses = 0;
		for (uint32_t now = 100000; now < 100000 + 3600; now++)
			if (!penalty_left(&p, 7, now) &&
			        (guesses < 4 || pause == 0 || now % (pause + 1) == 0)) {
				penalty_add(&p, 7, now);
				guesses++;
			}
		assert_in_range(guesses, 1, 20);
		penalties_fini(&p);
	}
}

static void all_together_have_few_and_who_was_there_gets_in(void **state)
{
	(void)state;
	static struct penalties p;
	penalties_init(&p);
	uint64_t good_one = UINT64_C(5) << 32 | 5;
	penalty_forget(&p, good_one);
	unsigned guesses = 0;
	for (uint32_t now = 100000; now < 100000 + 3600; now++)
		for (uint64_t i = 0; i < 4; i++) {
			uint64_t from = ((uint64_t)now * 4 + i) * UINT64_C(0x9e3779b97f4a7c15);
			if (from % PENALTY_ENTRIES != 5 && !penalty_left(&p, from, now)) {
				penalty_add(&p, from, now);
				guesses++;
			}
		}
	assert_in_range(guesses, 500, 1000);
	assert_int_equal(penalty_left(&p, good_one, 100000 + 3600), 0);
	penalties_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passwords_are_told_apart),
		cmocka_unit_test(hashes_that_cost_too_much_or_are_none_are_refused),
		cmocka_unit_test(a_file_is_read_whole_or_not_at_all),
		cmocka_unit_test(a_file_that_is_cut_lets_in_nobody_by_mistake),
		cmocka_unit_test(a_file_that_others_may_change_or_read_is_refused),
		cmocka_unit_test(tokens_are_judged_by_what_they_say),
		cmocka_unit_test(public_keys_pin_their_algorithm),
		cmocka_unit_test(one_address_has_few_guesses),
		cmocka_unit_test(all_together_have_few_and_who_was_there_gets_in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

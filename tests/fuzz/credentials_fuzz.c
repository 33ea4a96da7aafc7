/* layers: plugins/broker base */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What shows who somebody is: the first byte says whether the rest is a file of users or a token. A file that is taken has
 * names in order, each once, and hashes that could be compared with. A token gets in only with a signature, which is
 * put on here so that what it says is read, too; one without is never taken.
 */
#include <openssl/hmac.h>
#include <stdlib.h>

#include "../../plugins/broker/jwt.h"
#include "../../plugins/broker/password_file.h"
#include "../../plugins/broker/users.h"

#define SECRET "0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* --- files ------------------------------------------------------------------------------------------------------------------ */

static void read_file(const uint8_t *data, size_t size)
{
	struct password_file file;
	unsigned line;
	const char *why = NULL;
	char *text = malloc(size + 1);
	must(text);
	memcpy(text, data, size);
	text[size] = 0;
	if (password_file_parse(text, size, &file, &line, &why)) {
		must(why);
		return;
	}
	for (size_t i = 0; i < file.count; i++) {
		const struct file_user *user = &file.users[i];
		must(user_name_valid(user->name) && strlen(user->hash.ptr) == user->hash.len);
		must(password_hash_valid(user->hash));
		must(password_file_find(&file, user->name) == user->hash.ptr);
	}
	password_file_free(&file);
}

/* --- tokens ----------------------------------------------------------------------------------------------------------------- */

static size_t url64(const uint8_t *bytes, size_t n, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0;
	unsigned have = 0;
	size_t len = 0;
	for (size_t i = 0; i < n; i++) {
		bits = bits << 8 | bytes[i];
		for (have += 8; have >= 6; have -= 6)
			out[len++] = digits[bits >> (have - 6) & 63];
	}
	if (have)
		out[len++] = digits[bits << (6 - have) & 63];
	return len;
}

static bool judge(const struct jwt *jwt, const char *token, size_t len)
{
	char sub[JWT_SUB_MAX];
	size_t n = 0;
	uint64_t end = 0;
	if (jwt_judge(jwt, edged_slice(token, len), 1000, sub, &n, &end))
		return false;
	must(n > 0 && n <= JWT_SUB_MAX && end >= 1000);
	return true;
}

/* The bytes are what a token says, with a header and a signature that are right. */
static void read_claims(const struct jwt *jwt, const uint8_t *data, size_t size)
{
	static char token[JWT_MAX * 2];
	static const char header[] = "{\"alg\":\"HS256\"}";
	uint8_t mac[32];
	unsigned mac_len = sizeof(mac);
	if (size > JWT_MAX)
		return;
	size_t n = url64((const uint8_t *)header, sizeof(header) - 1, token);
	token[n++] = '.';
	n += url64(data, size, token + n);
	must(HMAC(EVP_sha256(), SECRET, sizeof(SECRET) - 1, (uint8_t *)token, n, mac, &mac_len));
	token[n++] = '.';
	n += url64(mac, sizeof(mac), token + n);
	bool good = judge(jwt, token, n);
	token[n - 2] = token[n - 2] == 'A' ? 'B' : 'A';
	must(!good || !judge(jwt, token, n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct jwt *jwt;
	char why[200];
	if (!jwt)
		must(jwt_new(edged_str(SECRET), "", "edge", &jwt, why, sizeof(why)) == 0);
	if (!size)
		return 0;
	data++, size--;
	if (data[-1] == 'f') {
		read_file(data, size);
	} else if (data[-1] == 't') {
		must(!judge(jwt, (const char *)data, size));
		(void)jwt_form(edged_slice(data, size));
	} else {
		read_claims(jwt, data, size);
	}
	return 0;
}

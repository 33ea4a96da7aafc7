/* SPDX-License-Identifier: Apache-2.0 */
#include "sigv4.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define ALGORITHM "AWS4-HMAC-SHA256"

enum { HASH = 32, TARGET_MAX = 4096, QUERY_MAX = 64, SECRET_MAX = 128 };

static int wrong(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EINVAL;
}

/* --- texts ---------------------------------------------------------------------------------------------------------------- */

/* Cuts off what is in front of `mark`; false: there is no mark, and all is taken. */
static bool cut(struct edged_slice *text, char mark, struct edged_slice *ret)
{
	const char *at = text->len ? memchr(text->ptr, mark, text->len) : NULL;
	size_t n = at ? (size_t)(at - text->ptr) : text->len;
	*ret = edged_slice(text->ptr, n);
	*text = edged_slice(text->ptr + n + (at ? 1 : 0), text->len - n - (at ? 1 : 0));
	return at != NULL;
}

static bool copy(struct edged_slice text, char *to, size_t size)
{
	if (text.len >= size || (text.len && memchr(text.ptr, 0, text.len)))
		return false;
	if (text.len)
		memcpy(to, text.ptr, text.len);
	to[text.len] = '\0';
	return true;
}

static int digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	                              : -1;
}

/* Of RFC 3986. A '%' without two digits stands for itself. Returns the length. */
static size_t decode(struct edged_slice text, char *to)
{
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		int high = i + 2 < text.len && text.ptr[i] == '%' ? digit(text.ptr[i + 1]) : -1;
		int low = high >= 0 ? digit(text.ptr[i + 2]) : -1;
		to[n++] = low >= 0 ? (char)(high << 4 | low) : text.ptr[i];
		i += low >= 0 ? 2 : 0;
	}
	return n;
}

/* All but the unreserved characters, and those of `more`. Returns the length, up to three times that of the text. */
static size_t encode(struct edged_slice text, const char *more, char *to)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		             (c && strchr("-._~", c)) || (c && strchr(more, c));
		if (!plain) {
			to[n++] = '%';
			to[n++] = digits[c >> 4];
		}
		to[n++] = plain ? (char)c : digits[c & 15];
	}
	return n;
}

static void hex(const uint8_t hash[HASH], char ret[2 * HASH + 1])
{
	for (size_t i = 0; i < HASH; i++)
		snprintf(ret + 2 * i, 3, "%02x", hash[i]);
}

static bool read_hex(struct edged_slice text, uint8_t ret[HASH])
{
	for (size_t i = 0; i < HASH && text.len == (size_t)2 * HASH; i++) {
		int high = digit(text.ptr[2 * i]), low = digit(text.ptr[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return text.len == (size_t)2 * HASH;
}

/* --- fields and parameters ------------------------------------------------------------------------------------------------ */

static bool named(const struct edged_http_field *field, struct edged_slice name)
{
	return field->name.len == name.len && strncasecmp(field->name.ptr, name.ptr, name.len) == 0;
}

static struct edged_slice header(const struct edged_http_message *m, const char *name)
{
	for (size_t i = 0; i < m->field_count; i++)
		if (named(&m->fields[i], edged_str(name)))
			return m->fields[i].value;
	return edged_slice(NULL, 0);
}

static struct edged_slice path_of(const struct edged_http_message *m)
{
	struct edged_slice rest = m->target, path;
	cut(&rest, '?', &path);
	return path;
}

static struct edged_slice query_of(const struct edged_http_message *m)
{
	struct edged_slice rest = m->target, path;
	cut(&rest, '?', &path);
	return rest;
}

/* The value as it is on the wire; .ptr NULL: there is none. */
static struct edged_slice parameter(const struct edged_http_message *m, const char *name)
{
	struct edged_slice query = query_of(m), one, key;
	while (query.len) {
		cut(&query, '&', &one);
		cut(&one, '=', &key);
		if (edged_slice_is(key, name))
			return one;
	}
	return edged_slice(NULL, 0);
}

/* The decoded value as text; false: too long, or there is none. */
static bool read_parameter(const struct edged_http_message *m, const char *name, char *ret, size_t size)
{
	struct edged_slice value = parameter(m, name);
	char text[TARGET_MAX];
	if (!value.ptr || value.len > sizeof(text))
		return false;
	return copy(edged_slice(text, decode(value, text)), ret, size);
}

/* --- reading -------------------------------------------------------------------------------------------------------------- */

/* "20150830T123600Z" */
static int read_time(const char *text, int64_t *ret)
{
	struct tm tm = { 0 };
	int n = 0;
	if (strspn(text, "0123456789TZ") != 16 || text[16] ||
	        sscanf(text, "%4d%2d%2dT%2d%2d%2dZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
	                &tm.tm_min, &tm.tm_sec, &n) != 6 ||
	        n != 16)
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	*ret = (int64_t)timegm(&tm);
	return 0;
}

/* KEY/DATE/REGION/SERVICE/aws4_request, and the time, which must be of that date. */
static int read_scope(struct sigv4 *s, const char **ret_why)
{
	struct edged_slice rest = edged_str(s->credential);
	bool whole = cut(&rest, '/', &s->key_id);
	s->scope = rest;
	whole = whole && cut(&rest, '/', &s->date) && cut(&rest, '/', &s->region) &&
	        cut(&rest, '/', &s->service);
	if (!whole || !edged_slice_is(rest, "aws4_request") || !s->key_id.len)
		return wrong(ret_why, "The credential of the signature is not "
		                      "KEY/DATE/REGION/SERVICE/aws4_request.");
	if (read_time(s->time, &s->at))
		return wrong(ret_why, "The signature has no X-Amz-Date, such as 20150830T123600Z.");
	if (s->date.len != 8 || memcmp(s->date.ptr, s->time, 8) != 0)
		return wrong(ret_why, "The date of the credential is not that of X-Amz-Date.");
	return 0;
}

static int read_query(const struct edged_http_message *m, struct sigv4 *s, const char **ret_why)
{
	char algorithm[32], number[16], signature[2 * HASH + 1];
	s->presigned = true;
	if (!read_parameter(m, "X-Amz-Algorithm", algorithm, sizeof(algorithm)) ||
	        strcmp(algorithm, ALGORITHM) != 0)
		return wrong(ret_why, "X-Amz-Algorithm must be " ALGORITHM ".");
	if (!read_parameter(m, "X-Amz-Credential", s->credential, sizeof(s->credential)) ||
	        !read_parameter(m, "X-Amz-SignedHeaders", s->headers, sizeof(s->headers)) ||
	        !read_parameter(m, "X-Amz-Date", s->time, sizeof(s->time)) ||
	        !read_parameter(m, "X-Amz-Signature", signature, sizeof(signature)) ||
	        !read_hex(edged_str(signature), s->signature))
		return wrong(ret_why, "The query has no whole signature: X-Amz-Credential, X-Amz-Date, "
		                      "X-Amz-SignedHeaders and X-Amz-Signature.");
	s->good_s = SIGV4_SKEW_S;
	if (parameter(m, "X-Amz-Expires").ptr) {
		char *end = number;
		bool there = read_parameter(m, "X-Amz-Expires", number, sizeof(number));
		s->good_s = there && number[0] >= '0' && number[0] <= '9' ? strtol(number, &end, 10) : 0;
		if (s->good_s < 1 || s->good_s > 604800 || *end)
			return wrong(ret_why, "X-Amz-Expires is a number of seconds from 1 to 604800.");
	}
	if (parameter(m, "X-Amz-Security-Token").ptr)
		return wrong(ret_why, "There are no session tokens here: use a key of edgectl alone.");
	return read_scope(s, ret_why);
}

/* "Credential=..., SignedHeaders=..., Signature=..." in any order. */
static int read_header(
        const struct edged_http_message *m, struct edged_slice text, struct sigv4 *s, const char **ret_why)
{
	struct edged_slice part, name, signature = { 0 };
	bool good = copy(header(m, "x-amz-date"), s->time, sizeof(s->time));
	s->good_s = SIGV4_SKEW_S;
	while (good && text.len) {
		cut(&text, ',', &part);
		while (part.len && part.ptr[0] == ' ')
			part = edged_slice(part.ptr + 1, part.len - 1);
		good = cut(&part, '=', &name);
		if (edged_slice_is(name, "Credential"))
			good = good && copy(part, s->credential, sizeof(s->credential));
		else if (edged_slice_is(name, "SignedHeaders"))
			good = good && copy(part, s->headers, sizeof(s->headers));
		else if (edged_slice_is(name, "Signature"))
			signature = part;
	}
	if (!good || !read_hex(signature, s->signature))
		return wrong(ret_why, "The Authorization header has no whole signature: Credential, "
		                      "SignedHeaders and Signature, and the header X-Amz-Date.");
	if (header(m, "x-amz-security-token").ptr)
		return wrong(ret_why, "There are no session tokens here: use a key of edgectl alone.");
	return read_scope(s, ret_why);
}

int sigv4_read(const struct edged_http_message *m, struct sigv4 *ret, const char **ret_why)
{
	struct edged_slice text = header(m, "authorization");
	memset(ret, 0, sizeof(*ret));
	if (edged_slice_starts(text, ALGORITHM " ")) {
		size_t n = strlen(ALGORITHM " ");
		return read_header(m, edged_slice(text.ptr + n, text.len - n), ret, ret_why);
	}
	return parameter(m, "X-Amz-Signature").ptr ? read_query(m, ret, ret_why) : SIGV4_NONE;
}

int sigv4_judge_time(const struct sigv4 *s, int64_t now_s, const char **ret_why)
{
	if (s->at > now_s + SIGV4_SKEW_S)
		return wrong(ret_why,
		        "The signature is from the future: the clocks of client and node differ by "
		        "more than 5 minutes.");
	if (s->at + s->good_s < now_s)
		return wrong(ret_why,
		        "The signature has expired, or the clocks of client and node differ by more "
		        "than 5 minutes.");
	return 0;
}

/* --- the canonical request ------------------------------------------------------------------------------------------------ */

/* It is written straight into its hash. */
struct sink {
	EVP_MD_CTX *hash;
	bool failed;
};

static void put(struct sink *sink, const void *bytes, size_t n)
{
	sink->failed |= n && EVP_DigestUpdate(sink->hash, bytes, n) != 1;
}

static void put_slice(struct sink *sink, struct edged_slice text)
{
	put(sink, text.ptr, text.len);
}

/* AWS encodes the path as it was sent once more. */
static int put_path(struct sink *sink, struct edged_slice path, const char **ret_why)
{
	char text[3 * TARGET_MAX];
	struct edged_slice rest = path, part;
	bool first = true;
	if (path.len > TARGET_MAX)
		return wrong(ret_why, "The path is too long.");
	for (bool more = true; more; first = false) {
		more = cut(&rest, '/', &part);
		if ((part.len == 0 && more && !first) || edged_slice_is(part, ".") ||
		        edged_slice_is(part, ".."))
			return wrong(ret_why, "A signed path has no empty, '.' or '..' segments here.");
	}
	put(sink, text, encode(path, "/", text));
	put(sink, "\n", 1);
	return 0;
}

struct pair {
	struct edged_slice name, value;
};

static int compare(struct edged_slice a, struct edged_slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int r = n ? memcmp(a.ptr, b.ptr, n) : 0;
	return r ? r : (a.len > b.len) - (a.len < b.len);
}

static int compare_pairs(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int r = compare(x->name, y->name);
	return r ? r : compare(x->value, y->value);
}

/* Each encoded the one way, into *room, which moves on. */
static struct edged_slice normal(struct edged_slice text, char **room)
{
	char plain[TARGET_MAX], *at = *room;
	*room += encode(edged_slice(plain, decode(text, plain)), "", at);
	return edged_slice(at, (size_t)(*room - at));
}

static int put_query(struct sink *sink, const struct edged_http_message *m, const char **ret_why)
{
	struct edged_slice query = query_of(m), one, name;
	struct pair pairs[QUERY_MAX];
	char room[3 * TARGET_MAX], *at = room;
	size_t n = 0;
	if (query.len > TARGET_MAX)
		return wrong(ret_why, "The query is too long.");
	while (query.len) {
		cut(&query, '&', &one);
		cut(&one, '=', &name);
		if (edged_slice_is(name, "X-Amz-Signature") || (!name.len && !one.len))
			continue;
		if (n == QUERY_MAX)
			return wrong(ret_why, "A signed query has at most 64 parameters here.");
		pairs[n].name = normal(name, &at);
		pairs[n++].value = normal(one, &at);
	}
	qsort(pairs, n, sizeof(pairs[0]), compare_pairs);
	for (size_t i = 0; i < n; i++) {
		put(sink, "&", i > 0);
		put_slice(sink, pairs[i].name);
		put(sink, "=", 1);
		put_slice(sink, pairs[i].value);
	}
	put(sink, "\n", 1);
	return 0;
}

/* Without blanks around, and with one where there are several. */
static void put_value(struct sink *sink, struct edged_slice value)
{
	struct edged_slice word;
	bool first = true;
	while (value.len) {
		cut(&value, ' ', &word);
		if (!word.len)
			continue;
		put(sink, " ", !first);
		put_slice(sink, word);
		first = false;
	}
}

static int put_header(struct sink *sink, const struct edged_http_message *m, struct edged_slice name)
{
	bool found = false;
	put_slice(sink, name);
	for (size_t i = 0; i < m->field_count; i++)
		if (named(&m->fields[i], name)) {
			put(sink, found ? "," : ":", 1);
			put_value(sink, m->fields[i].value);
			found = true;
		}
	put(sink, "\n", 1);
	return found ? 0 : -EINVAL;
}

static bool is_signed(const struct sigv4 *s, struct edged_slice name)
{
	struct edged_slice rest = edged_str(s->headers), one;
	while (rest.len) {
		cut(&rest, ';', &one);
		if (one.len == name.len && strncasecmp(one.ptr, name.ptr, one.len) == 0)
			return true;
	}
	return false;
}

/* What changes the meaning of the request, or says where it goes, must be signed. */
static int judge_headers(const struct edged_http_message *m, const struct sigv4 *s, const char **ret_why)
{
	if (!is_signed(s, edged_str("host")))
		return wrong(ret_why, "The header Host must be signed.");
	for (size_t i = 0; i < m->field_count; i++) {
		struct edged_slice name = m->fields[i].name;
		if (name.len > 6 && strncasecmp(name.ptr, "x-amz-", 6) == 0 && !is_signed(s, name))
			return wrong(ret_why, "All headers X-Amz-... must be signed.");
	}
	return 0;
}

static int put_headers(
        struct sink *sink, const struct edged_http_message *m, const struct sigv4 *s, const char **ret_why)
{
	struct edged_slice rest = edged_str(s->headers), name, last = { 0 };
	int r = judge_headers(m, s, ret_why);
	while (!r && rest.len) {
		cut(&rest, ';', &name);
		if (!name.len || compare(last, name) >= 0 || put_header(sink, m, name))
			r = wrong(ret_why, "The signed headers must be in the request, and named in order.");
		last = name;
	}
	put(sink, "\n", 1);
	put_slice(sink, edged_str(s->headers));
	put(sink, "\n", 1);
	return r;
}

static int put_payload(struct sink *sink, const struct edged_http_message *m, const char **ret_why)
{
	uint8_t hash[HASH];
	char text[2 * HASH + 1];
	struct edged_slice said = header(m, "x-amz-content-sha256");
	sink->failed |=
	        EVP_Digest(m->body.ptr ? m->body.ptr : "", m->body.len, hash, NULL, EVP_sha256(), NULL) != 1;
	hex(hash, text);
	if (said.ptr && !edged_slice_is(said, text))
		return wrong(ret_why, "The body is not that of the header X-Amz-Content-SHA256.");
	put(sink, text, (size_t)2 * HASH);
	return 0;
}

static int hash_request(
        const struct edged_http_message *m, const struct sigv4 *s, uint8_t ret[HASH], const char **ret_why)
{
	struct sink sink = { EVP_MD_CTX_new(), false };
	sink.failed = !sink.hash || EVP_DigestInit_ex(sink.hash, EVP_sha256(), NULL) != 1;
	if (sink.failed) {
		EVP_MD_CTX_free(sink.hash);
		return wrong(ret_why, "No memory to verify the signature.");
	}
	put_slice(&sink, m->method);
	put(&sink, "\n", 1);
	int r = put_path(&sink, path_of(m), ret_why);
	if (!r)
		r = put_query(&sink, m, ret_why);
	if (!r)
		r = put_headers(&sink, m, s, ret_why);
	if (!r)
		r = put_payload(&sink, m, ret_why);
	if (!r && (sink.failed || EVP_DigestFinal_ex(sink.hash, ret, NULL) != 1))
		r = wrong(ret_why, "No memory to verify the signature.");
	EVP_MD_CTX_free(sink.hash);
	return r;
}

/* --- the signature -------------------------------------------------------------------------------------------------------- */

static bool sign(const uint8_t *key, size_t key_len, struct edged_slice text, uint8_t ret[HASH])
{
	return HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text.ptr, text.len, ret, NULL) != NULL;
}

/* The key of this day, region and service. */
static bool derive(const struct sigv4 *s, struct edged_slice secret, uint8_t ret[HASH])
{
	uint8_t first[4 + SECRET_MAX] = "AWS4";
	if (secret.len == 0 || secret.len > SECRET_MAX)
		return false;
	memcpy(first + 4, secret.ptr, secret.len);
	bool good = sign(first, 4 + secret.len, s->date, ret) && sign(ret, HASH, s->region, ret) &&
	            sign(ret, HASH, s->service, ret) && sign(ret, HASH, edged_str("aws4_request"), ret);
	OPENSSL_cleanse(first, sizeof(first));
	return good;
}

int sigv4_verify(const struct edged_http_message *m, const struct sigv4 *s, struct edged_slice secret,
        const char **ret_why)
{
	uint8_t request[HASH], key[HASH], signature[HASH];
	char hash[2 * HASH + 1], text[512];
	int r = hash_request(m, s, request, ret_why);
	if (r)
		return r;
	hex(request, hash);
	int n = snprintf(
	        text, sizeof(text), ALGORITHM "\n%s\n%.*s\n%s", s->time, EDGED_SLICE_FMT(s->scope), hash);
	bool good = n > 0 && (size_t)n < sizeof(text) && derive(s, secret, key) &&
	            sign(key, HASH, edged_slice(text, (size_t)n), signature) &&
	            CRYPTO_memcmp(signature, s->signature, HASH) == 0;
	OPENSSL_cleanse(key, sizeof(key));
	return good ? 0
	            : wrong(ret_why,
	                      "The signature is not that of this request and key: check the secret access "
	                      "key, and that nothing changes the request on its way.");
}

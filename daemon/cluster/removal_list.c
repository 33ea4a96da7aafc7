/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/removal_list.h"

#include <errno.h>
#include <string.h>
#include <openssl/err.h>
#include "base/cleanup.h"
#include "cluster/token.h"

DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)

static const char first_line[] = "edged-removed-1", signature_word[] = "signature ",
                  signer_word[] = "signer ", former_word[] = "former-signer ";

static const struct removal *find(const struct removal *lines, unsigned count, const uint8_t id[32])
{
	for (unsigned i = 0; i < count; i++)
		if (!memcmp(lines[i].id, id, 32))
			return &lines[i];
	return NULL;
}

const struct removal *removal_find(const struct removal_list *list, const uint8_t id[32])
{
	return find(list->removed, list->count, id);
}

const struct removal *removal_find_signer(const struct removal_list *list, const uint8_t id[32])
{
	return find(list->signers, list->signer_count, id);
}

const struct removal *removal_find_former(const struct removal_list *list, const uint8_t id[32])
{
	return find(list->former, list->former_count, id);
}

/* --- signers --- */

static void set_line(struct removal *lines, unsigned *count, const struct removal *line)
{
	const struct removal *old = find(lines, *count, line->id);
	lines[old ? (unsigned)(old - lines) : (*count)++] = *line;
}

int removal_add_signer(struct removal_list *list, const struct removal *signer)
{
	unsigned after = list->signer_count + list->former_count;
	after += !removal_find_former(list, signer->id);
	if (!removal_find_signer(list, signer->id) &&
	        (list->signer_count == SIGNERS_MAX || after > FORMER_SIGNERS_MAX))
		return -ENOSPC;
	set_line(list->signers, &list->signer_count, signer);
	return 0;
}

void removal_drop_signer(struct removal_list *list, const struct removal *former)
{
	const struct removal *line = removal_find_signer(list, former->id);
	if (!line)
		return;
	list->signers[line - list->signers] = list->signers[--list->signer_count];
	set_line(list->former, &list->former_count, former);
}

/* --- writing --- */

static int write_each(const char *word, const struct removal *lines, unsigned count, struct buf *ret)
{
	int r = 0;
	for (unsigned i = 0; i < count && !r; i++) {
		char id[NODE_ID_LEN + 1];
		node_id_format(lines[i].id, id);
		r = buf_addf(ret, "%s%s %llu %llu\n", word, id, (unsigned long long)lines[i].since_ms,
		        (unsigned long long)lines[i].until_ms);
	}
	return r;
}

static int write_lines(const struct removal_list *list, const char *account_id, struct buf *ret)
{
	int r = buf_addf(ret, "%s\naccount %s\nversion %llu\n", first_line, account_id,
	        (unsigned long long)list->version);
	if (!r)
		r = write_each("", list->removed, list->count, ret);
	if (!r)
		r = write_each(signer_word, list->signers, list->signer_count, ret);
	return r ? r : write_each(former_word, list->former, list->former_count, ret);
}

static int sign(EVP_PKEY *key, struct edged_slice text, struct buf *ret)
{
	uint8_t signature[256];
	size_t n = sizeof(signature);
	CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) <= 0 ||
	        EVP_DigestSign(ctx, signature, &n, (const uint8_t *)text.ptr, text.len) <= 0) {
		ERR_clear_error();
		return -ENOMEM;
	}
	return base64_write(edged_slice((const char *)signature, n), ret);
}

int removal_list_write(
        const struct removal_list *list, const char *account_id, EVP_PKEY *key, struct buf *ret)
{
	CLEANUP(buf_fini) struct buf lines = BUF_EMPTY;
	int r = write_lines(list, account_id, &lines);
	if (!r)
		r = buf_add(ret, lines.ptr, lines.len);
	if (!r)
		r = buf_add_str(ret, signature_word);
	if (!r)
		r = sign(key, buf_slice(&lines), ret);
	return r ? r : buf_add_str(ret, "\n");
}

/* --- reading: by line and by word, never beyond the end --- */

/* What is before the next `end`, which is taken as well. An empty slice without memory: there is no such end. */
static struct edged_slice take_until(struct edged_slice *left, char end)
{
	const char *at = left->len ? memchr(left->ptr, end, left->len) : NULL;
	if (!at)
		return edged_slice(NULL, 0);
	struct edged_slice taken = edged_slice(left->ptr, (size_t)(at - left->ptr));
	*left = edged_slice(at + 1, left->len - taken.len - 1);
	return taken;
}

static bool take_word(struct edged_slice *line, const char *word)
{
	size_t n = strlen(word);
	if (line->len < n || memcmp(line->ptr, word, n) != 0)
		return false;
	*line = edged_slice(line->ptr + n, line->len - n);
	return true;
}

static bool read_number(struct edged_slice text, uint64_t *ret)
{
	uint64_t number = 0;
	if (text.len == 0 || text.len > 18)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(text.ptr[i] - '0');
	}
	*ret = number;
	return true;
}

static bool read_removal(struct edged_slice line, struct removal *lines, unsigned *count, unsigned max)
{
	struct removal *ret = &lines[*count];
	struct edged_slice id = take_until(&line, ' '), since = take_until(&line, ' ');
	return *count < max && id.ptr && node_id_parse(id, ret->id) && since.ptr &&
	       read_number(since, &ret->since_ms) && read_number(line, &ret->until_ms) && ++*count;
}

static bool read_line(struct edged_slice line, struct removal_list *ret)
{
	if (take_word(&line, signer_word))
		return read_removal(line, ret->signers, &ret->signer_count, SIGNERS_MAX);
	if (take_word(&line, former_word))
		return read_removal(line, ret->former, &ret->former_count, FORMER_SIGNERS_MAX);
	return read_removal(line, ret->removed, &ret->count, REMOVALS_MAX);
}

/* The lines before the signature, which ret_signature gets (base64url). */
static int read_lines(struct edged_slice text, const char *account_id, struct removal_list *ret,
        struct edged_slice *ret_signature)
{
	struct edged_slice line = take_until(&text, '\n');
	if (!line.ptr || !edged_slice_is(line, first_line))
		return -EINVAL;
	line = take_until(&text, '\n');
	if (!line.ptr || !take_word(&line, "account "))
		return -EINVAL;
	if (!edged_slice_is(line, account_id))
		return -ESTALE;
	line = take_until(&text, '\n');
	if (!line.ptr || !take_word(&line, "version ") || !read_number(line, &ret->version) || !ret->version)
		return -EINVAL;
	ret->count = ret->signer_count = ret->former_count = 0;
	for (;;) {
		line = take_until(&text, '\n');
		if (line.ptr && take_word(&line, signature_word))
			break;
		if (!line.ptr || !read_line(line, ret))
			return -EINVAL;
	}
	*ret_signature = line;
	return text.len ? -EINVAL : 0;
}

static bool is_signed(EVP_PKEY *key, struct edged_slice lines, struct edged_slice text)
{
	CLEANUP(buf_fini) struct buf signature = { .limit = 256 };
	CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = base64_read(text, &signature) == 0 && ctx &&
	          EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) > 0 &&
	          EVP_DigestVerify(ctx, (const uint8_t *)signature.ptr, signature.len,
	                  (const uint8_t *)lines.ptr, lines.len) == 1;
	ERR_clear_error();
	return ok;
}

int removal_list_read(
        struct edged_slice text, const char *account_id, EVP_PKEY *key, struct removal_list *ret)
{
	struct edged_slice signature;
	if (text.len > REMOVALS_TEXT)
		return -EINVAL;
	int r = read_lines(text, account_id, ret, &signature);
	if (r)
		return r;
	size_t signed_bytes = (size_t)(signature.ptr - text.ptr) - strlen(signature_word);
	return is_signed(key, edged_slice(text.ptr, signed_bytes), signature) ? 0 : -EBADMSG;
}

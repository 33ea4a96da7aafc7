/* layers: base core cluster */
/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of removed nodes: what is read, rightly signed or not, can be written again and is then the same. */
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>

#include "cluster/cert.h"
#include "cluster/removal_list.h"
#include "cluster/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char account[] = "account";

static void check(struct edged_slice text, EVP_PKEY *key)
{
	static struct removal_list list, again;
	CLEANUP(buf_fini) struct buf back = BUF_EMPTY;
	if (removal_list_read(text, account, key, &list))
		return;
	if (removal_list_write(&list, account, key, &back) ||
	        removal_list_read(buf_slice(&back), account, key, &again) || list.version != again.version ||
	        list.count != again.count ||
	        memcmp(list.removed, again.removed, list.count * sizeof(list.removed[0])) != 0 ||
	        list.signer_count != again.signer_count ||
	        memcmp(list.signers, again.signers, list.signer_count * sizeof(list.signers[0])) != 0 ||
	        list.former_count != again.former_count ||
	        memcmp(list.former, again.former, list.former_count * sizeof(list.former[0])) != 0)
		abort();
}

/* No signature would ever be right: the bytes are also signed as the lines of a list. */
static void check_signed(struct edged_slice lines, EVP_PKEY *key)
{
	uint8_t signature[256];
	size_t n = sizeof(signature);
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) > 0 &&
	        EVP_DigestSign(ctx, signature, &n, (const uint8_t *)lines.ptr, lines.len) > 0 &&
	        buf_add(&text, lines.ptr, lines.len) == 0 && buf_add_str(&text, "signature ") == 0 &&
	        base64_write(edged_slice((const char *)signature, n), &text) == 0 &&
	        buf_add_str(&text, "\n") == 0)
		check(buf_slice(&text), key);
	EVP_MD_CTX_free(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static EVP_PKEY *key;
	if (!key && cert_key_new(&key))
		abort();
	check(edged_slice((const char *)data, size), key);
	check_signed(edged_slice((const char *)data, size), key);
	return 0;
}

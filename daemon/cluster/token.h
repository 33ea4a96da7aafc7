/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Join tokens: what a new node needs to find the inviter, to know it when it answers, and to prove that it
 * was invited. "edged1." and base64url (RFC 4648 section 5, no padding) of:
 *
 *     32 account id (hash of the CA's public key)   32 inviter's node id   16 secret   8 expiry, seconds
 * since 1970 1 number of addresses, then each: 1 family (4 or 6), 4 or 16 address, 2 port 4 check sum of all
 * before, so that a token that was not copied whole is told from a wrong one
 *
 * Numbers are big-endian. Pure.
 */
#ifndef CLUSTER_TOKEN_H
#define CLUSTER_TOKEN_H

#include "base/buf.h"
#include "core/nodeid.h"

enum { TOKEN_SECRET = 16, TOKEN_ADDRESSES = 8, TOKEN_TEXT_MAX = 512 };

struct join_token {
	char account_id[NODE_ID_LEN + 1];
	char node_id[NODE_ID_LEN + 1]; /* the inviter's */
	uint8_t secret[TOKEN_SECRET];
	uint64_t expires;                    /* seconds since 1970 */
	char addresses[TOKEN_ADDRESSES][64]; /* of its secure port, "" ends them */
};

/* -EINVAL: an id or address that is none. Addresses are numeric, without a zone. */
EDGED_MUST_CHECK int token_write(const struct join_token *token, struct buf *ret);
/* Surrounding white space is fine. -EINVAL with a sentence that says what is wrong with it. */
EDGED_MUST_CHECK int token_read(struct edged_slice text, struct join_token *ret, struct err *err);

/* Base64url, for those who need it beside tokens. Reading appends; -EINVAL. */
EDGED_MUST_CHECK int base64_write(struct edged_slice bytes, struct buf *ret);
EDGED_MUST_CHECK int base64_read(struct edged_slice text, struct buf *ret);

#endif

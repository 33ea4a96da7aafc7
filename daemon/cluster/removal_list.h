/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of nodes that their owner removed from an account, and of those that may sign certificates of it (signer.h), signed
 * by the account's key. As text:
 *
 *     edged-removed-1
 *     account <id of the account>
 *     version <number>
 *     <node id> <since> <until>          one line for each node that was removed
 *     signer <node id> <since> <until>   one line for each signer; until: the end of its certificate, 0: it has none yet
 *     former-signer <node id> <since> <until>
 *                                        one line for each that was a signer: what it signs since then counts for nothing
 *     signature <base64url of an ECDSA signature (P-256, SHA-256, DER) of all lines before>
 *
 * Times are ms since 1970. The version grows with each list: one with a lower number is a replay. `until` is when no
 * certificate that the node can have, or that the former signer could sign, is believed any more, wherever clocks are: then
 * its line has done its work. Pure.
 */
#ifndef CLUSTER_REMOVAL_LIST_H
#define CLUSTER_REMOVAL_LIST_H

#include <openssl/evp.h>
#include "base/buf.h"
#include "core/nodeid.h"

enum {
	REMOVALS_MAX = 512, /* nodes removed, on one list */
	SIGNERS_MAX = 8,    /* signers of an account */
	FORMER_SIGNERS_MAX =
	        32, /* beyond, no more signers are taken: each can become a former one at any time */
	REMOVALS_TEXT = 64 * 1024, /* bytes of its text */
};

struct removal {
	uint8_t id[32];
	uint64_t since_ms, until_ms;
};

struct removal_list {
	uint64_t version; /* 0: nobody was ever removed */
	unsigned count, signer_count, former_count;
	struct removal removed[REMOVALS_MAX];
	struct removal signers[SIGNERS_MAX];
	struct removal former[FORMER_SIGNERS_MAX];
};

/* NULL: it is not on the list. */
const struct removal *removal_find(const struct removal_list *list, const uint8_t id[32]);
const struct removal *removal_find_signer(const struct removal_list *list, const uint8_t id[32]);
const struct removal *removal_find_former(const struct removal_list *list, const uint8_t id[32]);
/* It is a signer from now on, or goes on with a certificate until then. -ENOSPC. */
EDGED_MUST_CHECK int removal_add_signer(struct removal_list *list, const struct removal *signer);
/* If it is a signer, it is a former one now: there is room for that. */
void removal_drop_signer(struct removal_list *list, const struct removal *former);
/* Signs with the account's key and appends the text. */
EDGED_MUST_CHECK int removal_list_write(
        const struct removal_list *list, const char *account_id, EVP_PKEY *key, struct buf *ret);
/* -EINVAL: no such list, or longer than one may be; -ESTALE: of another account; -EBADMSG: not signed by the
 * account's key. `key` is the public one. */
EDGED_MUST_CHECK int removal_list_read(
        struct edged_slice text, const char *account_id, EVP_PKEY *key, struct removal_list *ret);

#endif

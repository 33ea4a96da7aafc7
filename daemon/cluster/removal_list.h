/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of nodes that their owner removed from an account, signed by the account's key. As text:
 *
 *     edged-removed-1
 *     account <id of the account>
 *     version <number>
 *     <node id> <since> <until>          one line for each node
 *     signature <base64url of an ECDSA signature (P-256, SHA-256, DER) of all lines before>
 *
 * Times are ms since 1970. The version grows with each list: one with a lower number is a replay. `until` is when no
 * certificate that the node can have is believed any more, wherever clocks are: then its line has done its work. Pure.
 */
#ifndef CLUSTER_REMOVAL_LIST_H
#define CLUSTER_REMOVAL_LIST_H

#include <openssl/evp.h>
#include "base/buf.h"
#include "core/nodeid.h"

enum {
	REMOVALS_MAX = 512,        /* nodes on one list */
	REMOVALS_TEXT = 64 * 1024, /* bytes of its text */
};

struct removal {
	uint8_t id[32];
	uint64_t since_ms, until_ms;
};

struct removal_list {
	uint64_t version; /* 0: nobody was ever removed */
	unsigned count;
	struct removal removed[REMOVALS_MAX];
};

/* NULL: it is not on the list. */
const struct removal *removal_find(const struct removal_list *list, const uint8_t id[32]);
/* Signs with the account's key and appends the text. */
EDGED_MUST_CHECK int removal_list_write(
        const struct removal_list *list, const char *account_id, EVP_PKEY *key, struct buf *ret);
/* -EINVAL: no such list, or longer than one may be; -ESTALE: of another account; -EBADMSG: not signed by the
 * account's key. `key` is the public one. */
EDGED_MUST_CHECK int removal_list_read(
        struct edged_slice text, const char *account_id, EVP_PKEY *key, struct removal_list *ret);

#endif

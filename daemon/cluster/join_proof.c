/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/join_proof.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

static const char context[] = "edged join 1";

int proof_make(const uint8_t secret[TOKEN_SECRET], const uint8_t exported[PROOF_EXPORT],
        struct edged_slice request, uint8_t ret[PROOF_LEN])
{
	uint8_t text[sizeof(context) + PROOF_EXPORT + 32];
	memcpy(text, context, sizeof(context));
	memcpy(text + sizeof(context), exported, PROOF_EXPORT);
	if (!EVP_Digest(request.ptr, request.len, text + sizeof(context) + PROOF_EXPORT, NULL, EVP_sha256(),
	            NULL))
		return -ENOMEM;
	return HMAC(EVP_sha256(), secret, TOKEN_SECRET, text, sizeof(text), ret, NULL) ? 0 : -ENOMEM;
}

int invites_add(struct invites *invites, uint64_t now, uint64_t until, uint8_t ret[TOKEN_SECRET])
{
	for (size_t i = 0; i < JOIN_INVITES; i++) {
		struct invite *invite = &invites->open[i];
		if (invite->until > now)
			continue;
		if (RAND_bytes(invite->secret, TOKEN_SECRET) != 1)
			return -EIO;
		invite->until = until;
		memcpy(ret, invite->secret, TOKEN_SECRET);
		return 0;
	}
	return -ENOSPC;
}

void invite_close(struct invite *invite)
{
	OPENSSL_cleanse(invite, sizeof(*invite));
}

static const struct invite_source *find_source(const struct invites *invites, const char *address)
{
	for (size_t i = 0; i < JOIN_SOURCES; i++)
		if (strcmp(invites->sources[i].address, address) == 0)
			return &invites->sources[i];
	return NULL;
}

static bool is_shut(const struct invites *invites, uint64_t now, const struct invite_source *source)
{
	return source->wrong >= invites->tries && now - source->latest < invites->penalty_ms;
}

bool invites_shut(const struct invites *invites, uint64_t now, const char *source)
{
	const struct invite_source *known = find_source(invites, source);
	return known && is_shut(invites, now, known);
}

void invites_count(const struct invites *invites, uint64_t now, uint64_t *ret_open, uint64_t *ret_shut)
{
	*ret_open = *ret_shut = 0;
	for (size_t i = 0; i < JOIN_INVITES; i++)
		*ret_open += invites->open[i].until > now;
	for (size_t i = 0; i < JOIN_SOURCES; i++)
		*ret_shut += is_shut(invites, now, &invites->sources[i]);
}

/* A full table forgets the one that was wrong the longest ago: the secret is too long to be guessed at any
 * rate, the count is there to keep the noise down. */
static void count_wrong(struct invites *invites, uint64_t now, const char *address)
{
	struct invite_source *source = (struct invite_source *)(uintptr_t)find_source(invites, address);
	if (!source) {
		source = &invites->sources[0];
		for (size_t i = 1; i < JOIN_SOURCES; i++)
			if (invites->sources[i].latest < source->latest)
				source = &invites->sources[i];
		*source = (struct invite_source){ .wrong = 0 };
		snprintf(source->address, sizeof(source->address), "%s", address);
	} else if (now - source->latest >= invites->penalty_ms) {
		source->wrong = 0;
	}
	source->wrong++;
	source->latest = now;
}

struct invite *invites_match(struct invites *invites, uint64_t now, const char *source,
        const uint8_t exported[PROOF_EXPORT], struct edged_slice request, struct edged_slice proof)
{
	for (size_t i = 0; proof.len == PROOF_LEN && i < JOIN_INVITES; i++) {
		struct invite *invite = &invites->open[i];
		uint8_t right[PROOF_LEN];
		if (invite->until <= now || proof_make(invite->secret, exported, request, right))
			continue;
		if (CRYPTO_memcmp(right, proof.ptr, PROOF_LEN) == 0)
			return invite;
	}
	count_wrong(invites, now, source);
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Tokens (RFC 7519) as passwords: signed ones in the compact form (RFC 7515, section 7.1). The algorithm is that
 * of the key, never the token's choice: HS256 for a secret, RS256 for RSA (2,048 bits at least), ES256 for P-256, EdDSA
 * for Ed25519 (RFC 7518, RFC 8037). Checking a signature takes up to 0.1 ms.
 */
#ifndef BROKER_JWT_H
#define BROKER_JWT_H

#include <stdbool.h>
#include <stdint.h>
#include "edged/slice.h"

#define JWT_MAX     8192 /* bytes of a token */
#define JWT_SUB_MAX 255  /* bytes of a subject */

struct jwt; /* a key and what tokens must say; counted, never changed */

/* key: PEM of a public key, or else a secret of 32 bytes at least (a line end behind it is not part of it). issuer and
 * audience: empty means any. 0; -EINVAL with a sentence; -ENOMEM. */
int jwt_new(struct edged_slice key, const char *issuer, const char *audience, struct jwt **ret, char *why,
        size_t why_size);
struct jwt *jwt_ref(struct jwt *jwt);
void jwt_unref(struct jwt *jwt); /* any thread */

/* Does this look like a token? */
bool jwt_form(struct edged_slice text);
/* Is it good at `now` (seconds since 1970)? Its subject goes to ret_sub (JWT_SUB_MAX bytes), the second it ends to
 * ret_end. -EACCES: no. */
int jwt_judge(const struct jwt *jwt, struct edged_slice token, uint64_t now, char *ret_sub,
        size_t *ret_sub_len, uint64_t *ret_end);

#endif

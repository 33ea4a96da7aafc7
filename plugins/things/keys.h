/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access keys: clients that sign their requests (sigv4.h) instead of showing a certificate, as AWS's command line and SDKs do.
 * A signature can only be verified with the secret itself, so that it is in the store as it is, which only the daemon's user
 * may read (mode 0600); it is told once, when it is made. Main loop.
 */
#ifndef THINGS_KEYS_H
#define THINGS_KEYS_H

#include "edged/cap_auth.h"
#include "plugin.h"

/* An id as AWS has them, and a secret of 240 random bits. */
enum { KEY_ID = 20, KEY_SECRET = 40 };
struct key_pair {
	char id[KEY_ID + 1];
	char secret[KEY_SECRET + 1];
};
/* -EIO: no random bytes. */
EDGED_MUST_CHECK int key_make(struct key_pair *ret);

/* As signer() of struct edged_decider. A key that is not in the registry is none of its business. */
enum edged_login_outcome keys_signer(
        const struct things *t, const struct edged_http_message *message, char ret[EDGED_SIGNER_MAX]);

#endif

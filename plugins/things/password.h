/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords as they are kept: scrypt (RFC 7914) with 16 MiB of memory, N = 2^14, r = 8, p = 5, as text that says so:
 * "scrypt$14$8$5$SALT$HASH", salt and hash in hexadecimal. Slow on purpose: not for a loop. Any thread.
 */
#ifndef THINGS_PASSWORD_H
#define THINGS_PASSWORD_H

#include "edged/slice.h"

enum { PASSWORD_MAX = 1000, PASSWORD_TEXT = 128, PASSWORD_QUICK = 32 };

/* -ENOMEM, -EIO (no random bytes) */
int password_hash(struct edged_slice password, char ret[PASSWORD_TEXT]);
/* Takes as long for a text that is none, which no password fits. */
bool password_fits(const char *text, struct edged_slice password);

/* A keyed hash that holds in this process alone: who has just shown the password need not wait again. */
void password_quick(
        const uint8_t key[32], const char *text, struct edged_slice password, uint8_t ret[PASSWORD_QUICK]);
bool password_same(const uint8_t a[PASSWORD_QUICK], const uint8_t b[PASSWORD_QUICK]);

#endif

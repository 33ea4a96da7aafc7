/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device CA of this node: a P-256 key and a self-signed certificate in a folder of the plugin, made at the first
 * start and readable by the daemon's user alone. It signs certificates of devices (RFC 5280), for whom it says only that
 * this node issued them: what a device may do is looked up in the registry by the fingerprint of its certificate. Other
 * nodes register such a certificate to admit its device; that of the account's CA is another matter, so that no device
 * certificate can ever pass for that of a node. Main loop.
 */
#ifndef THINGS_AUTHORITY_H
#define THINGS_AUTHORITY_H

#include "edged/slice.h"

struct authority;

enum { FINGERPRINT_LEN = 64, WHY_MAX = 240, CODE_SIZE = 16 };

/* Loads or makes it. A negative errno with a sentence: damaged, unreadable, ... */
int authority_open(const char *folder, struct authority **ret, char why[WHY_MAX]);
void authority_free(struct authority *authority);
const char *authority_pem(const struct authority *authority);

struct issued {
	char *certificate; /* PEM, malloc'ed */
	char *key;         /* PEM, malloc'ed; NULL when there was a request. Erased by issued_fini(). */
	char fingerprint[FINGERPRINT_LEN + 1];
};
void issued_fini(struct issued *issued);
/* The code of a request's key, for people to compare: twelve digits, so that nobody finds a key with the code of another.
 * -EINVAL with a sentence, as below; -ENOMEM. */
int authority_code(struct edged_slice request, char ret[CODE_SIZE], char why[WHY_MAX]);
/* A certificate for the thing, whose common name it becomes. `request` is PKCS #10 in PEM, proves that its sender has the
 * key (P-256, P-384, or RSA of 2,048 to 4,096 bits), and nothing else in it is looked at; empty: a new P-256 key. `days`:
 * how long it is good, 0: for ever. -EINVAL with a sentence; -ENOMEM. */
int authority_issue(const struct authority *authority, struct edged_slice thing, struct edged_slice request,
        unsigned days, struct issued *ret, char why[WHY_MAX]);

#endif

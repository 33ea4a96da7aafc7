/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCRAM-SHA-256 (RFC 5802, RFC 7677) on the server's side, without channel binding: the server keeps what proves a
 * password, never the password. Pure but for random numbers.
 */
#ifndef BROKER_SCRAM_H
#define BROKER_SCRAM_H

#include "wire.h"

#define SCRAM_METHOD     "SCRAM-SHA-256"
#define SCRAM_ITERATIONS 100000 /* PBKDF2-HMAC-SHA-256 (RFC 8018): the client pays for them at each login */
#define SCRAM_TEXT_MAX   1500   /* bytes of any message */
#define SCRAM_NAME_MAX   255    /* bytes of a user's name */

struct verifier {
	uint32_t iterations;
	uint8_t salt[16], stored_key[32], server_key[32];
};

/* -EIO: no random numbers. */
int verifier_make(struct edged_slice password, struct verifier *ret);
bool verifier_fits(const struct verifier *verifier, struct edged_slice password);
/* One that no password fits, for a name that nobody has: the same each time, so that nobody learns that. */
void verifier_feign(const uint64_t key[2], struct edged_slice name, struct verifier *ret);

struct scram; /* one exchange */

/* The client's first message, as far as its name (written to name, SCRAM_NAME_MAX bytes). NULL: it makes no sense, or
 * asks for what is not offered (channel binding, another identity), or there is no memory. */
struct scram *scram_new(struct edged_slice first, char *name, size_t *ret_name_len);
void scram_free(struct scram *scram);
/* What is sent back, into text of SCRAM_TEXT_MAX bytes; its length. 0: failed. */
size_t scram_challenge(struct scram *scram, const struct verifier *verifier, char *text);
/* The client's second message. 0: it knows the password, and the answer is in text of SCRAM_TEXT_MAX bytes. -EACCES. */
int scram_prove(struct scram *scram, struct edged_slice last, char *text, size_t *ret_len);

#endif

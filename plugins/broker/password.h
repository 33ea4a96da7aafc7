/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of a password: text of a hash that is slow on purpose. Argon2id (RFC 9106) in the PHC string format,
 * "$argon2id$v=19$m=...,t=...,p=...$salt$hash", is what the broker makes; "$7$iterations$salt$hash" of mosquitto_passwd,
 * PBKDF2 with HMAC-SHA-512 (RFC 8018), is understood as well, so that people can bring their files. Pure but for random
 * numbers. Making and comparing take some 20 ms and 19 MiB: never on a loop.
 */
#ifndef BROKER_PASSWORD_H
#define BROKER_PASSWORD_H

#include <stdbool.h>
#include "edged/slice.h"

#define HASH_MAX     256  /* bytes of the text, with its end */
#define PASSWORD_MAX 1000 /* bytes */

/* 0; -ENOMEM; -EIO: no random numbers. */
int password_hash(struct edged_slice password, char *ret);
/* A hash of that form that costs what a real one costs, and that nothing fits. */
const char *password_decoy(void);
bool password_fits(const char *hash, struct edged_slice password);
/* Is it a hash that could be compared with, at a cost within reason (256 MiB, 16 rounds; 10 million iterations)? */
bool password_hash_valid(struct edged_slice text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A password on its way to a thread that compares it with what is kept of it, and back: hashing would hold the loop. */
#ifndef BROKER_PROOF_H
#define BROKER_PROOF_H

#include "jwt.h"
#include "users.h"

struct proof {
	void *owner; /* the connection's; not touched here */
	bool known;  /* the user is */
	bool has_user, fits;
	struct credential credential;
	struct jwt *jwt;    /* held; NULL: it is a password */
	uint64_t now, ends; /* s since 1970; 0: never */
	size_t name_len;
	char name[SCRAM_NAME_MAX]; /* the user's; afterwards that of who it is */
	size_t password_len;
	char password[]; /* wiped at the end */
};

/* For a user and password; the jwt is taken over. NULL: no memory. */
struct proof *proof_new(struct edged_slice password);
void proof_free(struct proof *proof);
/* Does the password fit? For edged_work_1. */
void proof_run(void *proof);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may log in with a password: names and what proves their passwords, in table "users" of the store, kept up over
 * REST. Read on any loop, changed on the main loop.
 */
#ifndef BROKER_USERS_H
#define BROKER_USERS_H

#include <pthread.h>
#include "scram.h"

struct broker;

#define USERS_MAX    1000
#define PASSWORD_MAX 1000 /* bytes */

struct user {
	struct verifier verifier;
	uint16_t len;
	char name[SCRAM_NAME_MAX];
};

struct users {
	pthread_rwlock_t lock;
	struct user *list; /* ordered by name */
	size_t count, size;
};

void users_init(struct users *users);
void users_fini(struct users *users);
bool users_any(struct users *users);
/* False: unknown, and *ret is one that no password fits. */
bool users_find(struct users *users, const uint64_t key[2], struct edged_slice name, struct verifier *ret);
/* -ENOSPC over USERS_MAX; -ENOMEM. */
int users_set(struct users *users, struct edged_slice name, const struct verifier *verifier);
bool users_remove(struct users *users, struct edged_slice name);
/* The first name behind `after` (empty: of all), into SCRAM_NAME_MAX bytes; its length, 0: no more. */
size_t users_next(struct users *users, struct edged_slice after, char *name);

bool user_name_valid(struct edged_slice name);
/* The row in the store. */
#define USER_ROW_MAX 128
size_t user_row(const struct verifier *verifier, uint8_t *out);
bool read_user_row(struct edged_slice value, struct verifier *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may log in with a password: names and what is kept of their passwords. Those kept up over REST are in table "users"
 * of the store, others in the file that `password_file` names, which counts first. Read on any loop, changed on the main
 * loop.
 */
#ifndef BROKER_USERS_H
#define BROKER_USERS_H

#include <pthread.h>
#include "jwt.h"
#include "password.h"
#include "password_file.h"
#include "scram.h"

struct broker;

#define USERS_MAX 1000 /* in the store */

struct credential {
	char hash[HASH_MAX]; /* of the password; empty: of one stored before there were hashes, see scram */
	bool has_scram;      /* it may also prove that it knows the password without telling it */
	struct verifier scram;
};

struct user {
	struct credential credential;
	uint16_t len;
	char name[SCRAM_NAME_MAX];
};

struct users {
	pthread_rwlock_t lock;
	struct user *list; /* ordered by name */
	size_t count, size;
	struct password_file file;
	struct jwt *jwt; /* held; NULL: tokens are no passwords */
};

void users_init(struct users *users);
void users_fini(struct users *users);
bool users_any(struct users *users);
/* False: unknown, and *ret is one that costs the same to compare with, and that no password fits. */
bool users_find(struct users *users, const uint64_t key[2], struct edged_slice name, struct credential *ret);
/* -ENOSPC over USERS_MAX; -ENOMEM. */
int users_set(struct users *users, struct edged_slice name, const struct credential *credential);
bool users_stored(struct users *users, struct edged_slice name); /* is it in the store? */
bool users_remove(struct users *users, struct edged_slice name);
/* Those of another file from now on, which is taken over; gone() for each name that is not in it with the same hash. */
void users_set_file(struct users *users, struct password_file *file,
        void (*gone)(void *arg, struct edged_slice name), void *arg);
/* Taken over; NULL: none. */
void users_set_jwt(struct users *users, struct jwt *jwt);
struct jwt *users_jwt(struct users *users); /* with a reference; NULL: none */
/* The first name in the store behind `after` (empty: of all), into SCRAM_NAME_MAX bytes; its length, 0: no more. */
size_t users_next(struct users *users, struct edged_slice after, char *name);

bool user_name_valid(struct edged_slice name);
/* The row in the store. */
#define USER_ROW_MAX 512
size_t user_row(const struct credential *credential, uint8_t *out);
bool read_user_row(struct edged_slice value, struct credential *ret);

#endif

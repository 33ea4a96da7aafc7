/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users: clients that are known by a name and a password instead of a certificate. A password is judged on a thread of
 * edged.work/1; one that has just been right is remembered (as a hash with a key of this process) and need not wait again,
 * and one that comes again before its turn keeps its place, so that many clients can come back at once. Main loop.
 */
#ifndef THINGS_USERS_H
#define THINGS_USERS_H

#include "edged/cap_auth.h"
#include "plugin.h"

struct users;

int users_new(struct things *things, struct users **ret);
void users_free(struct users *users);
/* Judges the name and password of this door and answers the login. */
void users_login(struct users *users, const struct edged_door *door, edged_handle login);

#endif

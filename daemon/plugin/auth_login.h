/* SPDX-License-Identifier: Apache-2.0 */
/* Who is it? A question goes from the asker's loop to the main loop, waits there for the decider, and comes back. */
#ifndef PLUGIN_AUTH_LOGIN_H
#define PLUGIN_AUTH_LOGIN_H

#include "plugin/auth.h"
#include "plugin/ledger.h"

/* As edged_auth_1.login. */
EDGED_MUST_CHECK int auth_login(struct auth *auth, struct ledger *ledger, const struct edged_door *door,
        void (*done)(void *arg, enum edged_login_outcome outcome, struct edged_identity *identity,
                const char *reason),
        void *arg, struct edged_login **ret);
void auth_cancel(struct edged_login *login);
int auth_answer(struct auth *auth, edged_handle login, enum edged_login_outcome outcome, const char *text);
/* The decider has gone: what is open stays undecided. */
void auth_logins_end(struct auth *auth);

#endif

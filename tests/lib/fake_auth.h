/* SPDX-License-Identifier: Apache-2.0 */
/* `edged.auth/1` on a fake host: the test itself decides. What it decides outlives hosts, until fake_auth_reset(). */
#ifndef TESTS_FAKE_AUTH_H
#define TESTS_FAKE_AUTH_H

#include "edged/cap_auth.h"
#include "fake_host.h"

struct fake_decider {
	/* Writes the principal of who is known into 64 bytes. 0: no answer yet, see fake_answer(). */
	enum edged_login_outcome (*login)(const struct edged_door *door, char *principal);
	bool (*allow)(const char *principal, enum edged_action action, struct edged_slice resource);
};

extern const struct edged_auth_1 fake_auth_cap;

/* NULL: it goes, and what it had to judge is refused from now on. Askers are told, then fake_run(). */
void fake_decide(struct fake_host *host, const struct fake_decider *decider);
/* It decides something else from now on: askers are told. */
void fake_rights_changed(struct fake_host *host);
/* The oldest login that waits is answered. False: none does. */
bool fake_answer(struct fake_host *host, enum edged_login_outcome outcome, const char *principal);
unsigned fake_identities(void);
/* No decider, and there never was one. Fails the test when identities are left. */
void fake_auth_reset(void);
void fake_auth_forget(struct fake_host *host); /* the host ends */

#endif

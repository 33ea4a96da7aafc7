/* SPDX-License-Identifier: Apache-2.0 */
/* The identities of `edged.auth/1`: counted, one for all that are equal, and found again while somebody holds them. */
#ifndef PLUGIN_AUTH_IDENTITY_H
#define PLUGIN_AUTH_IDENTITY_H

#include "plugin/auth.h"

/* What the decider has bound to an identity. */
struct rights {
	struct list link;
	void *bound;
};

struct edged_identity {
	uint32_t refs; /* atomic; the last one goes under the lock */
	struct auth *auth;
	struct rights *rights; /* atomic, changed on the main loop; NULL: none */
	struct door door;
	size_t key_len;
	char *key; /* principal, NUL, and the text of the door */
};

struct edged_identity *identity_hold(struct edged_identity *identity);
void identity_drop(struct edged_identity *identity);
/* The one that there is, or a new one without rights; with a reference. */
EDGED_MUST_CHECK int identity_get(
        struct auth *auth, const struct door *door, const char *principal, struct edged_identity **ret);
/* All that there are, with references; *ret is malloc'ed. */
EDGED_MUST_CHECK int identities_all(struct auth *auth, struct edged_identity ***ret, size_t *ret_count);
/* Takes the rights of all into the list. Needs no memory. */
void identities_strip(struct auth *auth, struct list *ret);
/* Takes those of identities that have gone. */
void identities_unused(struct auth *auth, struct list *ret);

#endif

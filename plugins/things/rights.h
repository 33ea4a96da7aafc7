/* SPDX-License-Identifier: Apache-2.0 */
/* What a principal may do, from what the registry says of it at this moment. Main loop, but for rights_allow(). */
#ifndef THINGS_RIGHTS_H
#define THINGS_RIGHTS_H

#include "edged/cap_auth.h"
#include "plugin.h"

/* "cert:FINGERPRINT", "user:NAME" and "key:ID" */
enum { PRINCIPAL_MAX = 160 };
void principal_write(enum kind kind, struct edged_slice name, char ret[PRINCIPAL_MAX]);
/* KINDS: it is none of ours. */
enum kind principal_read(const char *principal, struct edged_slice *ret_name);

/* Why this certificate, user or key admits nobody just now; NULL: it does. `doc` is the record's. */
const char *rights_flaw(
        const struct registry *registry, enum kind kind, const struct record *record, const json_t *doc);

struct rights; /* immutable */
/* As struct edged_decider asks for them. */
int rights_bind(struct things *t, const struct edged_door *door, const char *principal, struct rights **ret);
void rights_free(struct rights *rights);
bool rights_allow(const struct rights *rights, enum edged_action action, struct edged_slice resource);

#endif

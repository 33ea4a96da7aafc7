/* SPDX-License-Identifier: Apache-2.0 */
/* REST of certificates: issuing, rotating, registering. Its routes: routes.h. */
#ifndef THINGS_REST_CERTIFICATES_H
#define THINGS_REST_CERTIFICATES_H

#include "rest.h"

/* Issues a certificate for the thing as the JSON `wish` asks ("csr", "days", "policies"). *ret_change is its record (its
 * doc and name to be freed with certificate_change_fini()), *ret_once what is said this once: the key. 0, ANSWERED, or a
 * negative errno. */
int certificate_issue(struct things *t, edged_handle request, struct edged_slice thing, const json_t *wish,
        struct change *ret_change, json_t **ret_once);
void certificate_change_fini(struct change *change);
/* The certificates of a thing as changes that remove them, at most `most`; their names point into the registry. */
size_t certificates_of(
        const struct registry *registry, const char *thing, struct change *changes, size_t most);

#endif

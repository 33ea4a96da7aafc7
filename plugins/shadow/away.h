/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to shadows that are elsewhere: to the home, or to a copy. Main loop only. */
#ifndef SHADOW_AWAY_H
#define SHADOW_AWAY_H

#include "peers.h"

void away_names(void *peers, const char *thing, void (*each)(void *arg, const char *name), void *arg);
void away_things(void *peers, const char *after, const char *name,
        bool (*each)(void *arg, const char *thing, const char *node, bool available), void *arg);
bool away_run(void *peers, const struct shadow_name *name, const struct shadow_call *call,
        const struct shadow_request *request, away_done *done, void *arg);
/* What a copy gives as the answer to `get`: the body, to be freed, or NULL and why. */
char *away_copy_body(struct edged_slice text, const struct shadow_name *name, const char *token, int64_t age,
        int64_t *ret_version, struct shadow_error *error);

#endif

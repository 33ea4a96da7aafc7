/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing what becomes of requests. Nothing is made that nobody would get. Main loop. */
#ifndef SHADOW_TELL_H
#define SHADOW_TELL_H

#include "edged/cap_log.h"
#include "edged/cap_pubsub.h"
#include "document.h"
#include "name.h"

struct teller {
	struct edged_host *host;
	const struct edged_log_1 *log;
	const struct edged_pubsub_1 *pubsub;
};

/* Would anybody get a message on this topic of the shadow? */
bool tell_wanted(const struct teller *teller, const struct shadow_name *name, const char *suffix);
void tell(const struct teller *teller, const struct shadow_name *name, const char *suffix, const char *body);
/* "get/accepted" and the like. */
const char *tell_suffix(enum shadow_verb verb, bool accepted);
/* delta and documents of an update. */
void tell_update(const struct teller *teller, const struct shadow_name *name, const struct printed *before,
        const struct document *after, const char *token);

#endif

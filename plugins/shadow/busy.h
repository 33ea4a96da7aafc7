/* SPDX-License-Identifier: Apache-2.0 */
/* How many requests of each thing are in flight. Pure; things without any cost nothing. */
#ifndef SHADOW_BUSY_H
#define SHADOW_BUSY_H

struct busy {
	void *tree; /* tsearch(3), ordered by name */
};

/* One more. 0; -EBUSY: it has `limit` already; -ENOMEM. */
int busy_add(struct busy *busy, const char *thing, unsigned limit);
void busy_remove(struct busy *busy, const char *thing); /* there is one */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability "edged.work/1": slow work (hashing a password, reading a file) on threads of its own, so that no loop waits.
 *
 * The daemon has few such threads (`plugin.workers`) for all plugins, and each plugin has a limit of work that waits or
 * runs (`plugin.works`); beyond it nothing is taken, and the caller says no to whoever caused it.
 */
#ifndef EDGED_CAP_WORK_H
#define EDGED_CAP_WORK_H

#include "edged/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_WORK_1 "edged.work/1"

struct edged_work; /* opaque; belongs to the loop that began it, valid until done() */

struct edged_work_1 {
	uint32_t struct_size;
	/* Calls work(arg) on another thread, then done(arg) on the calling loop. work() touches nothing but arg, and no
	 * capability. When the plugin stops first, or after cancel(), drop(arg) is called instead of done(), on any thread, perhaps
	 * after destroy(), and frees what arg owns. -ENOSPC: over the limit; -ENOMEM. Any loop. */
	EDGED_MUST_CHECK int (*begin)(struct edged_host *host, void (*work)(void *arg),
	        void (*done)(void *arg), void (*drop)(void *arg), void *arg, struct edged_work **ret);
	/* done() will not be called; what runs already runs to its end. On the loop that began it; NULL is fine. */
	void (*cancel)(struct edged_work *work);
};

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* One process at a time: a lock file that the kernel lets go when its holder ends, however it ends. */
#ifndef STORE_LOCK_H
#define STORE_LOCK_H

#include "base/err.h"

/* Takes the lock on the file `path`, which is made (0600) when it is not there and holds the pid of the
 * holder. *ret_fd is the caller's to close, which lets go. -EBUSY: somebody else holds it; the sentence says
 * who. */
EDGED_MUST_CHECK int lock_take(const char *path, int *ret_fd, struct err *err);

#endif

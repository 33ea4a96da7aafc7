/* SPDX-License-Identifier: Apache-2.0 */
/* The verb trace: shows packets as they come and go. */
#ifndef CTL_TRACE_H
#define CTL_TRACE_H

#include "ctl/ctl.h"

int trace_follow(struct ctl *ctl);

/* Appends one event as a line, from its data. `safe`: for a terminal. -EINVAL: not JSON. */
EDGED_MUST_CHECK int trace_format(struct edged_slice data, bool safe, struct buf *ret);

#endif

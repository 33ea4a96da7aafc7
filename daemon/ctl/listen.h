/* SPDX-License-Identifier: Apache-2.0 */
/* The verb sub: shows messages as they come. */
#ifndef CTL_LISTEN_H
#define CTL_LISTEN_H

#include "ctl/ctl.h"

int listen_subscribe(struct ctl *ctl);

/* Appends one message as a line, "TOPIC MESSAGE", from the data of its event. `safe`: for a terminal.
 * -EINVAL: no such event. */
EDGED_MUST_CHECK int listen_format(struct edged_slice data, bool safe, struct buf *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Times as people write them in a query. Pure. */
#ifndef DEVICES_SECONDS_H
#define DEVICES_SECONDS_H

#include "edged/slice.h"

/* Seconds with up to three decimals, such as 3 or 0.25, up to 9,999,999; false: that is not such a text. */
bool seconds_parse(struct edged_slice text, uint64_t *ret_ms);

#endif

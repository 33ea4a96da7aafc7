/* SPDX-License-Identifier: Apache-2.0 */
/* The verb thing: devices, and the folders with which they connect. */
#ifndef CTL_THING_H
#define CTL_THING_H

#include "ctl/ctl.h"

int thing_verb(struct ctl *ctl);

#endif

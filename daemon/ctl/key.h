/* SPDX-License-Identifier: Apache-2.0 */
/* The verb key: access keys, with which AWS's tools sign their requests. */
#ifndef CTL_KEY_H
#define CTL_KEY_H

#include "ctl/ctl.h"

int key_verb(struct ctl *ctl);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The verb policy: AWS IoT policies and what they are attached to. */
#ifndef CTL_POLICY_H
#define CTL_POLICY_H

#include "ctl/ctl.h"

int policy_verb(struct ctl *ctl);
/* Makes sure that there is the policy for things without one of their own, with which a device does as it likes below its
 * own name; *ret is its name. */
EDGED_MUST_CHECK int policy_default(struct ctl *ctl, const char **ret);

#endif

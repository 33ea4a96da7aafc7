/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that do something: each returns an exit code. */
#ifndef CTL_ACT_H
#define CTL_ACT_H

#include "ctl/ctl.h"

int act_invite(struct ctl *ctl);
int act_join(struct ctl *ctl);
int act_pair(struct ctl *ctl);
int act_publish(struct ctl *ctl);
int act_kick(struct ctl *ctl);
int act_shadow(struct ctl *ctl);
int act_api(struct ctl *ctl);

#endif

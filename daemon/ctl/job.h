/* SPDX-License-Identifier: Apache-2.0 */
/* The verb job: what devices are told to do, and how far they are. */
#ifndef CTL_JOB_H
#define CTL_JOB_H

#include "ctl/ctl.h"

int job_verb(struct ctl *ctl);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* `edged.work/1` on a fake host: work is done at once and told later. */
#ifndef TESTS_FAKE_WORK_H
#define TESTS_FAKE_WORK_H

#include "edged/cap_work.h"

extern const struct edged_work_1 fake_work_cap;

#endif

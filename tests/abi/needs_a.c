/* SPDX-License-Identifier: Apache-2.0 */
/* Needs what another one offers. Its name comes first, so that order is no accident. */
#define NAME          "aneedy"
#define NEEDS         "edged.http/1", "test.a/1"
#define CREATE(probe) (edged_cap((probe)->host, "test.a/1") ? 0 : -EINVAL)
#include "probe.h"

/* SPDX-License-Identifier: Apache-2.0 */
/* Its create() fails. */
#define NAME          "bad-create"
#define CREATE(probe) (-ENODEV)
#include "probe.h"

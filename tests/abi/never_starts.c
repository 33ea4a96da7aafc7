/* SPDX-License-Identifier: Apache-2.0 */
/* Its start() goes on for ever. */
#define NAME         "never"
#define START(probe) EDGED_LATER
#include "probe.h"

/* SPDX-License-Identifier: Apache-2.0 */
/* Its start() fails. */
#define NAME         "bad-start"
#define START(probe) (-EADDRINUSE)
#include "probe.h"

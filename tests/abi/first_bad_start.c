/* SPDX-License-Identifier: Apache-2.0 */
/* The same in a version that does not start. */
#define NAME         "first"
#define VERSION      "3"
#define ROUTE        "/first/v1"
#define START(probe) (-EIO)
#include "probe.h"

/* SPDX-License-Identifier: Apache-2.0 */
/* The same in a version that needs what nobody has. */
#define NAME    "first"
#define VERSION "4"
#define NEEDS   "test.nothing/1"
#include "probe.h"

/* SPDX-License-Identifier: Apache-2.0 */
/* The same in a newer version. */
#define NAME    "first"
#define VERSION "2"
#define ROUTE   "/first/v1"
#include "probe.h"

/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the name of another one. */
#define NAME    "first"
#define VERSION "other"
#include "probe.h"

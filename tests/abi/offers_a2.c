/* SPDX-License-Identifier: Apache-2.0 */
/* Offers the same capability in a newer version. */
#define NAME    "giver"
#define VERSION "2"
#define OFFERS  "test.a/1"
#include "probe.h"

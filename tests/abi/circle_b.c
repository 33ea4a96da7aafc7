/* SPDX-License-Identifier: Apache-2.0 */
/* Needs a and offers b. */
#define NAME   "circle-b"
#define NEEDS  "test.circle-a/1"
#define OFFERS "test.circle-b/1"
#include "probe.h"

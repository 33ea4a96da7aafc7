/* SPDX-License-Identifier: Apache-2.0 */
/* Needs b and offers a. */
#define NAME   "circle-a"
#define NEEDS  "test.circle-b/1"
#define OFFERS "test.circle-a/1"
#include "probe.h"

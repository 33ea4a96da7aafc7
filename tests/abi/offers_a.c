/* SPDX-License-Identifier: Apache-2.0 */
/* Offers a capability. */
#define NAME   "giver"
#define OFFERS "test.a/1"
#include "probe.h"

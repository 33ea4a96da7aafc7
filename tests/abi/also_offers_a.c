/* SPDX-License-Identifier: Apache-2.0 */
/* Offers what another one offers. */
#define NAME   "other-giver"
#define OFFERS "test.a/1"
#include "probe.h"

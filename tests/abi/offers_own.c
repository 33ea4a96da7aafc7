/* SPDX-License-Identifier: Apache-2.0 */
/* Offers what is the daemon's. */
#define NAME   "usurper"
#define OFFERS "edged.http/1"
#include "probe.h"

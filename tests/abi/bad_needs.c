/* SPDX-License-Identifier: Apache-2.0 */
/* Needs something with a name that is none. */
#define NAME  "bad-needs"
#define NEEDS "http"
#include "probe.h"

/* SPDX-License-Identifier: Apache-2.0 */
/* Needs what nobody offers. */
#define NAME  "needy"
#define NEEDS "test.nothing/1"
#include "probe.h"

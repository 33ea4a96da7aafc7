/* SPDX-License-Identifier: Apache-2.0 */
/* Wants a function that nobody has. */
int frobnicate_the_gateway(void);
#define NAME          "undefined"
#define CREATE(probe) frobnicate_the_gateway()
#include "probe.h"

/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a path of the daemon. */
#define NAME  "core-route"
#define ROUTE "/edge/v1/mine"
#include "probe.h"

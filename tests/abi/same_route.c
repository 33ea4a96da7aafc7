/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the route of another one. */
#define NAME  "same-route"
#define ROUTE "/first/v1"
#include "probe.h"

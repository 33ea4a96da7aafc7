/* SPDX-License-Identifier: Apache-2.0 */
/* A plain plugin with one route. */
#define NAME  "first"
#define ROUTE "/first/v1"
#include "probe.h"

/* SPDX-License-Identifier: Apache-2.0 */
/* A name that is none. */
#define NAME "Bad Name"
#include "probe.h"

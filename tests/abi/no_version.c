/* SPDX-License-Identifier: Apache-2.0 */
/* Without a version. */
#define VERSION ""
#include "probe.h"

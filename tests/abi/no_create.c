/* SPDX-License-Identifier: Apache-2.0 */
/* Without create(). */
#include "edged/plugin.h"

EDGED_PLUGIN(.name = "no-create", .version = "1");

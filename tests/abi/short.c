/* SPDX-License-Identifier: Apache-2.0 */
/* One field short of what ABI 1 has always had. Its constructor must not run. */
#include <stddef.h>
#define MORE .struct_size = offsetof(struct edged_plugin, offer),
#pragma GCC diagnostic ignored "-Woverride-init"
#include "probe.h"

__attribute__((constructor)) static void constructor(void)
{
	probe_log("constructor");
}

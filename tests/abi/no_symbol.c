/* SPDX-License-Identifier: Apache-2.0 */
/* A library, but no plugin. Its constructor must not run. */
#include <stdlib.h>

__attribute__((constructor)) static void constructor(void)
{
	abort();
}

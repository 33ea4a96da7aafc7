/* SPDX-License-Identifier: Apache-2.0 */
/* What a fuzz target asserts: holds in every build, and is a find if it does not. */
#ifndef FUZZ_MUST_H
#define FUZZ_MUST_H

#include <stdlib.h>

#define MUST(what)                                                                                           \
	do {                                                                                                 \
		if (!(what))                                                                                 \
			abort();                                                                             \
	} while (0)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Strict mode, `"strict": "aws"`: what AWS IoT's Device Shadow service would not take is not taken here either. Pure. */
#ifndef SHADOW_STRICT_H
#define SHADOW_STRICT_H

#include "service.h"

/* Lowers what is above the limits of AWS. */
void strict_limits(struct service_deps *deps);

#endif

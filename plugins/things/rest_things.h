/* SPDX-License-Identifier: Apache-2.0 */
/* REST of things and their groups. Its functions: routes.h. */
#ifndef THINGS_REST_THINGS_H
#define THINGS_REST_THINGS_H
#include "rest.h"
#endif

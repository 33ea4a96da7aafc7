/* SPDX-License-Identifier: Apache-2.0 */
/* REST of access keys: making them. Its route: routes.h. */
#ifndef THINGS_REST_KEYS_H
#define THINGS_REST_KEYS_H
#include "rest.h"
#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* REST of policies and groups, and of what policies are attached to. Its functions: routes.h. */
#ifndef THINGS_REST_POLICIES_H
#define THINGS_REST_POLICIES_H
#include "rest.h"
#endif

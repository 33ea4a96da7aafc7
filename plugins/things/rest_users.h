/* SPDX-License-Identifier: Apache-2.0 */
/* REST of users and their passwords. Its functions: routes.h. */
#ifndef THINGS_REST_USERS_H
#define THINGS_REST_USERS_H
#include "rest.h"
#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Reload: conf_adopt() of conf/conf.h. */
#ifndef CONF_ADOPT_H
#define CONF_ADOPT_H

#include "conf/conf.h"

#endif

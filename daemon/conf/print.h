/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration as text: see conf_print(), conf_print_sample(), conf_print_schema(), ... in conf/conf.h. */
#ifndef CONF_PRINT_H
#define CONF_PRINT_H

#include "conf/conf.h"

/* A value, or an object of all that is declared below `key`, as compact JSON (malloc'ed). NULL: no memory. */
char *print_value(const struct conf *conf, const char *key);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The declared tables as reference: JSON Schema (conf_print_schema()) and manual (conf_print_manual()), see
 * conf/conf.h. */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include "conf/conf.h"

#endif

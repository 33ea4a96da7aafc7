/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's own sections of the configuration. */
#ifndef CONF_TABLES_H
#define CONF_TABLES_H

#include "conf/conf.h"

EDGED_MUST_CHECK int conf_declare_daemon(struct conf *conf, struct conf_findings *findings);

#endif

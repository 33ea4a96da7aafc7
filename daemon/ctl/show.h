/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that show: each returns an exit code. */
#ifndef CTL_SHOW_H
#define CTL_SHOW_H

#include "ctl/ctl.h"

int show_status(struct ctl *ctl);
int show_node(struct ctl *ctl);
int show_nodes(struct ctl *ctl);
int show_services(struct ctl *ctl);
int show_clients(struct ctl *ctl);
int show_plugins(struct ctl *ctl);
int show_help(struct ctl *ctl);
int show_version(struct ctl *ctl);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that show: each returns an exit code. */
#ifndef CTL_SHOW_H
#define CTL_SHOW_H

#include "ctl/ctl.h"

/* A column of a list: its title, and what it shows of an element. */
struct column {
	const char *title;
	const char *member;
	const char *(*text)(const json_t *element, struct ctl_text *ret); /* instead of the member */
};
/* The list at `path`, page by page; columns end with a NULL title. */
int show_list(struct ctl *ctl, const char *path, const struct column *columns, const char *nothing);
/* The strings of a list, or the "role" of its objects, with commas between. */
const char *show_strings(const json_t *list, struct ctl_text *ret);
/* "enabled", or "disabled" when its member `enabled` says so. */
const char *show_enabled(const json_t *element, struct ctl_text *ret);
/* The object at `path`, a member in each line. */
int show_object(struct ctl *ctl, const char *path);

int show_status(struct ctl *ctl);
int show_node(struct ctl *ctl);
int show_nodes(struct ctl *ctl);
int show_services(struct ctl *ctl);
int show_clients(struct ctl *ctl);
int show_plugins(struct ctl *ctl);
int show_help(struct ctl *ctl);
int show_version(struct ctl *ctl);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The REST paths of the plugin, each in the file that serves it: `self` is struct things. */
#ifndef THINGS_ROUTES_H
#define THINGS_ROUTES_H

#include "edged/plugin.h"

/* rest_common.c: what is the same for all kinds */
int list_things(void *self, edged_handle request);
int list_groups(void *self, edged_handle request);
int list_policies(void *self, edged_handle request);
int list_certificates(void *self, edged_handle request);
int list_users(void *self, edged_handle request);
int list_keys(void *self, edged_handle request);
int get_group(void *self, edged_handle request);
int get_policy(void *self, edged_handle request);
int get_certificate(void *self, edged_handle request);
int get_user(void *self, edged_handle request);
int get_key(void *self, edged_handle request);
int patch_thing(void *self, edged_handle request);
int patch_group(void *self, edged_handle request);
int patch_certificate(void *self, edged_handle request);
int patch_user(void *self, edged_handle request);
int patch_key(void *self, edged_handle request);
int delete_group(void *self, edged_handle request);
int delete_policy(void *self, edged_handle request);
int delete_certificate(void *self, edged_handle request);
int delete_user(void *self, edged_handle request);
int delete_key(void *self, edged_handle request);

/* rest_things.c */
int create_thing(void *self, edged_handle request);
int get_thing(void *self, edged_handle request);
int delete_thing(void *self, edged_handle request);
int join_group(void *self, edged_handle request);
int leave_group(void *self, edged_handle request);

/* rest_policies.c */
int put_policy(void *self, edged_handle request);
int put_group(void *self, edged_handle request);
int attach_policy(void *self, edged_handle request);
int detach_policy(void *self, edged_handle request);
int list_targets(void *self, edged_handle request);

/* rest_certificates.c */
int issue_certificate(void *self, edged_handle request);
int rotate_certificate(void *self, edged_handle request);
int register_certificate(void *self, edged_handle request);
int get_authority(void *self, edged_handle request);

/* discovery.c */
int discover(void *self, edged_handle request);

/* pairing.c */
int pair_ask(void *self, edged_handle request);
int pair_poll(void *self, edged_handle request);
int pairing_show(void *self, edged_handle request);
int pairing_open(void *self, edged_handle request);
int pairing_close(void *self, edged_handle request);
int pairing_decide(void *self, edged_handle request);

/* rest_users.c */
int put_user(void *self, edged_handle request);
int set_password(void *self, edged_handle request);

/* rest_keys.c */
int create_key(void *self, edged_handle request);

#endif

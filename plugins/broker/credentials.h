/* SPDX-License-Identifier: Apache-2.0 */
/* What clients may log in with that is in files: settings `password_file` and `jwt.key_file`. Main loop. */
#ifndef BROKER_CREDENTIALS_H
#define BROKER_CREDENTIALS_H

#include "broker.h"

/* Reads the files that the settings name now. A file that is not right changes nothing, is logged with what is wrong, and
 * gives -EINVAL. Connections of users who are not in the file any more, or with another password, end. */
int credentials_load(struct broker *broker);

#endif

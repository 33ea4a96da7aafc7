/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of users: a line `name:hash` each (password.h), as mosquitto_passwd writes them; empty lines and lines that begin
 * with '#' are nothing. A line that is anything else, or a name that comes twice, makes the whole file useless: better
 * nobody than somebody by mistake.
 */
#ifndef BROKER_PASSWORD_FILE_H
#define BROKER_PASSWORD_FILE_H

#include "password.h"
#include "scram.h"

#define PASSWORD_FILE_MAX  (4u << 20) /* bytes */
#define PASSWORD_LINES_MAX 20000      /* users */

struct file_user {
	struct edged_slice name, hash; /* in the file's text; hash is terminated */
};

struct password_file {
	char *text;
	struct file_user *users; /* by name */
	size_t count;
};

/* Judges the text, which is changed (line ends become ends of strings) and taken over. 0; -EINVAL with the line that is
 * wrong and why; -ENOMEM. */
int password_file_parse(
        char *text, size_t len, struct password_file *ret, unsigned *ret_line, const char **ret_why);
/* Reads it: owned by root or by us, written by nobody else, not read by all. 0, or a negative errno with a sentence that
 * names file and line. */
int password_file_read(const char *path, struct password_file *ret, char *why, size_t why_size);
void password_file_free(struct password_file *file);
/* Its hash; NULL: no such user. */
const char *password_file_find(const struct password_file *file, struct edged_slice name);

#endif

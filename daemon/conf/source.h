/* SPDX-License-Identifier: Apache-2.0 */
/* Where values come from: one document (a file) or one assignment of the command line. */
#ifndef CONF_SOURCE_H
#define CONF_SOURCE_H

#include <jansson.h>
#include "conf/conf.h"
#include "conf/json_text.h"

struct conf_source {
	char *name; /* of the file, or the origin of an assignment: "--set" */
	char *text; /* the document with comments blanked; NULL for an assignment, which has no lines */
	size_t len;
	struct json_index index;
	json_t *root; /* an object */
};

void source_free(struct conf_source *source);
/* Parses a document. -EINVAL: findings say what; *ret is set all the same when only keys were given twice, so
 * that the rest can be judged in the same pass. */
EDGED_MUST_CHECK int source_parse(
        const char *name, struct edged_slice text, struct conf_findings *findings, struct conf_source **ret);
/* key = value, from the command line. `key` is "log.level"; the value is JSON, or else text. */
EDGED_MUST_CHECK int source_assign(
        const char *origin, const char *assignment, struct conf_findings *findings, struct conf_source **ret);

/* For findings and origins: "FILE:LINE:COLUMN" of the key or of its value; the name alone where there are no
 * lines. */
struct source_place {
	char text[512];
};
struct source_place source_key_place(const struct conf_source *source, const char *path);
struct source_place source_value_place(const struct conf_source *source, const char *path);

#endif

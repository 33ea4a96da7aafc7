/* SPDX-License-Identifier: Apache-2.0 */
/* One row of a configuration table, copied and checked, and the judgement of values by it. */
#ifndef CONF_ROW_H
#define CONF_ROW_H

#include <jansson.h>
#include "conf/conf.h"

struct conf_source;

struct conf_row {
	char *key; /* in full: "http.header_time" */
	enum edged_type type;
	int64_t min, max; /* both 0: no range */
	char *unit;       /* "" when it has none */
	char *text;
	bool reload;                      /* a new value takes effect at a reload, else at a restart */
	char **choices;                   /* NULL-terminated; NULL for other types */
	json_t *def;                      /* normalised: durations in ms and sizes in bytes, as numbers */
	json_t *value;                    /* effective */
	const struct conf_source *source; /* of the value; NULL: the default */
};

/* What is wrong with a value. `item` is the index in a list, or negative. */
struct row_fault {
	int item;
	char text[700];
};

/* Copies one row of a table. -EINVAL: the fault says what is wrong with the row (a bug of its author). */
EDGED_MUST_CHECK int row_init(struct conf_row *row, const char *section, const struct edged_setting *setting,
        struct row_fault *fault);
void row_fini(struct conf_row *row);

/* *ret gets the normalised value. -EINVAL: the fault says what is wrong and what is allowed. */
EDGED_MUST_CHECK int row_judge(
        const struct conf_row *row, const json_t *value, json_t **ret, struct row_fault *fault);

/* A normalised value as people write it: "5s" for 5000. */
json_t *row_written(const struct conf_row *row, const json_t *value);
/* When a new value takes effect, as part of a sentence. */
const char *row_effect(const struct conf_row *row);
/* What is allowed, as part of a sentence: `a duration such as "5s", from "1s" to "1h"`. */
void row_allowed(const struct conf_row *row, char *ret, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What a struct conf is made of, for the files of conf/ alone. */
#ifndef CONF_MODEL_H
#define CONF_MODEL_H

#include "base/map.h"
#include "conf/conf.h"
#include "conf/row.h"
#include "conf/source.h"

struct conf_section {
	char *name;
	struct conf_row *rows;
	size_t count;
	int (*check)(struct edged_slice config, char *why, size_t why_size);
	bool refused;    /* its table or values were no good: its keys are known to nobody, but that has been
	                    said */
	bool check_due;  /* values came after the last check */
	unsigned faults; /* values that were refused: check() is not bothered then */
};

struct conf {
	struct conf_section **sections;
	size_t section_count;
	struct conf_source **sources; /* later ones win */
	size_t source_count;
	struct conf_source **former; /* of before a reload: values that wait for a restart came from them */
	size_t former_count;
	struct map rows;   /* key to struct conf_row */
	struct map *texts; /* key to what conf_json() gave, until the next change */
};

struct conf_section *model_section(const struct conf *conf, const char *name);
struct conf_row *model_row(const struct conf *conf, const char *key);
/* Is `path` an object that holds declared keys? "" and "plugins" are, even while they hold none. */
bool model_is_group(const struct conf *conf, const char *path);
/* What conf_json() gave is not valid any more. */
void model_forget_texts(struct conf *conf);
/* Walks all declared keys in order of declaration. */
void model_each(const struct conf *conf, void (*each)(void *arg, const struct conf_row *row), void *arg);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/model.h"

#include <stdlib.h>
#include <string.h>

struct conf_section *model_section(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->section_count; i++)
		if (strcmp(conf->sections[i]->name, name) == 0)
			return conf->sections[i];
	return NULL;
}

struct conf_row *model_row(const struct conf *conf, const char *key)
{
	return map_get(&conf->rows, edged_str(key));
}

void model_forget_texts(struct conf *conf)
{
	for (struct map_entry *e = map_first(conf->texts); e; e = map_next(conf->texts, e))
		free(map_value(e));
	map_fini(conf->texts);
}

static bool below(const char *key, const char *group, size_t n)
{
	return strncmp(key, group, n) == 0 && key[n] == '.';
}

bool model_is_group(const struct conf *conf, const char *path)
{
	size_t n = strlen(path);
	if (n == 0 || strcmp(path, "plugins") == 0)
		return true;
	for (size_t i = 0; i < conf->section_count; i++) {
		const struct conf_section *section = conf->sections[i];
		if (section->refused)
			continue;
		if (strcmp(section->name, path) == 0)
			return true;
		for (size_t j = 0; j < section->count; j++)
			if (below(section->rows[j].key, path, n))
				return true;
	}
	return false;
}

void model_each(const struct conf *conf, void (*each)(void *arg, const struct conf_row *row), void *arg)
{
	for (size_t i = 0; i < conf->section_count; i++)
		for (size_t j = 0; j < conf->sections[i]->count; j++)
			each(arg, &conf->sections[i]->rows[j]);
}

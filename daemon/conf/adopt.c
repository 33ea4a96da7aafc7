/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/adopt.h"

#include <errno.h>
#include <stdlib.h>
#include "conf/model.h"

/* Does a value still come from this source? */
static bool is_used(const struct conf *conf, const struct conf_source *source)
{
	for (size_t i = 0; i < conf->section_count; i++)
		for (size_t j = 0; j < conf->sections[i]->count; j++)
			if (conf->sections[i]->rows[j].source == source)
				return true;
	return false;
}

static void drop_unused(struct conf *conf)
{
	size_t kept = 0;
	for (size_t i = 0; i < conf->former_count; i++)
		if (is_used(conf, conf->former[i]))
			conf->former[kept++] = conf->former[i];
		else
			source_free(conf->former[i]);
	conf->former_count = kept;
}

/* The sources so far become former ones, those of `fresh` ours. */
static int exchange_sources(struct conf *conf, struct conf *fresh)
{
	size_t count = conf->former_count + conf->source_count;
	struct conf_source **former = realloc(conf->former, (count + 1) * sizeof(struct conf_source *));
	if (!former)
		return -ENOMEM;
	for (size_t i = 0; i < conf->source_count; i++)
		former[conf->former_count + i] = conf->sources[i];
	conf->former = former;
	conf->former_count = count;
	free(conf->sources);
	conf->sources = TAKE(fresh->sources);
	conf->source_count = fresh->source_count;
	fresh->source_count = 0;
	return 0;
}

/* True: the value differs. */
static bool adopt_row(struct conf_row *row, const struct conf_row *fresh)
{
	bool differs = !json_equal(row->value, fresh->value);
	if (differs && !row->reload)
		return true;
	json_decref(row->value);
	row->value = json_incref(fresh->value);
	row->source = fresh->source;
	return differs;
}

int conf_adopt(struct conf *conf, struct conf *fresh, void (*changed)(void *arg, const char *key, bool now),
        void *arg)
{
	int r = exchange_sources(conf, fresh);
	if (r)
		return r;
	model_forget_texts(conf);
	for (size_t i = 0; i < conf->section_count; i++)
		for (size_t j = 0; j < conf->sections[i]->count; j++) {
			struct conf_row *row = &conf->sections[i]->rows[j];
			const struct conf_row *theirs = model_row(fresh, row->key);
			if (theirs && adopt_row(row, theirs))
				changed(arg, row->key, row->reload);
		}
	drop_unused(conf);
	return 0;
}

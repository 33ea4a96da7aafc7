/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/judge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "conf/findings.h"
#include "conf/suggest.h"

struct judge {
	const struct conf *conf;
	const struct conf_source *source;
	struct conf_section *section; /* that is being judged */
	struct conf_findings *findings;
	struct buf path;
};

/* --- keys that no table knows
 * --------------------------------------------------------------------------------------- */

/* The names that may follow `group` ("" for the top), as candidates and as a list for people. */
struct siblings {
	const char *group;
	struct suggestion suggestion;
	const char *word;    /* what was written */
	char elsewhere[160]; /* a key or group of that name in another place */
	char list[400];
	char best[80];
};

static void list_add(char *list, size_t size, const char *name, size_t n)
{
	size_t used = strlen(list);
	for (const char *at = list; (at = strstr(at, name)); at++)
		if ((at == list || at[-1] == ' ') && (at[n] == ',' || at[n] == '\0'))
			return;
	if (used + n + 8 < size)
		snprintf(list + used, size - used, "%s%s", used ? ", " : "", name);
	else if (used < 4 || strcmp(list + used - 3, "...") != 0)
		snprintf(list + used, size - used, ", ...");
}

/* The suggestion's candidates do not live long: the best one is kept as a copy. */
static void sibling_try(struct siblings *siblings, const char *name)
{
	const char *before = siblings->suggestion.best;
	suggest_try(&siblings->suggestion, name);
	if (siblings->suggestion.best == before)
		return;
	snprintf(siblings->best, sizeof(siblings->best), "%s", name);
	siblings->suggestion.best = siblings->best;
}

/* Keeps the first part of a key that ends with the word: "plugins.broker" of "plugins.broker.keep_alive". */
static void try_elsewhere(struct siblings *siblings, const char *key)
{
	size_t n = strlen(siblings->word);
	for (const char *dot = strchr(key, '.'); dot && !siblings->elsewhere[0]; dot = strchr(dot + 1, '.'))
		if (strncmp(dot + 1, siblings->word, n) == 0 && (dot[1 + n] == '.' || dot[1 + n] == '\0'))
			snprintf(siblings->elsewhere, sizeof(siblings->elsewhere), "%.*s",
			        (int)(dot + 1 + n - key), key);
}

static void sibling_key(struct siblings *siblings, const char *key)
{
	size_t group = strlen(siblings->group);
	if (*siblings->word)
		try_elsewhere(siblings, key);
	if (group && (strncmp(key, siblings->group, group) != 0 || key[group] != '.'))
		return;
	const char *name = key + group + (group ? 1 : 0);
	char word[80];
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(name, "."), name);
	sibling_try(siblings, word);
	list_add(siblings->list, sizeof(siblings->list), word, strlen(word));
}

static void sibling_row(void *arg, const struct conf_row *row)
{
	sibling_key(arg, row->key);
}

/* One sentence that helps: what was meant, or what there is. */
static void hint(const struct conf *conf, const char *group, const char *word, char *ret, size_t size)
{
	struct siblings siblings = { .group = group, .word = word };
	suggest_begin(&siblings.suggestion, word);
	model_each(conf, sibling_row, &siblings);
	const char *dot = group[0] ? "." : "";
	if (siblings.suggestion.best)
		snprintf(ret, size, "did you mean %s%s%s?", group, dot, siblings.best);
	else if (model_row(conf, word))
		snprintf(ret, size, "a \".\" in a key means nesting: write { \"%.*s\": { ... } }",
		        (int)strcspn(word, "."), word);
	else if (siblings.elsewhere[0])
		snprintf(ret, size, "did you mean %s?", siblings.elsewhere);
	else if (siblings.list[0])
		snprintf(ret, size, "known here: %s", siblings.list);
	else
		snprintf(ret, size, "nothing is known here");
}

static void unknown(const struct judge *judge, const char *group, const char *word)
{
	char text[600];
	hint(judge->conf, group, word, text, sizeof(text));
	findings_add(judge->findings, source_key_place(judge->source, judge->path.ptr).text, judge->path.ptr,
	        "unknown %s; %s", group[0] ? "key" : "section", text);
}

/* --- keys that a table knows
 * ---------------------------------------------------------------------------------------- */

static int refuse_value(struct judge *judge, const struct row_fault *fault)
{
	size_t len = judge->path.len;
	if (fault->item >= 0) {
		int r = json_path_add_item(&judge->path, (size_t)fault->item);
		if (r)
			return r;
	}
	findings_add(judge->findings, source_value_place(judge->source, judge->path.ptr).text,
	        judge->path.ptr, "%s", fault->text);
	json_path_cut(&judge->path, len);
	judge->section->faults++;
	return 0;
}

static int judge_value(struct judge *judge, struct conf_row *row, const json_t *value)
{
	struct row_fault fault;
	json_t *kept = NULL;
	int r = row_judge(row, value, &kept, &fault);
	if (r == -EINVAL)
		return refuse_value(judge, &fault);
	if (r)
		return r;
	json_decref(row->value);
	row->value = kept;
	row->source = judge->source;
	return 0;
}

static void no_object(struct judge *judge)
{
	char known[600];
	hint(judge->conf, judge->path.ptr, "", known, sizeof(known));
	findings_add(judge->findings, source_value_place(judge->source, judge->path.ptr).text,
	        judge->path.ptr, "must be an object, { ... }; %s", known);
	if (judge->section)
		judge->section->faults++;
}

static int judge_object(struct judge *judge, const json_t *object);

static int judge_member(struct judge *judge, const char *key, const json_t *value, const char *group)
{
	struct conf_row *row = model_row(judge->conf, judge->path.ptr);
	if (row)
		return judge_value(judge, row, value);
	if (!model_is_group(judge->conf, judge->path.ptr)) {
		unknown(judge, group, key);
		return 0;
	}
	return judge_object(judge, value);
}

/* Nesting ends where the declared keys end, so recursion is as deep as their dots. */
static int judge_object(struct judge *judge, const json_t *object)
{
	if (!json_is_object(object)) {
		no_object(judge);
		return 0;
	}
	char group[256];
	size_t len = judge->path.len;
	snprintf(group, sizeof(group), "%s", judge->path.ptr);
	const char *key;
	const json_t *value;
	json_object_foreach((json_t *)object, key, value)
	{
		int r = json_path_add_key(&judge->path, edged_str(key));
		if (!r)
			r = judge_member(judge, key, value, group);
		if (r)
			return r;
		json_path_cut(&judge->path, len);
	}
	return 0;
}

/* --- sections
 * -------------------------------------------------------------------------------------------------------- */

/* Calls `each` for what stands where a section would: members of the document, and of "plugins" in it. */
static int each_section(struct judge *judge, const json_t *object,
        int (*each)(struct judge *judge, const char *name, const json_t *value, void *arg), void *arg)
{
	const char *key;
	const json_t *value;
	size_t len = judge->path.len;
	json_object_foreach((json_t *)object, key, value)
	{
		int r = json_path_add_key(&judge->path, edged_str(key));
		if (r)
			return r;
		if (strcmp(judge->path.ptr, "plugins") == 0 && json_is_object(value))
			r = each_section(judge, value, each, arg);
		else
			r = each(judge, key, value, arg);
		if (r)
			return r;
		json_path_cut(&judge->path, len);
	}
	return 0;
}

static int judge_section(struct judge *judge, const char *name, const json_t *value, void *only)
{
	(void)name;
	struct conf_section *section = model_section(judge->conf, judge->path.ptr);
	if (!section || section->refused || (only && section != only))
		return 0;
	judge->section = section;
	section->check_due = true;
	return judge_object(judge, value);
}

int judge_sources(
        struct conf *conf, size_t first_source, struct conf_section *only, struct conf_findings *findings)
{
	struct judge judge = { .conf = conf, .findings = findings };
	int r = 0;
	for (size_t i = first_source; i < conf->source_count && !r; i++) {
		judge.source = conf->sources[i];
		buf_clear(&judge.path);
		r = each_section(&judge, judge.source->root, judge_section, only);
	}
	buf_fini(&judge.path);
	return r;
}

static void stranger_plugin(const struct judge *judge, const char *name)
{
	struct suggestion suggestion;
	suggest_begin(&suggestion, name);
	for (size_t i = 0; i < judge->conf->section_count; i++)
		if (strncmp(judge->conf->sections[i]->name, "plugins.", 8) == 0)
			suggest_try(&suggestion, judge->conf->sections[i]->name + 8);
	findings_warn(judge->findings, source_key_place(judge->source, judge->path.ptr).text, judge->path.ptr,
	        "no plugin of this name is installed; %s%s%s",
	        suggestion.best ? "did you mean \"" : "the section is not used",
	        suggestion.best ? suggestion.best : "", suggestion.best ? "\"?" : "");
}

static int judge_stranger(struct judge *judge, const char *name, const json_t *value, void *arg)
{
	(void)arg;
	if (model_section(judge->conf, judge->path.ptr))
		return 0;
	if (strcmp(judge->path.ptr, "plugins") == 0)
		findings_add(judge->findings, source_value_place(judge->source, "plugins").text, "plugins",
		        "must be an object with a section for each plugin, { \"NAME\": { ... } }");
	else if (edged_slice_starts(buf_slice(&judge->path), "plugins.") && json_is_object(value))
		stranger_plugin(judge, name);
	else if (edged_slice_starts(buf_slice(&judge->path), "plugins."))
		findings_add(judge->findings, source_value_place(judge->source, judge->path.ptr).text,
		        judge->path.ptr, "must be an object, { ... }: the section of the plugin \"%.60s\"",
		        name);
	else
		unknown(judge, "", name);
	return 0;
}

int judge_strangers(const struct conf *conf, struct conf_findings *findings)
{
	struct judge judge = { .conf = conf, .findings = findings };
	int r = 0;
	for (size_t i = 0; i < conf->source_count && !r; i++) {
		judge.source = conf->sources[i];
		buf_clear(&judge.path);
		r = each_section(&judge, judge.source->root, judge_stranger, NULL);
	}
	buf_fini(&judge.path);
	return r;
}

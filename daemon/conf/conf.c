/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "conf/findings.h"
#include "conf/judge.h"
#include "conf/print.h"

#define FILE_LIMIT (1 << 20)
#define ROWS_LIMIT 1000

DEFINE_CLEANUP(struct conf *, conf_free)

/* --- life
 * -------------------------------------------------------------------------------------------------------------
 */

static void section_cut(struct conf_section *section, size_t count)
{
	for (size_t i = count; i < section->count; i++)
		row_fini(&section->rows[i]);
	section->count = count;
}

static void section_free(struct conf_section *section)
{
	if (!section)
		return;
	section_cut(section, 0);
	free(section->rows);
	free(section->name);
	free(section);
}

DEFINE_CLEANUP(struct conf_section *, section_free)

int conf_new(struct conf **ret)
{
	CLEANUP(conf_freep) struct conf *conf = calloc(1, sizeof(*conf));
	if (!conf)
		return -ENOMEM;
	map_init(&conf->rows);
	conf->texts = malloc(sizeof(*conf->texts));
	if (!conf->texts)
		return -ENOMEM;
	map_init(conf->texts);
	*ret = TAKE(conf);
	return 0;
}

void conf_free(struct conf *conf)
{
	if (!conf)
		return;
	if (conf->texts)
		model_forget_texts(conf);
	free(conf->texts);
	for (size_t i = 0; i < conf->section_count; i++)
		section_free(conf->sections[i]);
	free(conf->sections);
	for (size_t i = 0; i < conf->source_count; i++)
		source_free(conf->sources[i]);
	free(conf->sources);
	for (size_t i = 0; i < conf->former_count; i++)
		source_free(conf->former[i]);
	free(conf->former);
	map_fini(&conf->rows);
	free(conf);
}

/* --- declaring
 * ----------------------------------------------------------------------------------------------------------
 */

static bool is_section_name(const char *name)
{
	if (strncmp(name, "plugins.", 8) == 0)
		name += 8;
	else if (strcmp(name, "plugins") == 0)
		return false;
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
	return n > 0 && name[n] == '\0';
}

static int section_add_row(
        struct conf_section *section, const struct edged_setting *setting, struct conf_findings *findings)
{
	struct row_fault fault;
	struct conf_row *rows = realloc(section->rows, (section->count + 1) * sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	section->rows = rows;
	int r = row_init(&rows[section->count], section->name, setting, &fault);
	if (r == -EINVAL)
		findings_add(findings, section->name, setting->name, "%s", fault.text);
	if (!r)
		section->count++;
	return r;
}

/* Rows may have been built with a struct that was shorter or longer than ours. */
static int section_fill(struct conf_section *section, const struct edged_setting *settings,
        uint32_t setting_size, struct conf_findings *findings)
{
	if (setting_size < offsetof(struct edged_setting, text) + sizeof(settings->text))
		return findings_add(findings, section->name, NULL,
		        "the rows of the table are too short (%u bytes)", setting_size);
	size_t size = setting_size < sizeof(*settings) ? setting_size : sizeof(*settings);
	int r = 0;
	for (size_t i = 0; settings && !r; i++) {
		struct edged_setting setting = { 0 };
		memcpy(&setting, (const char *)settings + i * setting_size, size);
		if (!setting.name)
			break;
		r = i < ROWS_LIMIT ? section_add_row(section, &setting, findings)
		                   : findings_add(findings, section->name, NULL, "the table has over %d rows",
		                             ROWS_LIMIT);
	}
	return r;
}

/* A key must not be given twice, nor be the object that holds another one. */
static int section_enter(struct conf *conf, struct conf_section *section, struct conf_findings *findings)
{
	int r = 0;
	for (size_t i = 0; i < section->count && !r; i++) {
		struct conf_row *row = &section->rows[i];
		r = map_add(&conf->rows, edged_str(row->key), row);
		if (r == -EEXIST)
			r = findings_add(findings, section->name, row->key, "the table has this row twice");
		if (r)
			section_cut(section, i);
	}
	for (size_t i = 0; i < section->count && !r; i++)
		if (model_is_group(conf, section->rows[i].key))
			r = findings_add(findings, section->name, section->rows[i].key,
			        "the table has a row of this name and rows below it");
	return r;
}

static void section_leave(struct conf *conf, struct conf_section *section)
{
	for (size_t i = 0; i < section->count; i++)
		map_remove(&conf->rows, edged_str(section->rows[i].key));
}

static int section_new(const char *name, struct conf_section **ret)
{
	CLEANUP(section_freep) struct conf_section *section = calloc(1, sizeof(*section));
	if (!section)
		return -ENOMEM;
	section->name = strdup(name);
	if (!section->name)
		return -ENOMEM;
	*ret = TAKE(section);
	return 0;
}

static int append_section(struct conf *conf, const char *name, struct conf_section **ret)
{
	struct conf_section **sections =
	        realloc(conf->sections, (conf->section_count + 1) * sizeof(struct conf_section *));
	if (!sections)
		return -ENOMEM;
	conf->sections = sections;
	int r = section_new(name, ret);
	if (!r)
		conf->sections[conf->section_count++] = *ret;
	return r;
}

static void remove_section(struct conf *conf, struct conf_section *section)
{
	size_t i = 0;
	while (conf->sections[i] != section)
		i++;
	section_leave(conf, section);
	section_free(section);
	conf->section_count--;
	memmove(&conf->sections[i], &conf->sections[i + 1],
	        (conf->section_count - i) * sizeof(*conf->sections));
}

/* Where a section was written last. */
static struct source_place section_place(const struct conf *conf, const struct conf_section *section)
{
	struct source_place place = { "default" };
	size_t at;
	for (size_t i = 0; i < conf->source_count; i++)
		if (!conf->sources[i]->text || json_index_find(&conf->sources[i]->index, section->name, &at))
			place = source_key_place(conf->sources[i], section->name);
	return place;
}

static int section_check(struct conf *conf, struct conf_section *section, struct conf_findings *findings)
{
	char why[512] = "";
	section->check_due = false;
	if (!section->check || section->faults)
		return 0;
	struct edged_slice text = conf_json(conf, section->name);
	if (!text.ptr)
		return -ENOMEM;
	int r = section->check(text, why, sizeof(why));
	if (!r)
		return 0;
	why[sizeof(why) - 1] = '\0';
	findings_add(findings, section_place(conf, section).text, section->name, "%s",
	        why[0] ? why : "refused without a reason");
	section->faults++;
	return 0;
}

/* Its values are thrown away, its name stays, so that nobody calls it unknown. */
static void refuse_section(struct conf *conf, struct conf_section *section)
{
	section_leave(conf, section);
	section_cut(section, 0);
	section->refused = true;
}

int conf_declare(struct conf *conf, const char *section_name, const struct edged_setting *settings,
        uint32_t setting_size, int (*check)(struct edged_slice config, char *why, size_t why_size),
        struct conf_findings *findings)
{
	struct conf_section *section = model_section(conf, section_name);
	if (section && !section->refused)
		return -EEXIST;
	if (section)
		remove_section(conf, section);
	if (!is_section_name(section_name))
		return findings_add(
		        findings, "table", NULL, "\"%.60s\" is no name for a section", section_name);
	int r = append_section(conf, section_name, &section);
	if (r)
		return r;
	model_forget_texts(conf);
	section->check = check;
	r = section_fill(section, settings, setting_size, findings);
	if (!r)
		r = section_enter(conf, section, findings);
	unsigned errors = findings->errors;
	if (!r)
		r = judge_sources(conf, 0, section, findings);
	if (!r)
		r = section_check(conf, section, findings);
	if (!r && findings->errors > errors)
		r = -EINVAL;
	if (r == -EINVAL)
		refuse_section(conf, section);
	else if (r)
		remove_section(conf, section);
	return r;
}

void conf_undeclare(struct conf *conf, const char *name)
{
	struct conf_section *section = model_section(conf, name);
	if (!section)
		return;
	model_forget_texts(conf);
	remove_section(conf, section);
}

int conf_reloadable(
        struct conf *conf, const char *section_name, const char *const *names, struct conf_findings *findings)
{
	for (size_t i = 0; names && names[i]; i++) {
		char key[256];
		snprintf(key, sizeof(key), "%s.%s", section_name, names[i]);
		struct conf_row *row = model_row(conf, key);
		if (!row)
			return findings_add(findings, section_name, names[i],
			        "is said to take effect at a reload, but is no row of the table");
		row->reload = true;
	}
	return 0;
}

/* --- loading
 * -------------------------------------------------------------------------------------------------------------
 */

/* Takes the source. `r` is how parsing it went. */
static int add_source(struct conf *conf, struct conf_source *source, int r, struct conf_findings *findings)
{
	unsigned errors = findings->errors;
	if (!source)
		return r;
	struct conf_source **sources =
	        realloc(conf->sources, (conf->source_count + 1) * sizeof(struct conf_source *));
	if (!sources) {
		source_free(source);
		return -ENOMEM;
	}
	conf->sources = sources;
	conf->sources[conf->source_count++] = source;
	model_forget_texts(conf);
	int judged = judge_sources(conf, conf->source_count - 1, NULL, findings);
	if (judged)
		return judged;
	return findings->errors > errors ? -EINVAL : r;
}

int conf_load_text(
        struct conf *conf, const char *name, struct edged_slice text, struct conf_findings *findings)
{
	struct conf_source *source = NULL;
	if (text.len > FILE_LIMIT)
		return findings_add(findings, name, NULL, "is too large: at most 1 MiB is read");
	int r = source_parse(name, text, findings, &source);
	return add_source(conf, source, r, findings);
}

static int read_all(int fd, struct buf *text)
{
	for (;;) {
		int r = buf_reserve(text, 16384);
		if (r)
			return r == -ENOBUFS ? -EFBIG : r;
		ssize_t n = read(fd, text->ptr + text->len, 16384);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		text->len += (size_t)n;
	}
}

int conf_load_file(struct conf *conf, const char *path, struct conf_findings *findings)
{
	/* Non-blocking, so that a FIFO cannot hold the start up. */
	CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0) {
		int error = errno;
		findings_add(findings, path, NULL, "cannot be read: %s", strerror(error));
		return -error;
	}
	if (!S_ISREG(st.st_mode))
		return findings_add(findings, path, NULL, "is no regular file");
	CLEANUP(buf_fini) struct buf text;
	buf_init(&text, FILE_LIMIT + 16384);
	int r = read_all(fd, &text);
	if (r == -ENOMEM)
		return r;
	if (r) {
		findings_add(findings, path, NULL, "cannot be read: %s", strerror(-r));
		return r;
	}
	return conf_load_text(conf, path, buf_slice(&text), findings);
}

int conf_set(struct conf *conf, const char *assignment, const char *origin, struct conf_findings *findings)
{
	struct conf_source *source = NULL;
	int r = source_assign(origin, assignment, findings, &source);
	return add_source(conf, source, r, findings);
}

int conf_finish(struct conf *conf, struct conf_findings *findings)
{
	unsigned errors = findings->errors;
	int r = judge_strangers(conf, findings);
	for (size_t i = 0; i < conf->section_count && !r; i++)
		if (conf->sections[i]->check_due)
			r = section_check(conf, conf->sections[i], findings);
	if (r)
		return r;
	return findings->errors > errors ? -EINVAL : 0;
}

int conf_complain(
        struct conf *conf, const char *key, int item, struct conf_findings *findings, const char *format, ...)
{
	const struct conf_row *row = model_row(conf, key);
	char path[300];
	snprintf(path, sizeof(path), item >= 0 ? "%s[%d]" : "%s", key, item);
	struct source_place place = { "default" };
	if (row && row->source)
		place = source_value_place(row->source, path);
	va_list args;
	va_start(args, format);
	int r = findings_addv(findings, place.text, path, format, args);
	va_end(args);
	return r;
}

/* --- reading
 * --------------------------------------------------------------------------------------------------------------
 */

static const struct conf_row *want(const struct conf *conf, const char *key, unsigned types)
{
	const struct conf_row *row = model_row(conf, key);
	if (row && (types & 1u << row->type))
		return row;
	log_error("conf", "%s is read as what it is not declared to be; this is a bug", key);
	abort();
}

bool conf_bool(const struct conf *conf, const char *key)
{
	return json_is_true(want(conf, key, 1u << EDGED_TYPE_BOOL)->value);
}

int64_t conf_int(const struct conf *conf, const char *key)
{
	const json_t *value = want(conf, key,
	        1u << EDGED_TYPE_BOOL | 1u << EDGED_TYPE_INT | 1u << EDGED_TYPE_DURATION |
	                1u << EDGED_TYPE_SIZE)
	                              ->value;
	return json_is_boolean(value) ? json_is_true(value) : json_integer_value(value);
}

const char *conf_string(const struct conf *conf, const char *key)
{
	return json_string_value(want(conf, key, 1u << EDGED_TYPE_STRING | 1u << EDGED_TYPE_CHOICE)->value);
}

const char *conf_strings(const struct conf *conf, const char *key, size_t i)
{
	return json_string_value(json_array_get(want(conf, key, 1u << EDGED_TYPE_STRINGS)->value, i));
}

struct edged_slice conf_json(const struct conf *conf, const char *key)
{
	char *text = map_get(conf->texts, edged_str(key));
	if (text)
		return edged_str(text);
	if (!model_row(conf, key) && !model_is_group(conf, key)) {
		log_error("conf", "%s is read, but not declared; this is a bug", key);
		abort();
	}
	text = print_value(conf, key);
	if (!text || map_add(conf->texts, edged_str(key), text)) {
		free(text);
		return edged_slice(NULL, 0);
	}
	return edged_str(text);
}

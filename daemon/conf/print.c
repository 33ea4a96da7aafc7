/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/print.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "base/cleanup.h"
#include "conf/model.h"

/* --- values as JSON
 * ------------------------------------------------------------------------------------------------------ */

/* Sets tree."a"."b" = value (taken) for key "a.b", making the objects on the way. */
static int tree_set(json_t *tree, const char *key, json_t *value)
{
	CLEANUP(json_decrefp) json_t *owned = value;
	char name[128];
	for (;;) {
		size_t n = strcspn(key, ".");
		snprintf(name, sizeof(name), "%.*s", (int)n, key);
		if (!key[n])
			return json_object_set(tree, name, owned) ? -ENOMEM : 0;
		json_t *next = json_object_get(tree, name);
		if (!next) {
			next = json_object();
			if (json_object_set_new(tree, name, next))
				return -ENOMEM;
		}
		tree = next;
		key += n + 1;
	}
}

struct collect {
	const char *group;
	size_t n;
	json_t *tree;
	int result;
};

static void collect_row(void *arg, const struct conf_row *row)
{
	struct collect *collect = arg;
	if (strncmp(row->key, collect->group, collect->n) != 0 || row->key[collect->n] != '.' ||
	        collect->result)
		return;
	collect->result = tree_set(collect->tree, row->key + collect->n + 1, json_incref(row->value));
}

char *print_value(const struct conf *conf, const char *key)
{
	const struct conf_row *row = model_row(conf, key);
	if (row)
		return json_dumps(row->value, JSON_COMPACT | JSON_ENCODE_ANY);
	CLEANUP(json_decrefp) json_t *tree = json_object();
	struct collect collect = { .group = key, .n = strlen(key), .tree = tree };
	model_each(conf, collect_row, &collect);
	return tree && !collect.result ? json_dumps(tree, JSON_COMPACT) : NULL;
}

static struct source_place origin(const struct conf_row *row)
{
	struct source_place place = { "default" };
	return row->source ? source_value_place(row->source, row->key) : place;
}

static int dump(const json_t *value, size_t flags, struct buf *out)
{
	char *text = value ? json_dumps(value, flags | JSON_ENCODE_ANY) : NULL;
	int r = text ? buf_add_str(out, text) : -ENOMEM;
	free(text);
	return r;
}

/* A normalised value as people write it. */
static int dump_written(const struct conf_row *row, const json_t *value, struct buf *out)
{
	CLEANUP(json_decrefp) json_t *written = row_written(row, value);
	return dump(written, 0, out);
}

struct json_print {
	json_t *tree;
	int result;
};

static void json_row(void *arg, const struct conf_row *row)
{
	struct json_print *print = arg;
	json_t *entry = json_pack("{s:o, s:s, s:s}", "value", row_written(row, row->value), "origin",
	        origin(row).text, "effect", row->reload ? "reload" : "restart");
	if (!entry || json_object_set_new(print->tree, row->key, entry))
		print->result = -ENOMEM;
}

int conf_print_json(const struct conf *conf, struct buf *out)
{
	CLEANUP(json_decrefp) json_t *tree = json_object();
	struct json_print print = { .tree = tree };
	model_each(conf, json_row, &print);
	return print.result ? print.result : dump(tree, JSON_COMPACT, out);
}

/* --- as a file with comments
 * ------------------------------------------------------------------------------------------- */

struct rows {
	const struct conf_row **rows;
	size_t count;
};

static void count_row(void *arg, const struct conf_row *row)
{
	(void)row;
	((struct rows *)arg)->count++;
}

static void list_row(void *arg, const struct conf_row *row)
{
	struct rows *rows = arg;
	rows->rows[rows->count++] = row;
}

static int rows_collect(const struct conf *conf, struct rows *ret)
{
	*ret = (struct rows){ 0 };
	model_each(conf, count_row, ret);
	ret->rows = calloc(ret->count + 1, sizeof(*ret->rows));
	if (!ret->rows)
		return -ENOMEM;
	ret->count = 0;
	model_each(conf, list_row, ret);
	return 0;
}

struct page {
	struct rows rows;
	bool sample;
	struct buf *out;
	int result;
};

static void put(struct page *page, const char *text)
{
	int r = buf_add_str(page->out, text);
	if (r)
		page->result = r;
}

static void indent(struct page *page, unsigned depth)
{
	while (depth--)
		put(page, "\t");
}

#define COMMENT_WIDTH 100

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* A sentence, broken into lines between its words; no line break of its own may end the comment. */
static void put_comment(struct page *page, unsigned depth, const char *lead, const char *text)
{
	size_t column = 0;
	while (*text) {
		size_t n = 0;
		while (text[n] && !is_space(text[n]))
			n++;
		if (column == 0 || column + n >= COMMENT_WIDTH) {
			put(page, column ? "\n" : "");
			indent(page, depth);
			put(page, column ? "//" : lead);
			column = 2;
		}
		if (buf_addf(page->out, " %.*s", (int)n, text))
			page->result = -ENOMEM;
		column += n + 1;
		text += n;
		while (is_space(*text))
			text++;
	}
	put(page, column ? "\n" : "");
}

static void put_leaf(
        struct page *page, const struct conf_row *row, const char *name, unsigned depth, bool last)
{
	char allowed[512];
	row_allowed(row, allowed, sizeof(allowed));
	put_comment(page, depth, "//", row->text);
	if (page->sample) {
		char more[640];
		snprintf(more, sizeof(more), "%s; %s", allowed, row_effect(row));
		put_comment(page, depth, "// Allowed:", more);
	}
	indent(page, depth);
	if (buf_addf(page->out, "%s\"%s\": ", page->sample ? "// " : "", name) ||
	        dump_written(row, page->sample ? row->def : row->value, page->out))
		page->result = -ENOMEM;
	put(page, last && !page->sample ? "" : ",");
	if (!page->sample) {
		put(page, " // ");
		put(page, origin(row).text);
		put(page, "; ");
		put(page, row_effect(row));
	}
	put(page, "\n");
}

static bool same_name(const char *a, const char *b, size_t n)
{
	return strncmp(a, b, n) == 0 && (a[n] == '.' || a[n] == '\0');
}

/* Has this name of the level been met in a row before i? (Is it in a row behind i, with from = i + 1, to =
 * count.) */
static bool met(
        const struct page *page, const char *prefix, size_t from, size_t to, const char *name, size_t n)
{
	size_t len = strlen(prefix);
	for (size_t i = from; i < to; i++)
		if (strncmp(page->rows.rows[i]->key, prefix, len) == 0 &&
		        same_name(page->rows.rows[i]->key + len, name, n))
			return true;
	return false;
}

/* Does a row behind i bring a name that is new on this level? */
static bool more(const struct page *page, const char *prefix, size_t i)
{
	size_t len = strlen(prefix);
	for (size_t j = i + 1; j < page->rows.count; j++) {
		const char *name = page->rows.rows[j]->key + len;
		if (strncmp(page->rows.rows[j]->key, prefix, len) == 0 &&
		        !met(page, prefix, 0, j, name, strcspn(name, ".")))
			return true;
	}
	return false;
}

/* One object: everything below `prefix` ("", "http.", "plugins.broker."). Depth is that of the dots in
 * declared keys. */
static void put_level(struct page *page, const char *prefix, unsigned depth)
{
	size_t len = strlen(prefix);
	for (size_t i = 0; i < page->rows.count; i++) {
		const struct conf_row *row = page->rows.rows[i];
		const char *name = row->key + len;
		size_t n = strncmp(row->key, prefix, len) == 0 ? strcspn(name, ".") : 0;
		if (!n || met(page, prefix, 0, i, name, n))
			continue;
		bool last = !more(page, prefix, i);
		if (!name[n]) {
			put_leaf(page, row, name, depth, last);
			continue;
		}
		char below[256];
		snprintf(below, sizeof(below), "%.*s.", (int)(len + n), row->key);
		indent(page, depth);
		if (buf_addf(page->out, "\"%.*s\": {\n", (int)n, name))
			page->result = -ENOMEM;
		put_level(page, below, depth + 1);
		indent(page, depth);
		put(page, last && !page->sample ? "}\n" : "},\n");
	}
}

static int print_page(const struct conf *conf, bool sample, struct buf *out)
{
	struct page page = { .sample = sample, .out = out };
	page.result = rows_collect(conf, &page.rows);
	if (page.result)
		return page.result;
	put(&page,
	        sample ? "// The configuration of edged: JSON with comments; a comma behind a last member is "
	                 "fine.\n"
	                 "// Every key is optional. Those below show their defaults; see edged.conf(5).\n"
	                 "// `edged --check` says what is wrong, `edged --print-config` what is in effect.\n"
	               : "// What is in effect, each with where it comes from. This is a valid configuration "
	                 "file.\n");
	put(&page, "{\n");
	put_level(&page, "", 1);
	put(&page, "}\n");
	free(page.rows.rows);
	return page.result;
}

int conf_print(const struct conf *conf, struct buf *out)
{
	return print_page(conf, false, out);
}

int conf_print_sample(const struct conf *conf, struct buf *out)
{
	return print_page(conf, true, out);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "conf/findings.h"

DEFINE_CLEANUP(struct conf_source *, source_free)

void source_free(struct conf_source *source)
{
	if (!source)
		return;
	json_decref(source->root);
	json_index_fini(&source->index);
	free(source->text);
	free(source->name);
	free(source);
}

static int source_new(const char *name, struct conf_source **ret)
{
	CLEANUP(source_freep) struct conf_source *source = calloc(1, sizeof(*source));
	if (!source)
		return -ENOMEM;
	map_init(&source->index.offsets);
	source->name = strdup(name);
	if (!source->name)
		return -ENOMEM;
	*ret = TAKE(source);
	return 0;
}

static struct source_place place(const struct conf_source *source, size_t at)
{
	struct source_place ret;
	struct json_place line = json_text_place(edged_slice(source->text, source->len), at);
	snprintf(ret.text, sizeof(ret.text), "%.480s:%u:%u", source->name, line.line, line.column);
	return ret;
}

static struct source_place find(const struct conf_source *source, const char *path, bool value)
{
	struct source_place ret;
	size_t at;
	if (!source->text || !json_index_find(&source->index, path, &at)) {
		snprintf(ret.text, sizeof(ret.text), "%s", source->name);
		return ret;
	}
	return place(source, value ? json_text_value_at(edged_slice(source->text, source->len), at) : at);
}

struct source_place source_key_place(const struct conf_source *source, const char *path)
{
	return find(source, path, false);
}

struct source_place source_value_place(const struct conf_source *source, const char *path)
{
	return find(source, path, true);
}

/* --- documents
 * -------------------------------------------------------------------------------------------------- */

struct report {
	const struct conf_source *source;
	struct conf_findings *findings;
};

static void report_fault(void *arg, size_t at, const char *path, const char *text)
{
	struct report *report = arg;
	findings_add(report->findings, place(report->source, at).text, path, "%s", text);
}

/* What the index lets pass and jansson does not: escapes, UTF-8, numbers out of range. */
static int build_tree(struct conf_source *source, struct conf_findings *findings)
{
	json_error_t error;
	source->root = json_loadb(source->text, source->len, 0, &error);
	if (source->root)
		return 0;
	enum json_error_code code = json_error_code(&error);
	if (code == json_error_out_of_memory)
		return -ENOMEM;
	char *near = strstr(error.text, " near '");
	if (near)
		*near = '\0';
	bool nul = code == json_error_null_character || code == json_error_null_byte_in_key;
	return findings_add(findings, place(source, error.position > 0 ? (size_t)error.position - 1 : 0).text,
	        NULL, "%s", nul ? "\\u0000 is not allowed in texts" : error.text);
}

static bool is_empty(struct edged_slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!memchr(" \t\r\n", text.ptr[i], 4))
			return false;
	return true;
}

static int parse(struct conf_source *source, struct conf_findings *findings)
{
	size_t at;
	if (json_text_strip(source->text, source->len, &at))
		return findings_add(
		        findings, place(source, at).text, NULL, "the end of this comment, */, is missing");
	struct edged_slice text = edged_slice(source->text, source->len);
	if (is_empty(text)) {
		source->root = json_object();
		return source->root ? 0 : -ENOMEM;
	}
	struct report report = { source, findings };
	struct json_reporter reporter = { report_fault, &report };
	int indexed = json_index_build(&source->index, text, &reporter);
	if (indexed < 0)
		return indexed;
	int r = build_tree(source, findings);
	return !r && indexed == JSON_INDEX_TWICE ? -EINVAL : r;
}

int source_parse(
        const char *name, struct edged_slice text, struct conf_findings *findings, struct conf_source **ret)
{
	CLEANUP(source_freep) struct conf_source *source = NULL;
	int r = source_new(name, &source);
	if (r)
		return r;
	source->text = malloc(text.len + 1);
	if (!source->text)
		return -ENOMEM;
	if (text.len)
		memcpy(source->text, text.ptr, text.len);
	source->text[text.len] = '\0';
	source->len = text.len;
	r = parse(source, findings);
	if (r == 0 || (r == -EINVAL && source->root))
		*ret = TAKE(source);
	return r;
}

/* --- assignments
 * -------------------------------------------------------------------------------------------------- */

static int parse_value(
        const char *origin, const char *key, const char *text, struct conf_findings *findings, json_t **ret)
{
	json_error_t error;
	*ret = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
	if (!*ret && text[0] && strchr("{[\"", text[0]))
		return findings_add(findings, origin, key, "the value is no JSON: %s", error.text);
	if (!*ret)
		*ret = json_string(text);
	if (!*ret)
		return findings_add(findings, origin, key, "the value is no valid UTF-8");
	return 0;
}

/* {"a": {"b": value}} for "a.b"; `value` is taken. */
static int nest(char *key, json_t *value, json_t **ret)
{
	CLEANUP(json_decrefp) json_t *inner = value;
	for (;;) {
		char *dot = strrchr(key, '.');
		CLEANUP(json_decrefp) json_t *outer = json_object();
		if (!outer || json_object_set(outer, dot ? dot + 1 : key, inner))
			return -ENOMEM;
		json_decref(inner);
		inner = TAKE(outer);
		if (!dot)
			break;
		*dot = '\0';
	}
	*ret = TAKE(inner);
	return 0;
}

static bool is_key(const char *key, size_t n)
{
	bool word = false;
	for (size_t i = 0; i < n; i++) {
		if (key[i] == '.' && !word)
			return false;
		word = key[i] != '.';
		if (word &&
		        !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", key[i]))
			return false;
	}
	return word;
}

int source_assign(
        const char *origin, const char *assignment, struct conf_findings *findings, struct conf_source **ret)
{
	const char *equals = strchr(assignment, '=');
	if (!equals || !is_key(assignment, (size_t)(equals - assignment)))
		return findings_add(findings, origin, NULL,
		        "\"%.80s\" must be KEY=VALUE, such as log.level=debug", assignment);
	CLEANUP(free_charp) char *key = strndup(assignment, (size_t)(equals - assignment));
	CLEANUP(source_freep) struct conf_source *source = NULL;
	json_t *value = NULL;
	if (!key)
		return -ENOMEM;
	int r = source_new(origin, &source);
	if (!r)
		r = parse_value(origin, key, equals + 1, findings, &value);
	if (!r)
		r = nest(key, value, &source->root);
	if (!r)
		*ret = TAKE(source);
	return r;
}

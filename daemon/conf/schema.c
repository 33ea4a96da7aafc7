/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/schema.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "conf/model.h"

/* --- JSON Schema
 * ----------------------------------------------------------------------------------------------------------
 */

static json_t *ranged(const struct conf_row *row, const char *type, const char *min, const char *max)
{
	json_t *schema = json_pack("{s:s}", "type", type);
	if (row->min == 0 && row->max == 0)
		return schema;
	json_object_set_new(schema, min, json_integer(row->min));
	json_object_set_new(schema, max, json_integer(row->max));
	return schema;
}

static json_t *unit_schema(const struct conf_row *row, const char *pattern)
{
	json_t *number = ranged(row, "integer", "minimum", "maximum");
	if (row->min == 0 && row->max == 0)
		json_object_set_new(number, "minimum", json_integer(0));
	return json_pack("{s:[o, {s:s, s:s}]}", "anyOf", number, "type", "string", "pattern", pattern);
}

static json_t *choice_schema(const struct conf_row *row)
{
	json_t *list = json_array();
	for (char **choice = row->choices; *choice; choice++)
		json_array_append_new(list, json_string(*choice));
	return json_pack("{s:o}", "enum", list);
}

static json_t *type_schema(const struct conf_row *row)
{
	json_t *schema = NULL;
	switch (row->type) {
	case EDGED_TYPE_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case EDGED_TYPE_INT:
		return ranged(row, "integer", "minimum", "maximum");
	case EDGED_TYPE_DURATION:
		return unit_schema(row, "^[0-9]+(ms|s|m|h|d)$");
	case EDGED_TYPE_SIZE:
		return unit_schema(row, "^[0-9]+[kKMG]?$");
	case EDGED_TYPE_STRING:
		return ranged(row, "string", "minLength", "maxLength");
	case EDGED_TYPE_CHOICE:
		return choice_schema(row);
	case EDGED_TYPE_STRINGS:
		schema = ranged(row, "array", "minItems", "maxItems");
		json_object_set_new(schema, "items", json_pack("{s:s}", "type", "string"));
		return schema;
	case EDGED_TYPE_JSON:
		return json_pack("{s:[s, s]}", "type", "object", "array");
	}
	return schema;
}

static json_t *row_schema(const struct conf_row *row)
{
	json_t *schema = type_schema(row);
	if (!schema ||
	        json_object_set_new(schema, "description",
	                json_sprintf("%s%s%s", row->text, row->text[0] ? "; " : "", row_effect(row))) ||
	        json_object_set_new(schema, "default", row_written(row, row->def))) {
		json_decref(schema);
		return NULL;
	}
	return schema;
}

static json_t *object_schema(bool closed)
{
	return json_pack("{s:s, s:{}, s:b}", "type", "object", "properties", "additionalProperties", !closed);
}

struct schema_print {
	json_t *root;
	int result;
};

static int add_property(json_t *object, const struct conf_row *row)
{
	char name[128];
	const char *key = row->key;
	for (;;) {
		size_t n = strcspn(key, ".");
		json_t *properties = json_object_get(object, "properties");
		snprintf(name, sizeof(name), "%.*s", (int)n, key);
		if (!key[n])
			return json_object_set_new(properties, name, row_schema(row)) ? -ENOMEM : 0;
		object = json_object_get(properties, name);
		if (!object) {
			object = object_schema(strcmp(name, "plugins") != 0 || key != row->key);
			if (json_object_set_new(properties, name, object))
				return -ENOMEM;
		}
		key += n + 1;
	}
}

static void schema_row(void *arg, const struct conf_row *row)
{
	struct schema_print *print = arg;
	int r = add_property(print->root, row);
	if (r)
		print->result = r;
}

int conf_print_schema(const struct conf *conf, struct buf *out)
{
	CLEANUP(json_decrefp)
	json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:{s:o}, s:b}", "$schema",
	        "https://json-schema.org/draft/2020-12/schema", "title", "Configuration of edged",
	        "description", "The file is JSON with comments; remove those first", "type", "object",
	        "properties", "plugins", object_schema(false), "additionalProperties", 0);
	if (!root)
		return -ENOMEM;
	struct schema_print print = { .root = root };
	model_each(conf, schema_row, &print);
	if (print.result)
		return print.result;
	char *text = json_dumps(root, JSON_INDENT(2));
	int r = text ? buf_addf(out, "%s\n", text) : -ENOMEM;
	free(text);
	return r;
}

/* --- manual
 * ------------------------------------------------------------------------------------------------------------------
 */

struct manual {
	struct buf *out;
	char section[64]; /* that is open */
	int result;
};

/* Text for mdoc: a backslash starts an escape, and a dot or quote at the start of a line a macro. */
static void put_text(struct manual *manual, const char *text)
{
	struct buf *out = manual->out;
	for (; *text; text++) {
		bool start = !out->len || out->ptr[out->len - 1] == '\n';
		const char *before = start && (*text == '.' || *text == '\'') ? "\\&" : "";
		if (buf_add_str(out, before) ||
		        (*text == '\\' ? buf_add_str(out, "\\e") : buf_add(out, text, 1)))
			manual->result = -ENOMEM;
	}
}

static void put_macro(struct manual *manual, const char *line)
{
	if (buf_add_str(manual->out, line))
		manual->result = -ENOMEM;
}

static void open_section(struct manual *manual, const char *key)
{
	const char *dot = strncmp(key, "plugins.", 8) == 0 ? strchr(key + 8, '.') : strchr(key, '.');
	size_t n = dot ? (size_t)(dot - key) : strlen(key);
	if (strlen(manual->section) == n && strncmp(manual->section, key, n) == 0)
		return;
	if (manual->section[0])
		put_macro(manual, ".El\n");
	snprintf(manual->section, sizeof(manual->section), "%.*s", (int)n, key);
	if (buf_addf(manual->out, ".Ss Section %s\n.Bl -tag -width Ds\n", manual->section))
		manual->result = -ENOMEM;
}

static void manual_row(void *arg, const struct conf_row *row)
{
	struct manual *manual = arg;
	char allowed[512];
	open_section(manual, row->key);
	row_allowed(row, allowed, sizeof(allowed));
	allowed[0] = (char)toupper((unsigned char)allowed[0]);
	CLEANUP(json_decrefp) json_t *def = row_written(row, row->def);
	char *text = json_dumps(def, JSON_ENCODE_ANY);
	if (!text || buf_addf(manual->out, ".It Ic %s\n", row->key))
		manual->result = -ENOMEM;
	put_text(manual, row->text);
	put_text(manual, ".\n");
	put_text(manual, allowed);
	if (row->unit[0] && row->type == EDGED_TYPE_INT) {
		put_text(manual, " (");
		put_text(manual, row->unit);
		put_text(manual, ")");
	}
	put_text(manual, ".\nThe default is ");
	put_text(manual, text ? text : "");
	put_text(manual, row->reload ? "; a change takes effect at a reload.\n"
	                             : "; a change takes effect at a restart.\n");
	free(text);
}

int conf_print_manual(const struct conf *conf, struct buf *out)
{
	struct manual manual = { .out = out };
	model_each(conf, manual_row, &manual);
	if (manual.section[0] && buf_add_str(out, ".El\n"))
		manual.result = -ENOMEM;
	return manual.result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/row.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "conf/suggest.h"
#include "conf/units.h"

__attribute__((format(printf, 2, 3))) static int fault_set(struct row_fault *fault, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	return -EINVAL;
}

static bool has_range(const struct conf_row *row)
{
	return row->min != 0 || row->max != 0;
}

static bool in_range(const struct conf_row *row, int64_t value)
{
	return !has_range(row) || (value >= row->min && value <= row->max);
}

/* --- what is allowed
 * ---------------------------------------------------------------------------------------------- */

static void allowed_choices(const struct conf_row *row, char *ret, size_t size)
{
	size_t n = (size_t)snprintf(ret, size, "one of ");
	for (char **choice = row->choices; *choice && n < size; choice++)
		n += (size_t)snprintf(
		        ret + n, size - n, "%s\"%s\"", choice == row->choices ? "" : ", ", *choice);
}

static void allowed_units(const struct conf_row *row, char *ret, size_t size)
{
	bool duration = row->type == EDGED_TYPE_DURATION;
	struct units_text min = duration ? units_duration(row->min) : units_size(row->min);
	struct units_text max = duration ? units_duration(row->max) : units_size(row->max);
	const char *what = duration ? "a duration such as \"250ms\", \"5s\", \"2m\", \"1h\" or \"7d\""
	                            : "a size such as \"512\", \"64k\", \"1M\" or \"2G\"";
	if (has_range(row))
		snprintf(ret, size, "%s, from \"%s\" to \"%s\"", what, min.text, max.text);
	else
		snprintf(ret, size, "%s", what);
}

static void allowed_count(
        const struct conf_row *row, const char *before, const char *behind, char *ret, size_t size)
{
	if (has_range(row) && row->min > 0)
		snprintf(ret, size, "%s%" PRId64 " to %" PRId64 "%s", before, row->min, row->max, behind);
	else if (has_range(row))
		snprintf(ret, size, "%sat most %" PRId64 "%s", before, row->max, behind);
}

void row_allowed(const struct conf_row *row, char *ret, size_t size)
{
	switch (row->type) {
	case EDGED_TYPE_BOOL:
		snprintf(ret, size, "true or false");
		break;
	case EDGED_TYPE_INT:
		snprintf(ret, size, "a whole number");
		if (has_range(row))
			snprintf(
			        ret, size, "a whole number from %" PRId64 " to %" PRId64, row->min, row->max);
		break;
	case EDGED_TYPE_DURATION:
	case EDGED_TYPE_SIZE:
		allowed_units(row, ret, size);
		break;
	case EDGED_TYPE_STRING:
		snprintf(ret, size, "text");
		allowed_count(row, "text of ", " bytes", ret, size);
		break;
	case EDGED_TYPE_CHOICE:
		allowed_choices(row, ret, size);
		break;
	case EDGED_TYPE_STRINGS:
		snprintf(ret, size, "a list of texts, [\"...\", \"...\"]");
		allowed_count(row, "a list of ", " texts, [\"...\", \"...\"]", ret, size);
		break;
	case EDGED_TYPE_JSON:
		snprintf(ret, size, "an object or a list");
		break;
	}
}

/* The value as it was written, for a sentence. */
static void shown(const json_t *value, char *ret, size_t size)
{
	if (json_is_object(value) || json_is_array(value)) {
		snprintf(ret, size, json_is_object(value) ? "an object" : "a list");
		return;
	}
	char text[256];
	size_t n = json_dumpb(value, text, sizeof(text), JSON_ENCODE_ANY);
	if (n > sizeof(text))
		snprintf(ret, size, "a text of %zu bytes", json_string_length(value));
	else if (n > 60)
		snprintf(ret, size, "a text of %zu bytes that begins \"%.16s\"", json_string_length(value),
		        json_string_value(value));
	else
		snprintf(ret, size, "%.*s", (int)n, text);
}

static int not_allowed(const struct conf_row *row, const json_t *value, struct row_fault *fault)
{
	char allowed[512], what[128];
	row_allowed(row, allowed, sizeof(allowed));
	shown(value, what, sizeof(what));
	return fault_set(fault, "must be %s, not %s", allowed, what);
}

/* --- judging one type
 * ---------------------------------------------------------------------------------------------- */

static int copy(const json_t *value, json_t **ret)
{
	json_t *kept = json_deep_copy(value);
	if (!kept)
		return -ENOMEM;
	*ret = kept;
	return 0;
}

static int judge_number(
        const struct conf_row *row, const json_t *value, json_t **ret, struct row_fault *fault)
{
	int64_t number;
	int r = -EINVAL;
	if (json_is_integer(value)) {
		number = json_integer_value(value);
		r = row->type != EDGED_TYPE_INT && number < 0 ? -EINVAL : 0;
	} else if (json_is_string(value) && row->type == EDGED_TYPE_DURATION) {
		r = units_parse_duration(json_string_value(value), &number);
	} else if (json_is_string(value) && row->type == EDGED_TYPE_SIZE) {
		r = units_parse_size(json_string_value(value), &number);
	}
	if (r || !in_range(row, number))
		return not_allowed(row, value, fault);
	json_t *kept = json_integer(number);
	if (!kept)
		return -ENOMEM;
	*ret = kept;
	return 0;
}

static int judge_choice(
        const struct conf_row *row, const json_t *value, json_t **ret, struct row_fault *fault)
{
	const char *word = json_string_value(value);
	struct suggestion suggestion;
	suggest_begin(&suggestion, word ? word : "");
	for (char **choice = row->choices; *choice; choice++) {
		if (word && strcmp(*choice, word) == 0)
			return copy(value, ret);
		suggest_try(&suggestion, *choice);
	}
	not_allowed(row, value, fault);
	size_t n = strlen(fault->text);
	if (suggestion.best)
		snprintf(fault->text + n, sizeof(fault->text) - n, "; did you mean \"%s\"?", suggestion.best);
	return -EINVAL;
}

static int judge_strings(
        const struct conf_row *row, const json_t *value, json_t **ret, struct row_fault *fault)
{
	if (!json_is_array(value))
		return not_allowed(row, value, fault);
	if (!in_range(row, (int64_t)json_array_size(value)))
		return fault_set(fault, "must have %" PRId64 " to %" PRId64 " items, not %zu", row->min,
		        row->max, json_array_size(value));
	for (size_t i = 0; i < json_array_size(value); i++) {
		const json_t *item = json_array_get(value, i);
		if (json_is_string(item))
			continue;
		char what[128];
		shown(item, what, sizeof(what));
		fault->item = (int)i;
		return fault_set(fault, "must be text, not %s", what);
	}
	return copy(value, ret);
}

int row_judge(const struct conf_row *row, const json_t *value, json_t **ret, struct row_fault *fault)
{
	bool fits = false;
	fault->item = -1;
	if (json_is_null(value))
		return fault_set(fault, "null is no value; leave the key out to get the default");
	switch (row->type) {
	case EDGED_TYPE_BOOL:
		fits = json_is_boolean(value);
		break;
	case EDGED_TYPE_INT:
	case EDGED_TYPE_DURATION:
	case EDGED_TYPE_SIZE:
		return judge_number(row, value, ret, fault);
	case EDGED_TYPE_STRING:
		fits = json_is_string(value) && in_range(row, (int64_t)json_string_length(value));
		break;
	case EDGED_TYPE_CHOICE:
		return judge_choice(row, value, ret, fault);
	case EDGED_TYPE_STRINGS:
		return judge_strings(row, value, ret, fault);
	case EDGED_TYPE_JSON:
		fits = json_is_object(value) || json_is_array(value);
		break;
	}
	return fits ? copy(value, ret) : not_allowed(row, value, fault);
}

json_t *row_written(const struct conf_row *row, const json_t *value)
{
	int64_t number = json_integer_value(value);
	if (row->type == EDGED_TYPE_DURATION)
		return json_string(units_duration(number).text);
	if (row->type == EDGED_TYPE_SIZE)
		return number % 1024 == 0 && number > 0 ? json_string(units_size(number).text)
		                                        : json_integer(number);
	return json_deep_copy(value);
}

const char *row_effect(const struct conf_row *row)
{
	return row->reload ? "takes effect at a reload" : "takes effect at a restart";
}

/* --- rows of tables
 * ------------------------------------------------------------------------------------------------- */

static void choices_free(char **choices)
{
	for (char **choice = choices; choice && *choice; choice++)
		free(*choice);
	free(choices);
}

static int choices_split(const char *text, char ***ret)
{
	size_t count = 1;
	for (const char *c = text; *c; c++)
		count += *c == '|';
	char **choices = calloc(count + 1, sizeof(*choices));
	if (!choices)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		size_t n = strcspn(text, "|");
		choices[i] = strndup(text, n);
		if (!choices[i]) {
			choices_free(choices);
			return -ENOMEM;
		}
		text += n + (text[n] == '|');
	}
	*ret = choices;
	return 0;
}

static bool is_name(const char *name)
{
	const char *words = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	for (;;) {
		size_t n = strspn(name, words);
		if (n == 0 || (name[n] && name[n] != '.'))
			return false;
		if (!name[n])
			return true;
		name += n + 1;
	}
}

static int row_fill(struct conf_row *row, const char *section, const struct edged_setting *setting,
        struct row_fault *fault)
{
	*row = (struct conf_row){ .type = setting->type, .min = setting->min, .max = setting->max };
	if (asprintf(&row->key, "%s.%s", section, setting->name) < 0) {
		row->key = NULL;
		return -ENOMEM;
	}
	if (!is_name(setting->name))
		return fault_set(fault, "the table of \"%s\" has a row with the malformed name \"%.60s\"",
		        section, setting->name);
	if (setting->type < EDGED_TYPE_BOOL || setting->type > EDGED_TYPE_JSON)
		return fault_set(fault, "the table gives it the unknown type %d", (int)setting->type);
	if (setting->min > setting->max)
		return fault_set(fault, "the table gives it an empty range");
	if (setting->type == EDGED_TYPE_CHOICE && (!setting->choices || !setting->choices[0]))
		return fault_set(fault, "the table gives it no choices");
	row->unit = strdup(setting->unit ? setting->unit : "");
	row->text = strdup(setting->text ? setting->text : "");
	if (!row->unit || !row->text)
		return -ENOMEM;
	return setting->type == EDGED_TYPE_CHOICE ? choices_split(setting->choices, &row->choices) : 0;
}

static int row_fill_default(struct conf_row *row, const char *def, struct row_fault *fault)
{
	CLEANUP(json_decrefp)
	json_t *value = def ? json_loads(def, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL) : NULL;
	if (!value)
		return fault_set(fault, "the table's default is no JSON text: %.60s", def ? def : "(none)");
	int r = row_judge(row, value, &row->def, fault);
	if (r == -EINVAL) {
		char why[sizeof(fault->text)];
		snprintf(why, sizeof(why), "%s", fault->text);
		return fault_set(fault, "the table's default %.600s", why);
	}
	if (!r)
		row->value = json_incref(row->def);
	return r;
}

int row_init(struct conf_row *row, const char *section, const struct edged_setting *setting,
        struct row_fault *fault)
{
	int r = row_fill(row, section, setting, fault);
	if (!r)
		r = row_fill_default(row, setting->def, fault);
	if (r)
		row_fini(row);
	return r;
}

void row_fini(struct conf_row *row)
{
	json_decref(row->value);
	json_decref(row->def);
	choices_free(row->choices);
	free(row->text);
	free(row->unit);
	free(row->key);
	*row = (struct conf_row){ 0 };
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "filter.h"

#include <stdlib.h>
#include <string.h>

#include "tree.h"

enum comparison { PRESENT, EQUAL, UNEQUAL, LESS, LESS_EQUAL, MORE, MORE_EQUAL };

struct term {
	const char *path; /* NUL-terminated, in `text` */
	enum comparison comparison;
	json_t *value;
	bool prefix; /* a string that ends with "*" */
};

struct filter {
	unsigned count;
	struct term terms[FILTER_TERMS];
	char text[];
};

/* --- parsing ---------------------------------------------------------------------------------------------------------------- */

static bool path_valid(const char *path)
{
	static const char *const plain[] = { "thing", "connected", "version", "timestamp", "desired",
		"reported" };
	size_t first = strcspn(path, ".");
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (strlen(plain[i]) == first && strncmp(path, plain[i], first) == 0)
			return i >= 4 || path[first] == '\0';
	return false;
}

/* Cuts the operator behind the path at `at`; the rest is the value. */
static char *cut_operator(char *at, enum comparison *ret)
{
	char op = *at;
	bool equal = op && op != '=' && at[1] == '=';
	*at = '\0';
	switch (op) {
	case '=':
		*ret = EQUAL;
		return at + 1;
	case '!':
		*ret = UNEQUAL;
		return equal ? at + 2 : NULL;
	case '<':
		*ret = equal ? LESS_EQUAL : LESS;
		break;
	case '>':
		*ret = equal ? MORE_EQUAL : MORE;
		break;
	default:
		*ret = PRESENT;
		return at;
	}
	return at + (equal ? 2 : 1);
}

static json_t *read_value(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
	if (value && !json_is_object(value) && !json_is_array(value))
		return value;
	json_decref(value);
	return json_string(text);
}

/* The end of a term: the next comma that is not in a string. */
static char *term_end(char *text)
{
	bool quoted = false;
	for (; *text && (quoted || *text != ','); text++) {
		if (quoted && *text == '\\' && text[1])
			text++;
		else if (*text == '"')
			quoted = !quoted;
	}
	return text;
}

static bool parse_term(struct term *term, char *text)
{
	term->path = text;
	char *value = cut_operator(text + strcspn(text, "=!<>"), &term->comparison);
	if (!value || !path_valid(term->path))
		return false;
	if (term->comparison == PRESENT)
		return true;
	term->value = read_value(value);
	size_t n = json_string_length(term->value);
	term->prefix = n && json_string_value(term->value)[n - 1] == '*' &&
	               (term->comparison == EQUAL || term->comparison == UNEQUAL);
	return term->value != NULL;
}

struct filter *filter_parse(struct edged_slice text, const char **ret_why)
{
	struct filter *filter = calloc(1, sizeof(*filter) + text.len + 1);
	*ret_why = "There is no memory.";
	if (!filter)
		return NULL;
	if (text.len)
		memcpy(filter->text, text.ptr, text.len);
	*ret_why =
	        "A filter is a list such as connected=false,reported.battery<20: thing, connected, version, "
	        "timestamp, desired.KEY or reported.KEY, then =, !=, <, <=, > or >= and a value. At most 8 "
	        "of them.";
	bool good = strlen(filter->text) == text.len;
	for (char *at = filter->text, *end; good && *at; at = end) {
		end = term_end(at);
		if (*end)
			*end++ = '\0';
		good = filter->count < FILTER_TERMS && parse_term(&filter->terms[filter->count++], at);
	}
	if (good)
		return filter;
	filter_free(filter);
	return NULL;
}

void filter_free(struct filter *filter)
{
	for (unsigned i = 0; filter && i < filter->count; i++)
		json_decref(filter->terms[i].value);
	free(filter);
}

/* --- judging ------------------------------------------------------------------------------------------------------------------ */

static const json_t *member(const json_t *object, const char *path)
{
	while (object && *path) {
		size_t n = strcspn(path, ".");
		object = json_object_getn(object, path, n);
		path += n + (path[n] == '.');
	}
	return object;
}

/* Below zero, zero, above zero; *ret_known false: they cannot be compared. */
static int order(const json_t *a, const json_t *b, bool *ret_known)
{
	*ret_known = true;
	if (json_is_number(a) && json_is_number(b)) {
		if (tree_equal(a, b))
			return 0;
		return json_number_value(a) < json_number_value(b) ? -1 : 1;
	}
	if (json_is_string(a) && json_is_string(b))
		return strcmp(json_string_value(a), json_string_value(b));
	*ret_known = false;
	return 0;
}

static bool equal(const struct term *term, const json_t *value)
{
	if (term->prefix)
		return json_is_string(value) &&
		       strncmp(json_string_value(value), json_string_value(term->value),
		               json_string_length(term->value) - 1) == 0;
	return tree_equal(value, term->value);
}

static bool holds(const struct term *term, const json_t *value)
{
	bool known = false;
	int way = value && term->value ? order(value, term->value, &known) : 0;
	switch (term->comparison) {
	case PRESENT:
		return value != NULL;
	case EQUAL:
		return value && equal(term, value);
	case UNEQUAL:
		return !value || !equal(term, value);
	case LESS:
		return known && way < 0;
	case LESS_EQUAL:
		return known && way <= 0;
	case MORE:
		return known && way > 0;
	case MORE_EQUAL:
		return known && way >= 0;
	}
	return false;
}

static bool term_fits(const struct term *term, const struct filter_subject *s)
{
	json_t *own = NULL;
	if (strcmp(term->path, "thing") == 0)
		own = json_string(s->thing);
	else if (strcmp(term->path, "connected") == 0)
		own = json_boolean(s->connected);
	else if (strcmp(term->path, "version") == 0)
		own = json_integer((json_int_t)s->version);
	else if (strcmp(term->path, "timestamp") == 0)
		own = json_integer((json_int_t)s->timestamp);
	bool fits = holds(term, own ? own : member(s->state, term->path));
	json_decref(own);
	return fits;
}

bool filter_fits(const struct filter *filter, const struct filter_subject *subject)
{
	for (unsigned i = 0; filter && i < filter->count; i++)
		if (!term_fits(&filter->terms[i], subject))
			return false;
	return true;
}

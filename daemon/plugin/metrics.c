/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/metrics.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/log.h"

enum { FIGURES_PER_OWNER = 20000 };

struct figure {
	char *name;   /* without the prefix */
	char *labels; /* "" for none */
	char *help;
	enum edged_metric_type type;
	const void *owner;
	int64_t value;
	int64_t (*read)(void *arg); /* NULL: value */
	void *arg;
};

/* Sorted by name, then labels, so that /metrics is one walk and a family stays together. */
struct metrics {
	struct figure **figures;
	size_t count, size;
	int64_t nobody; /* what those who got no figure write into */
};

static void figure_free(struct figure *figure)
{
	if (!figure)
		return;
	free(figure->name);
	free(figure->labels);
	free(figure->help);
	free(figure);
}
DEFINE_CLEANUP(struct figure *, figure_free)

int metrics_new(struct metrics **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	for (size_t i = 0; i < metrics->count; i++)
		figure_free(metrics->figures[i]);
	free(metrics->figures);
	free(metrics);
}

/* [a-zA-Z_][a-zA-Z0-9_]*; returns its length, 0 when there is none. */
static size_t name_length(const char *text)
{
	size_t n = 0;
	while (isalpha((unsigned char)text[n]) || text[n] == '_' || (n && isdigit((unsigned char)text[n])))
		n++;
	return n;
}

/* The length of a quoted label value with its escapes (\\, \", \n), 0 when malformed. */
static size_t value_length(const char *text)
{
	if (*text != '"')
		return 0;
	for (size_t i = 1; text[i] && text[i] != '\n'; i++) {
		if (text[i] == '"')
			return i + 1;
		if (text[i] == '\\' && !strchr("\\\"n", text[++i]))
			return 0;
		if (!text[i])
			return 0;
	}
	return 0;
}

static bool labels_valid(const char *text)
{
	while (*text) {
		size_t n = name_length(text);
		if (!n || text[n] != '=')
			return false;
		text += n + 1;
		n = value_length(text);
		if (!n || (text[n] && (text[n] != ',' || !text[n + 1])))
			return false;
		text += n + (text[n] == ',');
	}
	return true;
}

static int compare(const struct figure *figure, const char *name, const char *labels)
{
	int order = strcmp(figure->name, name);
	return order ? order : strcmp(figure->labels, labels);
}

/* The first place whose figure is not before (name, labels). */
static size_t place(const struct metrics *metrics, const char *name, const char *labels)
{
	size_t low = 0, high = metrics->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare(metrics->figures[middle], name, labels) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Of one family all figures have one type: Prometheus refuses the page otherwise. */
static bool fits_family(
        const struct metrics *metrics, size_t at, const char *name, enum edged_metric_type type)
{
	const struct figure *before = at ? metrics->figures[at - 1] : NULL;
	const struct figure *after = at < metrics->count ? metrics->figures[at] : NULL;
	return (!before || strcmp(before->name, name) != 0 || before->type == type) &&
	       (!after || strcmp(after->name, name) != 0 || after->type == type);
}

static size_t owned(const struct metrics *metrics, const void *owner)
{
	size_t n = 0;
	for (size_t i = 0; i < metrics->count; i++)
		n += metrics->figures[i]->owner == owner;
	return n;
}

static int make_room(struct metrics *metrics)
{
	if (metrics->count < metrics->size)
		return 0;
	size_t size = metrics->size ? metrics->size * 2 : 64;
	struct figure **figures = realloc(metrics->figures, size * sizeof(*figures));
	if (!figures)
		return -ENOMEM;
	metrics->figures = figures;
	metrics->size = size;
	return 0;
}

static int figure_new(enum edged_metric_type type, const char *name, const char *labels, const char *help,
        struct figure **ret)
{
	CLEANUP(figure_freep) struct figure *figure = calloc(1, sizeof(*figure));
	if (!figure)
		return -ENOMEM;
	figure->type = type;
	figure->name = strdup(name);
	figure->labels = strdup(labels);
	figure->help = strdup(help);
	if (!figure->name || !figure->labels || !figure->help)
		return -ENOMEM;
	*ret = TAKE(figure);
	return 0;
}

static int add(struct metrics *metrics, const void *owner, enum edged_metric_type type, const char *name,
        const char *labels, const char *help, struct figure **ret)
{
	labels = labels ? labels : "";
	if (!name || !*name || name[name_length(name)] || !labels_valid(labels))
		return -EINVAL;
	if (metrics->count >= FIGURES_PER_OWNER && owned(metrics, owner) >= FIGURES_PER_OWNER)
		return -ENOSPC;
	size_t at = place(metrics, name, labels);
	if (at < metrics->count && compare(metrics->figures[at], name, labels) == 0)
		return -EEXIST;
	if (!fits_family(metrics, at, name, type))
		return -EINVAL;
	struct figure *figure;
	int r = make_room(metrics);
	if (!r)
		r = figure_new(type, name, labels, help ? help : "", &figure);
	if (r)
		return r;
	figure->owner = owner;
	memmove(metrics->figures + at + 1, metrics->figures + at, (metrics->count - at) * sizeof(figure));
	metrics->figures[at] = figure;
	metrics->count++;
	*ret = figure;
	return 0;
}

int64_t *metrics_figure(struct metrics *metrics, const void *owner, enum edged_metric_type type,
        const char *name, const char *labels, const char *help)
{
	struct figure *figure;
	int r = add(metrics, owner, type, name, labels, help, &figure);
	if (!r)
		return &figure->value;
	log_warning("metrics", "no figure edged_%s{%s}: %s", name ? name : "", labels ? labels : "",
	        r == -EEXIST   ? "there is one of this name and these labels"
	        : r == -EINVAL ? "its name, labels or type are not valid"
	        : r == -ENOSPC ? "its plugin has as many as it may have"
	                       : "no memory");
	return &metrics->nobody;
}

int metrics_read(struct metrics *metrics, const void *owner, enum edged_metric_type type, const char *name,
        const char *labels, const char *help, int64_t (*read)(void *arg), void *arg)
{
	assert(read);
	struct figure *figure;
	int r = add(metrics, owner, type, name, labels, help, &figure);
	if (r)
		return r;
	figure->read = read;
	figure->arg = arg;
	return 0;
}

void metrics_remove(struct metrics *metrics, const void *owner)
{
	size_t kept = 0;
	for (size_t i = 0; i < metrics->count; i++) {
		if (metrics->figures[i]->owner == owner)
			figure_free(metrics->figures[i]);
		else
			metrics->figures[kept++] = metrics->figures[i];
	}
	metrics->count = kept;
}

static int print_family(const struct figure *figure, struct buf *out)
{
	int r = buf_addf(out, "# HELP edged_%s ", figure->name);
	for (const char *c = figure->help; *c && !r; c++)
		r = *c == '\\'   ? buf_add_str(out, "\\\\")
		    : *c == '\n' ? buf_add_str(out, "\\n")
		                 : buf_add(out, c, 1);
	if (!r)
		r = buf_addf(out, "\n# TYPE edged_%s %s\n", figure->name,
		        figure->type == EDGED_COUNTER ? "counter" : "gauge");
	return r;
}

static int print_figure(const struct figure *figure, struct buf *out)
{
	int64_t value =
	        figure->read ? figure->read(figure->arg) : __atomic_load_n(&figure->value, __ATOMIC_RELAXED);
	bool labels = figure->labels[0];
	return buf_addf(out, "edged_%s%s%s%s %lld\n", figure->name, labels ? "{" : "", figure->labels,
	        labels ? "}" : "", (long long)value);
}

int metrics_print(struct metrics *metrics, struct buf *out)
{
	const char *family = "";
	for (size_t i = 0; i < metrics->count; i++) {
		const struct figure *figure = metrics->figures[i];
		int r = strcmp(family, figure->name) ? print_family(figure, out) : 0;
		if (!r)
			r = print_figure(figure, out);
		if (r)
			return r;
		family = figure->name;
	}
	return 0;
}

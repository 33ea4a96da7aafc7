/* SPDX-License-Identifier: Apache-2.0 */
#include "former.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FORMER_MOST = 100, FIRST_ID = 0x8000, KEY_MOST = 40 + TOPIC_MOST };
static const char table[] = "filters";

struct former {
	struct link *link; /* NULL: it has gone, and the scan under way frees this */
	struct edged_host *host;
	const struct edged_store_1 *store;
	char *filters[FORMER_MOST]; /* NULL: taken back */
	size_t count;
	bool known[RULES_MOST]; /* by rule: it is written down */
	bool scanning, due;
};

static struct edged_slice key_of(const struct link *l, const char *filter, char out[KEY_MOST])
{
	int n = snprintf(out, KEY_MOST, "%s\n%s", l->settings.name, filter);
	return edged_slice(out, (size_t)n);
}

static int read_row(void *arg, struct edged_slice key, struct edged_slice value)
{
	struct former *f = arg;
	(void)value;
	if (!f->link)
		return 1;
	const struct bridge_settings *s = &f->link->settings;
	struct edged_slice filter = key;
	filter.ptr += strlen(s->name) + 1;
	filter.len -= strlen(s->name) + 1;
	bool wanted = false;
	for (size_t i = 0; i < s->rule_count; i++)
		if (s->rules[i].ways & WAY_IN && edged_slice_is(filter, s->rules[i].remote_filter))
			wanted = f->known[i] = true;
	if (!wanted && f->count < FORMER_MOST && (f->filters[f->count] = strndup(filter.ptr, filter.len)))
		f->count++;
	return 0;
}

static void forget(const struct former *f, char *filter)
{
	char key[KEY_MOST];
	if (f->store->del(f->host, table, key_of(f->link, filter, key)))
		f->link->deps->log->log(f->host, EDGED_DEBUG,
		        "%s: a filter is taken back again at the next start", f->link->settings.name);
	free(filter);
}

static void write_down(const struct former *f)
{
	const struct bridge_settings *s = &f->link->settings;
	char key[KEY_MOST];
	int r = 0;
	for (size_t i = 0; i < s->rule_count && !r; i++)
		if (s->rules[i].ways & WAY_IN && !f->known[i])
			r = f->store->put(f->host, table, key_of(f->link, s->rules[i].remote_filter, key),
			        edged_str("1"));
	if (!r)
		r = f->store->commit(f->host, NULL, NULL);
	if (r)
		f->link->deps->log->log(f->host, EDGED_WARNING,
		        "%s: its filters could not be written down: %s; they may outlive their rules over "
		        "there",
		        s->name, strerror(-r));
}

static void read_end(void *arg, int result)
{
	struct former *f = arg;
	f->scanning = false;
	if (!f->link) {
		former_free(f);
		return;
	}
	if (result == 0)
		write_down(f);
	if (f->due)
		former_take_back(f, true);
}

int former_new(struct link *l, struct former **ret)
{
	struct former *f = calloc(1, sizeof(*f));
	char from[KEY_MOST], to[KEY_MOST];
	if (!f)
		return -ENOMEM;
	f->link = l;
	f->host = l->deps->host;
	f->store = l->deps->store;
	struct edged_slice first = key_of(l, "", from), end = key_of(l, "", to);
	to[end.len - 1]++; /* behind all that begin like it */
	int r = f->store->scan(f->host, table, first, end, 0, read_row, read_end, f);
	if (r) {
		free(f);
		return r;
	}
	f->scanning = true;
	*ret = f;
	return 0;
}

void former_free(struct former *f)
{
	if (!f)
		return;
	f->link = NULL;
	if (f->scanning)
		return;
	for (size_t i = 0; i < f->count; i++)
		free(f->filters[i]);
	free(f);
}

static void unsubscribe(const struct former *f, size_t i)
{
	uint8_t bytes[TOPIC_MOST + 32];
	struct writer w = writer(bytes, sizeof(bytes));
	write_unsubscribe(&w, f->link->settings.version, (uint16_t)(FIRST_ID + i), f->filters[i]);
	link_write(f->link, bytes, (size_t)(w.at - bytes));
}

void former_take_back(struct former *f, bool present)
{
	if (!f)
		return;
	f->due = f->scanning && present;
	for (size_t i = 0; i < f->count && !f->scanning; i++) {
		if (!f->filters[i])
			continue;
		if (present) {
			unsubscribe(f, i);
			continue;
		}
		forget(f, f->filters[i]); /* it went with that session */
		f->filters[i] = NULL;
	}
}

bool former_unsuback(struct former *f, const struct frame *frame)
{
	struct reader r = reader(frame->body, frame->len);
	size_t i = (size_t)read_u16(&r) - FIRST_ID;
	if (r.failed)
		return false;
	if (f && i < f->count && f->filters[i]) {
		forget(f, f->filters[i]);
		f->filters[i] = NULL;
	}
	return true;
}

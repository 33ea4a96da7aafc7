/* SPDX-License-Identifier: Apache-2.0 */
#include "others.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_OTHERS "elsewhere" /* key of a shadow: what struct other has */
#define TABLE_COPIES "copies"    /* key of a shadow: the copy, as its home stores it */
#define TABLE_HOMES  "homes"     /* id of a node: as_of */

enum { VALUE_MAX = 2 + HOME_ID + 8 + 8 + 4 + 1 + 8 + 8 + 4 };

struct other_thing {
	struct other_list shadows;
	char name[THING_NAME_MAX + 1];
};

struct others {
	struct others_deps deps;
	void *tree; /* tsearch(3): things by name */
	LIST_HEAD(, home) homes;
	void *home_tree; /* tsearch(3): the same by id */
	size_t home_count, count, copies, bytes;
	bool full_told;
	int64_t *count_figure, *copies_figure, *bytes_figure, *refused_figure;
	void (*loaded)(void *arg, int result);
	void *loaded_arg;
};

static int compare(const void *a, const void *b)
{
	const struct other_thing *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static void show(const struct others *others)
{
	edged_metric_set(others->count_figure, (int64_t)others->count);
	edged_metric_set(others->copies_figure, (int64_t)others->copies);
	edged_metric_set(others->bytes_figure, (int64_t)others->bytes);
}

static void no_room(struct others *others, const char *what, const char *setting)
{
	edged_metric_add(others->refused_figure, 1);
	if (!others->full_told)
		others->deps.log->log(others->deps.host, EDGED_WARNING,
		        "no room for %s: see plugins.shadow.%s; this is told once, and counted", what,
		        setting);
	others->full_told = true;
}

/* --- homes --------------------------------------------------------------------------------------------------------------- */

static int compare_homes(const void *a, const void *b)
{
	const struct home *x = a, *y = b;
	return strcmp(x->id, y->id);
}

static struct home *find_home(const struct others *others, struct edged_slice id)
{
	struct home probe;
	if (id.len != HOME_ID)
		return NULL;
	memcpy(probe.id, id.ptr, HOME_ID);
	probe.id[HOME_ID] = '\0';
	struct home **found = tfind(&probe, &others->home_tree, compare_homes);
	return found ? *found : NULL;
}

const struct home *others_known_home(const struct others *others, struct edged_slice id)
{
	return find_home(others, id);
}

void others_each_home(struct others *others, void (*each)(void *arg, struct home *home), void *arg)
{
	struct home *home;
	LIST_FOREACH(home, &others->homes, link)
	each(arg, home);
}

struct home *others_home(struct others *others, struct edged_slice id)
{
	struct home *home = find_home(others, id);
	if (home)
		return home;
	if (id.len != HOME_ID || others->home_count >= HOMES_MOST || memchr(id.ptr, '\0', id.len) ||
	        !(home = calloc(1, sizeof(*home))))
		return NULL;
	memcpy(home->id, id.ptr, id.len);
	if (!tsearch(home, &others->home_tree, compare_homes)) {
		free(home);
		return NULL;
	}
	LIST_INSERT_HEAD(&others->homes, home, link);
	others->home_count++;
	return home;
}

void others_as_of(struct others *others, struct home *home, int64_t seconds)
{
	char text[24];
	home->as_of = seconds;
	snprintf(text, sizeof(text), "%lld", (long long)seconds);
	if (others->deps.store->put(others->deps.host, TABLE_HOMES, edged_str(home->id), edged_str(text)))
		others->deps.log->log(others->deps.host, EDGED_WARNING,
		        "it is not stored until when node %.8s was there; copies may seem older than they "
		        "are",
		        home->id);
}

/* --- the index ----------------------------------------------------------------------------------------------------------- */

size_t others_count(const struct others *others)
{
	return others->count;
}

size_t others_copies(const struct others *others)
{
	return others->copies;
}

static struct other_thing *find_thing(const struct others *others, const char *name)
{
	struct other_thing probe;
	snprintf(probe.name, sizeof(probe.name), "%s", name);
	struct other_thing **found = tfind(&probe, &others->tree, compare);
	return found ? *found : NULL;
}

struct other *others_of_thing(struct others *others, const char *thing)
{
	const struct other_thing *found = others->count ? find_thing(others, thing) : NULL;
	return found ? LIST_FIRST(&found->shadows) : NULL;
}

struct other *others_find(struct others *others, const struct shadow_name *name)
{
	struct other *other = others_of_thing(others, name->thing);
	while (other && strcmp(other->name, name->name) != 0)
		other = LIST_NEXT(other, link);
	return other;
}

void other_name(const struct other *other, struct shadow_name *ret)
{
	snprintf(ret->thing, sizeof(ret->thing), "%s", other->thing->name);
	snprintf(ret->name, sizeof(ret->name), "%s", other->name);
}

static struct other_thing *make_thing(struct others *others, const char *name)
{
	struct other_thing *thing = find_thing(others, name);
	if (thing)
		return thing;
	thing = calloc(1, sizeof(*thing));
	if (!thing)
		return NULL;
	snprintf(thing->name, sizeof(thing->name), "%s", name);
	LIST_INIT(&thing->shadows);
	if (!tsearch(thing, &others->tree, compare)) {
		free(thing);
		return NULL;
	}
	return thing;
}

static void forget(struct others *others, struct other *other)
{
	struct other_thing *thing = other->thing;
	LIST_REMOVE(other, link);
	others->count--;
	others->copies -= other->bytes > 0;
	others->bytes -= other->bytes;
	free(other);
	if (LIST_EMPTY(&thing->shadows)) {
		tdelete(thing, &others->tree, compare);
		free(thing);
	}
}

static struct other *make(struct others *others, const struct shadow_name *name)
{
	struct other_thing *thing = NULL;
	struct other *other = NULL;
	size_t n = strlen(name->name) + 1;
	if (others->count < others->deps.count)
		thing = make_thing(others, name->thing);
	if (thing)
		other = calloc(1, sizeof(*other) + n);
	if (!other) {
		if (thing && LIST_EMPTY(&thing->shadows)) {
			tdelete(thing, &others->tree, compare);
			free(thing);
		}
		no_room(others, "all shadows of other nodes", "elsewhere.shadows");
		return NULL;
	}
	other->thing = thing;
	memcpy(other->name, name->name, n);
	LIST_INSERT_HEAD(&thing->shadows, other, link);
	others->count++;
	return other;
}

/* --- the disk ------------------------------------------------------------------------------------------------------------ */

static struct edged_slice key_of(const struct other *other, char key[SHADOW_KEY_MAX])
{
	struct shadow_name name;
	other_name(other, &name);
	return shadow_key(key, &name);
}

/* What could not be stored is told again by its home after the next start. */
static void check(const struct others *others, int r)
{
	if (r)
		others->deps.log->log(others->deps.host, EDGED_WARNING,
		        "where shadows of other nodes are cannot be stored: %s", strerror(-r));
}

static void save(const struct others *others, const struct other *other)
{
	char key[SHADOW_KEY_MAX];
	uint8_t value[VALUE_MAX];
	struct writer w = writer(value, sizeof(value));
	write_binary(&w, edged_str(other->home->id));
	write_u64(&w, (uint64_t)other->claim.version);
	write_u64(&w, (uint64_t)other->claim.made);
	write_u32(&w, other->claim.moves);
	write_u8(&w, other->claim.exists);
	write_u64(&w, (uint64_t)other->version);
	write_u64(&w, (uint64_t)other->copied);
	write_u32(&w, (uint32_t)other->bytes);
	check(others, others->deps.store->put(others->deps.host, TABLE_OTHERS, key_of(other, key),
	                      edged_slice(value, (size_t)(w.at - value))));
}

static bool take_row(struct others *others, const struct shadow_name *name, struct edged_slice value)
{
	struct reader r = reader(value.ptr, value.len);
	struct home *home = others_home(others, read_binary(&r));
	struct claim claim = { .version = (int64_t)read_u64(&r), .made = (int64_t)read_u64(&r) };
	claim.moves = read_u32(&r);
	claim.exists = read_u8(&r) == 1;
	int64_t version = (int64_t)read_u64(&r), copied = (int64_t)read_u64(&r);
	size_t bytes = read_u32(&r);
	struct other *other = r.failed || !home ? NULL : make(others, name);
	if (!other)
		return false;
	other->home = home;
	other->claim = claim;
	other->version = version;
	other->copied = copied;
	other->bytes = bytes;
	others->copies += bytes > 0;
	others->bytes += bytes;
	return true;
}

static int load_row(void *arg, struct edged_slice key, struct edged_slice value)
{
	struct shadow_name name;
	if (shadow_key_parse(key, &name))
		(void)take_row(arg, &name, value);
	return 0;
}

static void load_end(void *arg, int result)
{
	struct others *others = arg;
	show(others);
	others->loaded(others->loaded_arg, result);
}

static int load_home(void *arg, struct edged_slice key, struct edged_slice value)
{
	struct home *home = others_home(arg, key);
	char text[24];
	snprintf(text, sizeof(text), "%.*s", EDGED_SLICE_FMT(value));
	if (home)
		home->as_of = strtoll(text, NULL, 10);
	return 0;
}

static void homes_end(void *arg, int result)
{
	struct others *others = arg;
	const struct edged_slice none = { NULL, 0 };
	if (!result)
		result = others->deps.store->scan(
		        others->deps.host, TABLE_OTHERS, none, none, 0, load_row, load_end, others);
	if (result)
		load_end(others, result);
}

int others_load(struct others *others, void (*loaded)(void *arg, int result), void *arg)
{
	const struct edged_slice none = { NULL, 0 };
	others->loaded = loaded;
	others->loaded_arg = arg;
	return others->deps.store->scan(
	        others->deps.host, TABLE_HOMES, none, none, 0, load_home, homes_end, others);
}

/* --- changes ------------------------------------------------------------------------------------------------------------- */

struct other *others_set(
        struct others *others, const struct shadow_name *name, struct home *home, const struct claim *claim)
{
	struct other *other = others_find(others, name);
	if (other && other->home != home && claim_better(&other->claim, other->home->id, claim, home->id))
		return NULL;
	if (!other && !(other = make(others, name)))
		return NULL;
	bool same = other->home == home && other->claim.made == claim->made &&
	            other->claim.moves == claim->moves && other->claim.exists == claim->exists;
	other->round = home->round;
	other->claim = *claim;
	if (same)
		return other;
	if (other->home != home) {
		other->version = 0;
		other->checked = false;
	}
	other->home = home;
	save(others, other);
	show(others);
	return other;
}

bool others_keep(struct others *others, struct other *other, const struct claim *claim,
        struct edged_slice text, int64_t copied)
{
	char key[SHADOW_KEY_MAX];
	if (others->bytes - other->bytes + text.len > others->deps.bytes) {
		no_room(others, "copies of all shadows", "elsewhere.copies");
		return false;
	}
	int r = others->deps.store->put(others->deps.host, TABLE_COPIES, key_of(other, key), text);
	if (r) {
		check(others, r);
		return false;
	}
	others->copies += other->bytes == 0;
	others->bytes += text.len - other->bytes;
	other->bytes = text.len;
	other->claim = *claim;
	other->version = claim->version;
	other->copied = copied;
	save(others, other);
	show(others);
	return true;
}

static void drop_copy(struct others *others, struct other *other)
{
	char key[SHADOW_KEY_MAX];
	if (!other->bytes)
		return;
	check(others, others->deps.store->del(others->deps.host, TABLE_COPIES, key_of(other, key)));
	others->copies--;
	others->bytes -= other->bytes;
	other->bytes = 0;
	other->version = 0;
}

void others_drop(struct others *others, struct other *other)
{
	char key[SHADOW_KEY_MAX];
	drop_copy(others, other);
	check(others, others->deps.store->del(others->deps.host, TABLE_OTHERS, key_of(other, key)));
	forget(others, other);
	show(others);
}

int others_text(struct others *others, const struct shadow_name *name,
        void (*found)(void *arg, int result, struct edged_slice value), void *arg)
{
	char key[SHADOW_KEY_MAX];
	return others->deps.store->get(others->deps.host, TABLE_COPIES, shadow_key(key, name), found, arg);
}

/* --- all of them --------------------------------------------------------------------------------------------------------- */

struct walk {
	struct other **list;
	size_t count;
};

static void collect(const void *node, VISIT visit, void *closure)
{
	struct walk *walk = closure;
	const struct other_thing *thing = *(struct other_thing *const *)node;
	struct other *other;
	if (visit != postorder && visit != leaf)
		return;
	LIST_FOREACH(other, &thing->shadows, link)
	walk->list[walk->count++] = other;
}

struct named {
	const char *after, *name;
	bool (*each)(void *arg, const struct other *other);
	void *arg;
	bool over;
};

static void find_named(const void *node, VISIT visit, void *closure)
{
	struct named *named = closure;
	const struct other_thing *thing = *(struct other_thing *const *)node;
	const struct other *other = LIST_FIRST(&thing->shadows);
	if ((visit != postorder && visit != leaf) || named->over || strcmp(thing->name, named->after) <= 0)
		return;
	while (other && strcmp(other->name, named->name) != 0)
		other = LIST_NEXT(other, link);
	if (other)
		named->over = !named->each(named->arg, other);
}

void others_named(struct others *others, const char *after, const char *name,
        bool (*each)(void *arg, const struct other *other), void *arg)
{
	struct named named = { after, name, each, arg, false };
	twalk_r(others->tree, find_named, &named);
}

void others_each(struct others *others, void (*each)(void *arg, struct other *other), void *arg)
{
	struct walk walk = { .list = others->count ? malloc(others->count * sizeof(struct other *)) : NULL };
	if (!walk.list)
		return;
	twalk_r(others->tree, collect, &walk);
	for (size_t i = 0; i < walk.count; i++)
		each(arg, walk.list[i]);
	free(walk.list);
}

void others_round(struct home *home)
{
	home->round++;
}

struct sweep {
	struct others *others;
	const struct home *home;
};

static void sweep_one(void *arg, struct other *other)
{
	const struct sweep *sweep = arg;
	if (other->home == sweep->home && other->round != sweep->home->round)
		others_drop(sweep->others, other);
}

void others_sweep(struct others *others, const struct home *home)
{
	struct sweep sweep = { others, home };
	others_each(others, sweep_one, &sweep);
}

static void drop_one_copy(void *arg, struct other *other)
{
	struct others *others = arg;
	if (!other->bytes)
		return;
	drop_copy(others, other);
	save(others, other);
}

void others_drop_copies(struct others *others)
{
	others_each(others, drop_one_copy, others);
	show(others);
}

/* --- life ---------------------------------------------------------------------------------------------------------------- */

int others_new(const struct others_deps *deps, struct others **ret)
{
	struct others *others = calloc(1, sizeof(*others));
	if (!others)
		return -ENOMEM;
	others->deps = *deps;
	LIST_INIT(&others->homes);
	others->count_figure = deps->metrics->figure(deps->host, EDGED_GAUGE, "shadow_elsewhere", NULL,
	        "Shadows that are known to have their home on another node");
	others->copies_figure = deps->metrics->figure(
	        deps->host, EDGED_GAUGE, "shadow_copies", NULL, "Copies of such shadows that are kept here");
	others->bytes_figure = deps->metrics->figure(
	        deps->host, EDGED_GAUGE, "shadow_copies_bytes", NULL, "Bytes that the copies have");
	others->refused_figure = deps->metrics->figure(deps->host, EDGED_COUNTER,
	        "shadow_elsewhere_refused_total", NULL, "Shadows of other nodes, and copies, without room");
	*ret = others;
	return 0;
}

void others_free(struct others *others)
{
	if (!others)
		return;
	while (others->tree) {
		struct other_thing *thing = *(struct other_thing **)others->tree;
		while (LIST_NEXT(LIST_FIRST(&thing->shadows), link))
			forget(others, LIST_NEXT(LIST_FIRST(&thing->shadows), link));
		forget(others, LIST_FIRST(&thing->shadows));
	}
	struct home *home;
	while ((home = LIST_FIRST(&others->homes))) {
		LIST_REMOVE(home, link);
		(void)tdelete(home, &others->home_tree, compare_homes);
		free(home);
	}
	free(others);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "registry.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

static const char *const tables[KINDS] = { "things", "groups", "policies", "certificates", "users", "keys" };

struct write {
	struct write *next, **at;
	struct registry *registry;
	void (*done)(void *arg, int result);
	void *arg;
};

struct registry {
	struct registry_deps deps;
	struct table tables[KINDS];
	int64_t *figures[KINDS];
	/* while the store is read */
	struct table fresh[KINDS];
	unsigned reading; /* the kind that is being read */
	bool loading;
	int result;
	void (*loaded)(void *arg, int result);
	struct write *writes; /* that the store has not answered */
};

const char *kind_word(enum kind kind)
{
	static const char *const words[KINDS] = { "thing", "group", "policy", "certificate", "user", "key" };
	return words[kind];
}

bool name_valid(enum kind kind, struct edged_slice name)
{
	static const char digits[] = "0123456789";
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const struct {
		size_t least, most;
		const char *characters[3];
	} rows[KINDS] = {
		[KIND_THING] = { 1, 128, { letters, digits, ":_-" } },
		[KIND_GROUP] = { 1, 128, { letters, digits, ":_-" } },
		[KIND_POLICY] = { 1, 128, { letters, digits, "+=,.@-_" } },
		[KIND_CERTIFICATE] = { 64, 64, { "abcdef", digits, "" } },
		[KIND_USER] = { 1, 128, { letters, digits, "+=,.@-_:" } },
		[KIND_KEY] = { 16, 128, { letters, digits, "" } },
	};
	if (name.len < rows[kind].least || name.len > rows[kind].most)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		bool found = false;
		for (size_t k = 0; k < 3 && name.ptr[i]; k++)
			found |= strchr(rows[kind].characters[k], name.ptr[i]) != NULL;
		if (!found)
			return false;
	}
	return true;
}

int registry_new(const struct registry_deps *deps, struct registry **ret)
{
	static const char *const help[KINDS] = { "Things in the registry", "Groups of things", "Policies",
		"Certificates of things", "Users", "Access keys" };
	struct registry *registry = calloc(1, sizeof(*registry));
	if (!registry)
		return -ENOMEM;
	registry->deps = *deps;
	for (int i = 0; i < KINDS; i++) {
		char name[64];
		snprintf(name, sizeof(name), "things_%s", tables[i]);
		registry->figures[i] = deps->metrics->figure(deps->host, EDGED_GAUGE, name, NULL, help[i]);
	}
	*ret = registry;
	return 0;
}

static void add_write(
        struct registry *registry, struct write *write, void (*done)(void *arg, int result), void *arg)
{
	*write = (struct write){ registry->writes, &registry->writes, registry, done, arg };
	if (write->next)
		write->next->at = &write->next;
	registry->writes = write;
}

static void remove_write(struct write *write)
{
	*write->at = write->next;
	if (write->next)
		write->next->at = write->at;
}

/* The last word to whoever wrote. */
static void answer(struct write *write, int result)
{
	remove_write(write);
	write->done(write->arg, result);
	free(write);
}

void registry_free(struct registry *registry)
{
	if (!registry)
		return;
	while (registry->writes)
		answer(registry->writes, -ECANCELED);
	for (int i = 0; i < KINDS; i++) {
		table_fini(&registry->tables[i]);
		table_fini(&registry->fresh[i]);
	}
	free(registry);
}

const struct table *registry_table(const struct registry *registry, enum kind kind)
{
	return &registry->tables[kind];
}

const struct record *registry_find(const struct registry *registry, enum kind kind, struct edged_slice name)
{
	return table_find(&registry->tables[kind], name);
}

static void count(struct registry *registry)
{
	for (int i = 0; i < KINDS; i++)
		edged_metric_set(registry->figures[i], (int64_t)registry->tables[i].count);
}

/* --- policies ------------------------------------------------------------------------------------------------------- */

static int compile(const struct registry *registry, const json_t *doc, struct record *record)
{
	struct policy_error error;
	char *text = json_dumps(json_object_get(doc, "document"), JSON_COMPACT);
	if (!text)
		return json_object_get(doc, "document") ? -ENOMEM : -EINVAL;
	int r = policy_compile(edged_str(text), registry->deps.policy_bytes, &record->policy, &error);
	free(text);
	return r;
}

/* --- reading the store ---------------------------------------------------------------------------------------------- */

static int read_row(void *arg, struct edged_slice key, struct edged_slice value)
{
	struct registry *registry = arg;
	struct table *table = &registry->fresh[registry->reading];
	struct record *record = NULL;
	json_t *doc = json_loadb(value.ptr, value.len, 0, NULL);
	int r = table_reserve(table, 1);
	if (!r && (!json_is_object(doc) || !name_valid(registry->reading, key))) {
		registry->deps.log->log(registry->deps.host, EDGED_ERROR,
		        "a stored %s cannot be read and is left out: %.*s", kind_word(registry->reading),
		        EDGED_SLICE_FMT(key));
		json_decref(doc);
		return 0;
	}
	if (!r)
		r = record_new(key, value, &record);
	if (!r && registry->reading == KIND_POLICY && compile(registry, doc, record))
		registry->deps.log->log(registry->deps.host, EDGED_ERROR,
		        "the stored policy %s is not valid (any more): whoever has it may do nothing",
		        record->name);
	if (!r)
		table_set(table, record);
	json_decref(doc);
	registry->result = r;
	return r;
}

static void load_ended(struct registry *registry, int result)
{
	registry->loading = false;
	for (int i = 0; i < KINDS; i++) {
		struct table *old = result ? &registry->fresh[i] : &registry->tables[i];
		table_fini(old);
		if (!result) {
			*old = registry->fresh[i];
			registry->fresh[i] = (struct table){ 0 };
		}
	}
	count(registry);
	if (registry->loaded)
		registry->loaded(registry->deps.arg, result);
	else if (!result)
		registry->deps.changed(registry->deps.arg, KINDS, "");
	else
		registry->deps.log->log(
		        registry->deps.host, EDGED_ERROR, "the store cannot be read: %s", strerror(-result));
}

static int read_next(struct registry *registry);

static void table_read(void *arg, int result)
{
	struct registry *registry = arg;
	int r = result ? result : registry->result;
	if (!r && ++registry->reading < KINDS)
		r = read_next(registry);
	else if (!r)
		return load_ended(registry, 0);
	if (r)
		load_ended(registry, r);
}

static int read_next(struct registry *registry)
{
	return registry->deps.store->scan(registry->deps.host, tables[registry->reading],
	        edged_slice(NULL, 0), edged_slice(NULL, 0), 0, read_row, table_read, registry);
}

int registry_load(struct registry *registry, void (*loaded)(void *arg, int result))
{
	registry->loading = true;
	registry->reading = 0;
	registry->result = 0;
	registry->loaded = loaded;
	int r = read_next(registry);
	if (r)
		registry->loading = false;
	return r;
}

/* --- writing -------------------------------------------------------------------------------------------------------- */

/* What could not be stored is taken back, with all that came after it: the disk says what there is. */
static void take_back(struct registry *registry, int result)
{
	registry->deps.log->log(registry->deps.host, EDGED_ERROR,
	        "a change to things could not be stored (%s); what is on the disk is in force",
	        strerror(-result));
	if (registry->loading)
		return;
	int r = registry_load(registry, NULL);
	if (r)
		registry->deps.log->log(
		        registry->deps.host, EDGED_ERROR, "the store cannot be read: %s", strerror(-r));
}

static void written(void *arg, int result)
{
	struct write *write = arg;
	if (result)
		take_back(write->registry, result);
	answer(write, result);
}

static int prepare(struct registry *registry, const struct change *change, struct record **ret)
{
	struct table *table = &registry->tables[change->kind];
	const struct record *before = table_find(table, change->name);
	*ret = NULL;
	if (!change->doc)
		return 0;
	if (!before && table->count >= registry->deps.most[change->kind])
		return -ENOSPC;
	json_t *old = before ? record_json(before) : NULL;
	json_int_t version = json_integer_value(json_object_get(old, "version"));
	json_decref(old);
	int r = json_object_set_new(change->doc, "version", json_integer(version + 1)) ? -ENOMEM : 0;
	if (!r && !json_object_get(change->doc, "created") &&
	        json_object_set_new(change->doc, "created", json_integer((json_int_t)time(NULL) * 1000)))
		r = -ENOMEM;
	char *text = r ? NULL : json_dumps(change->doc, JSON_COMPACT);
	if (!text)
		return -ENOMEM;
	r = record_new(change->name, edged_str(text), ret);
	free(text);
	if (!r && change->kind == KIND_POLICY)
		r = compile(registry, change->doc, *ret);
	return r;
}

static int put(
        struct registry *registry, const struct change *changes, size_t n, struct record *const *records)
{
	int r = 0;
	for (size_t i = 0; i < n && !r; i++) {
		const char *table = tables[changes[i].kind];
		r = records[i] ? registry->deps.store->put(registry->deps.host, table, changes[i].name,
		                         edged_slice(records[i]->text, records[i]->len))
		               : registry->deps.store->del(registry->deps.host, table, changes[i].name);
		if (r && i)
			take_back(registry, r);
	}
	return r;
}

static void apply(struct registry *registry, const struct change *change, struct record *record)
{
	struct table *table = &registry->tables[change->kind];
	const struct record *before = table_find(table, change->name);
	char name[129];
	snprintf(name, sizeof(name), "%.*s", EDGED_SLICE_FMT(change->name));
	if (record)
		table_set(table, record);
	else
		table_remove(table, change->name);
	if (before)
		registry->deps.changed(registry->deps.arg, change->kind, name);
	else if (record && registry->deps.made)
		registry->deps.made(registry->deps.arg, change->kind, name);
}

int registry_write(struct registry *registry, const struct change *changes, size_t n,
        void (*done)(void *arg, int result), void *arg)
{
	struct record *records[CHANGES_MAX] = { NULL };
	if (registry->loading)
		return -EBUSY;
	if (n > CHANGES_MAX)
		return -ENOSPC;
	struct write *write = malloc(sizeof(*write));
	int r = write ? 0 : -ENOMEM;
	for (size_t i = 0; i < n && !r; i++) {
		r = table_reserve(&registry->tables[changes[i].kind], n);
		if (!r)
			r = prepare(registry, &changes[i], &records[i]);
	}
	if (!r)
		r = put(registry, changes, n, records);
	if (!r) {
		add_write(registry, write, done, arg);
		r = registry->deps.store->commit(registry->deps.host, written, write);
		if (r) {
			remove_write(write);
			take_back(registry, r);
		}
	}
	if (r) {
		for (size_t i = 0; i < n; i++)
			record_free(records[i]);
		free(write);
		return r;
	}
	for (size_t i = 0; i < n; i++)
		apply(registry, &changes[i], records[i]);
	count(registry);
	return 0;
}

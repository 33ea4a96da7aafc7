/* SPDX-License-Identifier: Apache-2.0 */
/* Records in memory and on the disk: both say the same, whatever the disk does. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "doc.h"
#include "edged/cap_config.h"
#include "fake_host.h"
#include "registry.h"

struct rig { /* a plugin that is nothing but a registry */
	struct registry *registry;
	struct edged_host *host;
	char seen[200]; /* changes that were reported */
};

static void changed(void *arg, enum kind kind, const char *name)
{
	struct rig *rig = arg;
	size_t n = strlen(rig->seen);
	snprintf(rig->seen + n, sizeof(rig->seen) - n, "%s:%s ", kind == KINDS ? "all" : kind_word(kind),
	        name);
}

static void loaded(void *arg, int result)
{
	struct rig *rig = arg;
	rig->host->v1->started(rig->host, result, NULL);
}

static int create(struct edged_host *host, void **ret_self)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct registry_deps deps = { .host = host,
		.store = edged_cap(host, EDGED_STORE_1),
		.log = edged_cap(host, EDGED_LOG_1),
		.metrics = edged_cap(host, EDGED_METRICS_1),
		.most = { 3, 3, 3, 3, 3, 3 },
		.policy_bytes = 2048,
		.changed = changed,
		.arg = rig };
	rig->host = host;
	*ret_self = rig;
	return registry_new(&deps, &rig->registry);
}

static int start(void *self)
{
	return registry_load(((struct rig *)self)->registry, loaded) ? -EIO : EDGED_LATER;
}

static void destroy(void *self)
{
	registry_free(((struct rig *)self)->registry);
	free(self);
}

static void stop(void *self)
{
	(void)self;
}

static const struct edged_setting settings[] = { { 0 } };
static const struct edged_plugin plugin = { .name = "rig",
	.settings = settings,
	.create = create,
	.start = start,
	.stop = stop,
	.destroy = destroy };

static struct fake_host *begin(struct fake_disk *disk, struct rig **ret)
{
	struct fake_host *host = fake_host_new(&plugin, disk, 1, NULL);
	*ret = fake_self(host);
	return host;
}

static void done(void *arg, int result)
{
	*(int *)arg = result;
}

enum { WAITS = 77 };

static int write_text(struct rig *rig, enum kind kind, const char *name, const char *text, int *ret_result)
{
	json_t *doc = text ? json_loads(text, 0, NULL) : NULL;
	const struct change change = { kind, edged_str(name), doc };
	*ret_result = WAITS;
	int r = registry_write(rig->registry, &change, 1, done, ret_result);
	json_decref(doc);
	return r;
}

static json_int_t version(struct rig *rig, const char *thing)
{
	const struct record *record = registry_find(rig->registry, KIND_THING, edged_str(thing));
	json_t *doc = record ? record_json(record) : NULL;
	json_int_t ret = json_integer_value(json_object_get(doc, "version"));
	json_decref(doc);
	return ret;
}

static void a_change_holds_at_once_and_is_done_when_it_is_stored(void **state)
{
	struct fake_disk *disk = fake_disk_new();
	struct rig *rig;
	int result;
	(void)state;
	struct fake_host *host = begin(disk, &rig);
	assert_int_equal(write_text(rig, KIND_THING, "lamp", "{}", &result), 0);
	assert_int_equal(version(rig, "lamp"), 1);
	assert_int_equal(result, WAITS);
	fake_commit(host, 0);
	assert_int_equal(result, 0);
	assert_string_equal(rig->seen, ""); /* it was not there before */
	assert_int_equal(write_text(rig, KIND_THING, "lamp", "{\"type\":\"x\"}", &result), 0);
	assert_int_equal(version(rig, "lamp"), 2);
	assert_string_equal(rig->seen, "thing:lamp ");
	fake_host_free(host, false); /* killed before it was stored */
	host = begin(disk, &rig);
	assert_int_equal(version(rig, "lamp"), 1);
	fake_host_free(host, true);
	fake_disk_free(disk);
}

static void what_cannot_be_stored_is_taken_back(void **state)
{
	struct fake_disk *disk = fake_disk_new();
	struct rig *rig;
	int first, second, third;
	(void)state;
	struct fake_host *host = begin(disk, &rig);
	assert_int_equal(write_text(rig, KIND_THING, "lamp", "{}", &first), 0);
	fake_commit(host, 0);
	assert_int_equal(write_text(rig, KIND_THING, "lamp", "{\"type\":\"x\"}", &first), 0);
	assert_int_equal(write_text(rig, KIND_THING, "fan", "{}", &second), 0);
	assert_int_equal(version(rig, "fan"), 1);
	fake_commit(host, -ENOSPC);
	fake_commit(host, -ENOSPC);
	assert_int_equal(first, -ENOSPC);
	assert_int_equal(second, -ENOSPC);
	fake_commit(host, 0);
	fake_run(host);
	assert_int_equal(version(rig, "lamp"), 1);
	assert_int_equal(version(rig, "fan"), 0);
	assert_non_null(strstr(rig->seen, "all:"));
	assert_int_equal(write_text(rig, KIND_THING, "fan", "{}", &third), 0);
	fake_commit(host, 0);
	assert_int_equal(third, 0);
	fake_host_free(host, true);
	fake_disk_free(disk);
}

static void there_is_a_limit_on_each_kind(void **state)
{
	struct fake_disk *disk = fake_disk_new();
	struct rig *rig;
	int result;
	(void)state;
	struct fake_host *host = begin(disk, &rig);
	for (const char *name = "abc"; *name; name++) {
		char one[2] = { *name, 0 };
		assert_int_equal(write_text(rig, KIND_GROUP, one, "{}", &result), 0);
	}
	assert_int_equal(write_text(rig, KIND_GROUP, "d", "{}", &result), -ENOSPC);
	assert_int_equal(write_text(rig, KIND_GROUP, "c", "{}", &result), 0);
	assert_int_equal(write_text(rig, KIND_GROUP, "a", NULL, &result), 0);
	assert_int_equal(write_text(rig, KIND_GROUP, "d", "{}", &result), 0);
	fake_commit(host, 0);
	assert_int_equal(fake_figure(host, "things_groups", NULL), 3);
	assert_int_equal(fake_disk_rows(disk, "groups"), 3);
	fake_host_free(host, true);
	fake_disk_free(disk);
}

static void a_policy_that_cannot_be_read_any_more_is_there_without_meaning(void **state)
{
	struct fake_disk *disk = fake_disk_new();
	struct rig *rig;
	int result;
	static const char good[] =
	        "{\"document\":{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}}}";
	(void)state;
	struct fake_host *host = begin(disk, &rig);
	assert_int_equal(
	        write_text(rig, KIND_POLICY, "p", "{\"document\":{\"Statement\":[]}}", &result), -EINVAL);
	assert_int_equal(write_text(rig, KIND_POLICY, "p", good, &result), 0);
	fake_commit(host, 0);
	assert_non_null(registry_find(rig->registry, KIND_POLICY, edged_str("p"))->policy);
	fake_host_free(host, true);
	assert_true(fake_disk_damage(disk, "policies", 0, 30)); /* within the names of members */
	host = begin(disk, &rig);
	const struct record *record = registry_find(rig->registry, KIND_POLICY, edged_str("p"));
	assert_true(!record || !record->policy);
	fake_host_free(host, true);
	fake_disk_free(disk);
}

static void names_are_judged(void **state)
{
	(void)state;
	assert_true(name_valid(KIND_THING, edged_str("a:_-Z9")));
	assert_false(name_valid(KIND_THING, edged_str("")));
	assert_false(name_valid(KIND_THING, edged_str("a/b")));
	assert_false(name_valid(KIND_THING, edged_str("a+b")));
	assert_false(name_valid(KIND_THING, edged_slice("a\0b", 3)));
	assert_true(name_valid(KIND_POLICY, edged_str("a+b@c.d")));
	assert_false(name_valid(KIND_CERTIFICATE, edged_str("abc")));
	assert_true(name_valid(KIND_KEY, edged_str("AKIAIOSFODNN7EXAMPLE")));
	assert_false(name_valid(KIND_KEY, edged_str("AKIAIOSFODNN7EX")));
	assert_false(name_valid(KIND_KEY, edged_str("AKIAIOSFODNN7/EXAMPLE")));
	char long_name[130];
	memset(long_name, 'x', sizeof(long_name));
	assert_true(name_valid(KIND_GROUP, edged_slice(long_name, 128)));
	assert_false(name_valid(KIND_GROUP, edged_slice(long_name, 129)));
}

static void a_merge_patch_is_that_of_rfc_7396(void **state)
{
	static const char *const rows[][3] = {
		{ "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\": \"c\"}" },
		{ "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\": \"b\", \"b\": \"c\"}" },
		{ "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
		{ "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\": \"c\"}" },
		{ "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\": {\"b\": \"d\"}}" },
		{ "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\": {\"bb\": {}}}" },
		{ "{\"a\":\"foo\"}", "{\"a\":{\"b\":null,\"c\":1}}", "{\"a\": {\"c\": 1}}" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *target = json_loads(rows[i][0], 0, NULL), *patch = json_loads(rows[i][1], 0, NULL);
		assert_int_equal(doc_merge(target, patch), 0);
		char *text = json_dumps(target, JSON_SORT_KEYS);
		assert_string_equal(text, rows[i][2]);
		free(text);
		json_decref(target);
		json_decref(patch);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_holds_at_once_and_is_done_when_it_is_stored),
		cmocka_unit_test(what_cannot_be_stored_is_taken_back),
		cmocka_unit_test(there_is_a_limit_on_each_kind),
		cmocka_unit_test(a_policy_that_cannot_be_read_any_more_is_there_without_meaning),
		cmocka_unit_test(names_are_judged),
		cmocka_unit_test(a_merge_patch_is_that_of_rfc_7396),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The registry as other plugins see it: what there is, in order, and who hears of a change. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "edged/cap_config.h"
#include "fake_host.h"
#include "offer.h"

struct rig { /* a plugin that is nothing but a registry on offer */
	struct registry *registry;
	struct offer *offer;
	struct edged_host *host;
	char seen[200];
};

static void changed(void *arg, enum kind kind, const char *name)
{
	offer_changed(((struct rig *)arg)->offer, kind, name);
}

static void loaded(void *arg, int result)
{
	((struct rig *)arg)->host->v1->started(((struct rig *)arg)->host, result, NULL);
}

static int create(struct edged_host *host, void **ret_self)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	const struct registry_deps deps = { .host = host,
		.store = edged_cap(host, EDGED_STORE_1),
		.log = edged_cap(host, EDGED_LOG_1),
		.metrics = edged_cap(host, EDGED_METRICS_1),
		.most = { 9, 9, 9, 9, 9 },
		.policy_bytes = 2048,
		.changed = changed,
		.made = changed,
		.arg = rig };
	rig->host = host;
	*ret_self = rig;
	return registry_new(&deps, &rig->registry) || offer_new(rig->registry, &rig->offer) ? -ENOMEM : 0;
}

static int start(void *self)
{
	return registry_load(((struct rig *)self)->registry, loaded) ? -EIO : EDGED_LATER;
}

static void destroy(void *self)
{
	struct rig *rig = self;
	registry_free(rig->registry);
	offer_free(rig->offer);
	free(rig);
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

static struct fake_disk *disk;
static struct fake_host *host;
static struct rig *rig;
static const struct edged_things_1 *things;

static int setup(void **state)
{
	(void)state;
	disk = fake_disk_new();
	host = fake_host_new(&plugin, disk, 1, NULL);
	rig = fake_self(host);
	things = offer_capability(rig->offer);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_host_free(host, true);
	fake_disk_free(disk);
	return 0;
}

static void done(void *arg, int result)
{
	(void)arg;
	(void)result;
}

static void put(enum kind kind, const char *name, const char *text)
{
	json_t *doc = text ? json_loads(text, 0, NULL) : NULL;
	const struct change change = { kind, edged_str(name), doc };
	assert_int_equal(registry_write(rig->registry, &change, 1, done, NULL), 0);
	json_decref(doc);
}

static const char *after(const char *name)
{
	return things->next(things->ctx, NULL, edged_str(name)).ptr;
}

static void things_are_walked_in_order_of_their_names(void **state)
{
	(void)state;
	assert_null(after(""));
	put(KIND_THING, "b", "{}");
	put(KIND_THING, "a", "{}");
	put(KIND_GROUP, "aa", "{}");
	assert_string_equal(after(""), "a");
	assert_string_equal(after("a"), "b");
	assert_string_equal(after("aa"), "b");
	assert_null(after("b"));
}

static void a_thing_is_described_and_others_are_not_there(void **state)
{
	(void)state;
	put(KIND_THING, "lamp", "{\"type\":\"light\",\"enabled\":true}");
	assert_true(things->exists(things->ctx, NULL, edged_str("lamp")));
	assert_false(things->exists(things->ctx, NULL, edged_str("lam")));
	assert_null(things->describe(things->ctx, NULL, edged_str("fan")));
	char *text = things->describe(things->ctx, NULL, edged_str("lamp"));
	assert_non_null(strstr(text, "\"name\":\"lamp\""));
	assert_non_null(strstr(text, "\"type\":\"light\""));
	free(text);
}

static void heard(void *arg, struct edged_slice thing)
{
	size_t n = strlen(rig->seen);
	snprintf(rig->seen + n, sizeof(rig->seen) - n, "%s:%.*s ", (const char *)arg,
	        thing.ptr ? (int)thing.len : 3, thing.ptr ? thing.ptr : "all");
}

static void a_watcher_hears_of_things_until_it_leaves(void **state)
{
	(void)state;
	char one[] = "1", two[] = "2";
	assert_int_equal(things->watch(things->ctx, NULL, heard, one), 0);
	put(KIND_THING, "lamp", "{}");
	put(KIND_GROUP, "lamps", "{}");
	put(KIND_THING, "lamp", "{\"type\":\"light\"}");
	assert_string_equal(rig->seen, "1:lamp 1:lamp ");
	assert_int_equal(things->watch(things->ctx, NULL, heard, two), 0);
	things->unwatch(things->ctx, NULL, one);
	things->unwatch(things->ctx, NULL, one);
	put(KIND_THING, "lamp", NULL);
	assert_string_equal(rig->seen, "1:lamp 1:lamp 2:lamp ");
}

static void groups_have_members(void **state)
{
	(void)state;
	char all[] = "m";
	put(KIND_GROUP, "hall", "{}");
	put(KIND_THING, "lamp", "{\"groups\":[\"hall\"]}");
	put(KIND_THING, "door", "{\"groups\":[\"attic\",\"hall\"]}");
	put(KIND_THING, "fan", "{\"groups\":[\"halls\"],\"type\":\"hall\"}");
	assert_true(things->group(things->ctx, NULL, edged_str("hall")));
	assert_false(things->group(things->ctx, NULL, edged_str("lamp")));
	assert_false(things->exists(things->ctx, NULL, edged_str("hall")));
	assert_true(things->member(things->ctx, NULL, edged_str("hall"), edged_str("lamp")));
	assert_false(things->member(things->ctx, NULL, edged_str("hall"), edged_str("fan")));
	assert_false(
	        things->member(things->ctx, NULL, edged_str("attic"), edged_str("door"))); /* no such group */
	things->members(things->ctx, NULL, edged_str("hall"), heard, all);
	things->members(things->ctx, NULL, edged_str("attic"), heard, all);
	assert_string_equal(rig->seen, "m:door m:lamp ");
}

static void a_failed_disk_may_have_changed_anything(void **state)
{
	(void)state;
	char one[] = "1";
	assert_int_equal(things->watch(things->ctx, NULL, heard, one), 0);
	put(KIND_THING, "lamp", "{}");
	fake_commit(host, -EIO);
	fake_commit(host, 0);
	assert_string_equal(rig->seen, "1:lamp 1:all ");
	assert_null(after(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(things_are_walked_in_order_of_their_names, setup, teardown),
		cmocka_unit_test_setup_teardown(
		        a_thing_is_described_and_others_are_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(a_watcher_hears_of_things_until_it_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(groups_have_members, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failed_disk_may_have_changed_anything, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jobs service on the fake host's store and clock, with a broker that notes what is published and a registry of a few things.
 * The calendar goes with the clock.
 */
#ifndef JOBS_RIG_TEST_H
#define JOBS_RIG_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "edged/cap_config.h"
#include "fake_host.h"
#include "service.h"
#include "spec.h"

enum { NOON = 1700000000, THINGS_MAX = 300, LOG_MAX = 1 << 17 };

static struct rig {
	struct fake_disk *disk;
	struct fake_host *host;
	struct edged_host *inside; /* of the host that there is, from create() on */
	struct service *service;
	char *told; /* "TOPIC PAYLOAD\n" of all messages since take() */
	size_t told_len;
	bool deaf;    /* nobody listens */
	int64_t away; /* seconds: what the clock does not know of */
	struct {
		char name[16], group[16];
	} things[THINGS_MAX];
	size_t count;
	void (*changed)(void *arg, struct edged_slice thing);
	void *changed_arg;
	struct service_deps limits;
} rig;

static int64_t wall(void)
{
	const struct edged_loop_1 *loop = edged_cap(rig.inside, EDGED_LOOP_1);
	return NOON + rig.away + (int64_t)(loop->now(rig.inside) / 1000) - 1000;
}

/* --- the broker -------------------------------------------------------------------------------------------------------- */

static int publish(void *ctx, struct edged_host *host, const struct edged_message *message,
        void (*done)(void *arg, int result), void *arg)
{
	(void)ctx;
	(void)host;
	(void)done;
	(void)arg;
	assert_int_equal(message->qos, 1);
	assert_true(rig.told_len + message->topic.len + message->payload.len + 3 < LOG_MAX);
	int n = snprintf(rig.told + rig.told_len, LOG_MAX - rig.told_len, "%.*s %.*s\n",
	        EDGED_SLICE_FMT(message->topic), EDGED_SLICE_FMT(message->payload));
	rig.told_len += (size_t)n;
	return 0;
}

static bool wanted(void *ctx, struct edged_host *host, struct edged_slice topic)
{
	(void)ctx;
	(void)host;
	(void)topic;
	return !rig.deaf;
}

/* --- the registry ------------------------------------------------------------------------------------------------------ */

static bool has_thing(void *ctx, struct edged_host *host, struct edged_slice name)
{
	(void)ctx, (void)host;
	for (size_t i = 0; i < rig.count; i++)
		if (edged_slice_is(name, rig.things[i].name))
			return true;
	return false;
}

static bool has_group(void *ctx, struct edged_host *host, struct edged_slice name)
{
	(void)ctx, (void)host;
	return edged_slice_is(name, "hall");
}

static bool is_member(void *ctx, struct edged_host *host, struct edged_slice group, struct edged_slice thing)
{
	(void)ctx, (void)host;
	for (size_t i = 0; i < rig.count; i++)
		if (edged_slice_is(thing, rig.things[i].name))
			return edged_slice_is(group, rig.things[i].group);
	return false;
}

static void members(void *ctx, struct edged_host *host, struct edged_slice group,
        void (*each)(void *arg, struct edged_slice thing), void *arg)
{
	(void)ctx, (void)host;
	for (size_t i = 0; i < rig.count; i++)
		if (edged_slice_is(group, rig.things[i].group))
			each(arg, edged_str(rig.things[i].name));
}

static int watch(
        void *ctx, struct edged_host *host, void (*changed)(void *arg, struct edged_slice thing), void *arg)
{
	(void)ctx, (void)host;
	rig.changed = changed;
	rig.changed_arg = arg;
	return 0;
}

static void unwatch(void *ctx, struct edged_host *host, void *arg)
{
	(void)ctx, (void)host, (void)arg;
	rig.changed = NULL;
}

static const struct edged_pubsub_1 pubsub = {
	.struct_size = sizeof(pubsub), .publish = publish, .wanted = wanted
};
static const struct edged_things_1 registry = { .struct_size = sizeof(registry),
	.exists = has_thing,
	.group = has_group,
	.member = is_member,
	.members = members,
	.watch = watch,
	.unwatch = unwatch };

/* --- a plugin that is nothing but the service ---------------------------------------------------------------------------- */

static void loaded(void *arg, int result)
{
	struct edged_host *host = arg;
	host->v1->started(host, result, NULL);
}

static int create(struct edged_host *host, void **ret_self)
{
	struct service_deps deps = rig.limits;
	rig.inside = deps.host = host;
	deps.log = edged_cap(host, EDGED_LOG_1);
	deps.loop = edged_cap(host, EDGED_LOOP_1);
	deps.store = edged_cap(host, EDGED_STORE_1);
	deps.metrics = edged_cap(host, EDGED_METRICS_1);
	deps.pubsub = &pubsub;
	deps.registry = &registry;
	deps.wall = wall;
	deps.loaded = loaded;
	deps.arg = host;
	int r = service_new(&deps, &rig.service);
	*ret_self = rig.service;
	return r;
}

static int start(void *self)
{
	return service_start(self) ? -EIO : EDGED_LATER;
}

static void stop(void *self)
{
	service_stop(self);
}

static void destroy(void *self)
{
	service_free(self);
}

static const struct edged_setting settings[] = { { 0 } };
static const struct edged_plugin plugin = { .name = "rig",
	.settings = settings,
	.create = create,
	.start = start,
	.stop = stop,
	.destroy = destroy };

/* --- for tests --------------------------------------------------------------------------------------------------------- */

/* What happens by itself now. */
static void run(void)
{
	for (int i = 0; i < 20; i++)
		fake_sleep(rig.host, 1);
}

static void begin(void)
{
	rig.host = fake_host_new(&plugin, rig.disk, 1, NULL);
	assert_non_null(rig.host);
	fake_auto_commit(rig.host, true);
	run();
}

/* kill -9, and `seconds` later a new start. */
static inline void crash(int64_t seconds)
{
	int64_t before = wall();
	fake_host_free(rig.host, false);
	rig.away = before + seconds - NOON;
	begin();
}

static void add_thing(const char *name, const char *group)
{
	snprintf(rig.things[rig.count].name, sizeof(rig.things[0].name), "%s", name);
	snprintf(rig.things[rig.count++].group, sizeof(rig.things[0].group), "%s", group);
	if (rig.changed)
		rig.changed(rig.changed_arg, edged_str(name));
}

/* group NULL: it is gone */
static inline void change_thing(const char *name, const char *group)
{
	for (size_t i = 0; i < rig.count; i++)
		if (strcmp(rig.things[i].name, name) == 0)
			snprintf(group ? rig.things[i].group : rig.things[i].name, 16, "%s",
			        group ? group : "");
	rig.changed(rig.changed_arg, edged_str(name));
	run();
}

static int setup(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof(rig));
	rig.told = calloc(1, LOG_MAX);
	rig.disk = fake_disk_new();
	rig.limits = (struct service_deps){
		.details = { 10, 12288 }, .jobs = 5, .executions = 300, .in_flight = 3
	};
	add_thing("lamp", "hall");
	add_thing("fan", "hall");
	add_thing("door", "");
	begin();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_host_free(rig.host, true);
	fake_disk_free(rig.disk);
	free(rig.told);
	return 0;
}

/* What was told since the last time. */
static char *take(void)
{
	static char text[LOG_MAX];
	memcpy(text, rig.told, rig.told_len);
	text[rig.told_len] = '\0';
	rig.told_len = 0;
	return text;
}

static void send(const char *topic, const char *payload)
{
	struct jobs_call call = { .topic = edged_str(topic), .payload = edged_str(payload) };
	assert_true(jobs_topic_parse(call.topic, &call.thing, &call.job, &call.verb));
	service_run(rig.service, &call);
}

/* A request of lamp; what was told then. */
static inline char *ask(const char *suffix, const char *payload)
{
	char topic[400];
	(void)take();
	snprintf(topic, sizeof(topic), "$aws/things/lamp/jobs/%s", suffix);
	send(topic, payload);
	fake_run(rig.host);
	return take();
}

static void note(void *arg, int result)
{
	*(int *)arg = result;
}

enum { WAITS = 77 };

static int try_create(const char *spec, int *ret_result)
{
	char why[SPEC_WHY_MAX] = "";
	json_t *root = json_loads(spec, 0, NULL);
	struct job *job = NULL;
	*ret_result = WAITS;
	assert_int_equal(spec_parse(root, 32768, &job, why), 0);
	json_decref(root);
	return service_create(rig.service, job, note, ret_result);
}

static void make(const char *spec)
{
	int result;
	assert_int_equal(try_create(spec, &result), 0);
	run();
	assert_int_equal(result, 0);
}

static struct job *job(const char *id)
{
	return book_find(service_book(rig.service), edged_str(id));
}

static inline enum execution_status status_of(const char *id, const char *thing)
{
	const struct execution *execution = job(id) ? job_find(job(id), edged_str(thing)) : NULL;
	return execution ? execution->status : EXECUTION_STATUSES;
}

#define HAS(text, word)   assert_non_null(strstr(text, word))
#define LACKS(text, word) assert_null(strstr(text, word))

#define TESTS(...)                                                                                           \
	int main(void)                                                                                       \
	{                                                                                                    \
		const struct CMUnitTest tests[] = { __VA_ARGS__ };                                           \
		return cmocka_run_group_tests(tests, NULL, NULL);                                            \
	}
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <time.h>
#include "base/clock.h"
#include "conf/tables.h"
#include "core/request.h"

enum { PATIENCE_MS = 20000 };

/* --- the main loop, seen from the test's thread --- */

struct call {
	struct post post;
	struct world *world;
	void (*fn)(void *arg);
	void *arg;
	bool done;
};

static void run_call(struct post *post)
{
	struct call *call = CONTAINER_OF(post, struct call, post);
	call->fn(call->arg);
	pthread_mutex_lock(&call->world->lock);
	call->done = true;
	pthread_cond_broadcast(&call->world->done);
	pthread_mutex_unlock(&call->world->lock);
}

void world_call(struct world *world, void (*fn)(void *arg), void *arg)
{
	if (!world->running) {
		fn(arg);
		return;
	}
	struct call call = { .post.fn = run_call, .world = world, .fn = fn, .arg = arg };
	loop_post(loops_at(world->loops, 0), &call.post);
	pthread_mutex_lock(&world->lock);
	while (!call.done)
		pthread_cond_wait(&world->done, &world->lock);
	pthread_mutex_unlock(&world->lock);
}

/* Whoever makes loops counts as the main loop's thread, and the test's thread must not. */
static void *make_loops(void *arg)
{
	struct world *world = arg;
	if (loops_new(2, &world->loops))
		abort();
	return NULL;
}

static void *run_loops(void *arg)
{
	struct world *world = arg;
	if (loops_run(world->loops))
		abort();
	return NULL;
}

/* --- the store's way back to the loops --- */

struct errand {
	struct post post;
	void (*fn)(void *arg);
	void *arg;
};

static void run_errand(struct post *post)
{
	struct errand *errand = CONTAINER_OF(post, struct errand, post);
	errand->fn(errand->arg);
	free(errand);
}

static void drop_errand(struct post *post)
{
	free(CONTAINER_OF(post, struct errand, post));
}

static void *store_self(void)
{
	return loop_self();
}

static void store_post(void *loop, void (*fn)(void *arg), void *arg)
{
	struct errand *errand = malloc(sizeof(*errand));
	if (!errand)
		abort();
	*errand = (struct errand){ .post = { .fn = run_errand, .drop = drop_errand }, .fn = fn, .arg = arg };
	loop_post(loop, &errand->post);
}

/* --- making and ending --- */

static uint64_t now(void *arg)
{
	(void)arg;
	return clock_mono_ms();
}

static void open_store(struct world *world)
{
	char path[256];
	struct err err;
	struct store_options options = { .path = place_path(&world->place, "test.db", path),
		.queue_bytes = 1 << 20,
		.cache_bytes = 1 << 20,
		.executor = { store_self, store_post } };
	if (store_open(&options, &world->store, NULL, &err))
		fail_msg("%s", err.text);
}

void world_init(struct world *world)
{
	static const struct request_limits limits = {
		.open = 100, .streams = 10, .answer_ms = 60000, .stream_mark = 1000, .stream_limit = 10000
	};
	char state[256];
	*world = (struct world){ 0 };
	place_init(&world->place);
	place_path(&world->place, "log", world->log);
	setenv("PROBE_LOG", world->log, 1);
	mkdir(place_path(&world->place, "state", state), 0700);
	pthread_mutex_init(&world->lock, NULL);
	pthread_cond_init(&world->done, NULL);
	struct conf_findings findings = { 0 };
	assert_int_equal(pthread_create(&world->thread, NULL, make_loops, world), 0);
	pthread_join(world->thread, NULL);
	assert_int_equal(requests_new(&limits, now, NULL, &world->requests), 0);
	assert_int_equal(router_new(world->requests, &world->router), 0);
	assert_int_equal(conf_new(&world->conf), 0);
	assert_int_equal(conf_declare_daemon(world->conf, &findings), 0);
	assert_int_equal(metrics_new(&world->metrics), 0);
	conf_findings_fini(&findings);
	open_store(world);
	world->deps = (struct plugins_deps){ .loops = world->loops,
		.requests = world->requests,
		.router = world->router,
		.store = world->store,
		.conf = world->conf,
		.metrics = world->metrics,
		.limits = { .ledger.most = { 1000, 1000, 1000, 1000, 1000, 1000 },
		        .start_ms = 30000,
		        .workers = 1 },
		.state = strdup(state) };
}

static void make_host(struct world *world)
{
	if (!world->plugins)
		assert_int_equal(plugins_new(&world->deps, &world->plugins), 0);
}

void world_add_folder(struct world *world, const char *name)
{
	char path[256];
	struct err err;
	make_host(world);
	if (plugins_add_folder(world->plugins,
	            *name ? place_path(&world->place, name, path) : world->place.folder, *name != 0, &err))
		fail_msg("%s", err.text);
}

static void start_host(void *arg)
{
	struct world *world = arg;
	if (plugins_start(world->plugins))
		abort();
}

void world_start(struct world *world)
{
	make_host(world);
	assert_int_equal(pthread_create(&world->thread, NULL, run_loops, world), 0);
	world->running = true;
	world_call(world, start_host, world);
}

static void stop_host(void *arg)
{
	struct world *world = arg;
	plugins_stop(world->plugins);
}

void world_stop(struct world *world)
{
	if (!world->running)
		return;
	world_call(world, stop_host, world);
	loops_stop(world->loops);
	pthread_join(world->thread, NULL);
	world->running = false;
}

void world_fini(struct world *world)
{
	world_stop(world);
	plugins_free(world->plugins);
	store_close(world->store);
	loops_free(world->loops);
	router_free(world->router);
	requests_free(world->requests);
	metrics_free(world->metrics);
	conf_free(world->conf);
	free((char *)world->deps.state);
	place_fini(&world->place);
	pthread_mutex_destroy(&world->lock);
	pthread_cond_destroy(&world->done);
}

/* --- looking --- */

struct look {
	struct world *world;
	int (*print)(const struct plugins *plugins, struct buf *out);
	struct buf out;
};

static void run_look(void *arg)
{
	struct look *look = arg;
	if (look->print ? look->print(look->world->plugins, &look->out)
	                : metrics_print(look->world->metrics, &look->out))
		abort();
}

static char *look(struct world *world, int (*print)(const struct plugins *plugins, struct buf *out))
{
	struct look look = { .world = world, .print = print };
	world_call(world, run_look, &look);
	return buf_take(&look.out);
}

char *world_plugins(struct world *world)
{
	return look(world, plugins_json);
}

char *world_services(struct world *world)
{
	return look(world, plugins_services_json);
}

char *world_metrics(struct world *world)
{
	return look(world, NULL);
}

char *world_log(struct world *world)
{
	char *text = calloc(1, 65536);
	FILE *file = fopen(world->log, "r");
	if (!text || (file && fread(text, 1, 65535, file) == 65535))
		abort();
	if (file)
		fclose(file);
	return text;
}

/* Looks again and again: what is waited for is a condition, the pause only saves power. */
static void wait_for(struct world *world, char *(*get)(struct world *world), const char *words)
{
	uint64_t end = clock_mono_ms() + PATIENCE_MS;
	for (;;) {
		CLEANUP(free_charp) char *text = get(world);
		if (strstr(text, words))
			return;
		if (clock_mono_ms() > end)
			fail_msg("waited for %s, there is %s", words, text);
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	}
}

void world_wait(struct world *world, const char *words)
{
	wait_for(world, world_plugins, words);
}

void world_wait_log(struct world *world, const char *words)
{
	wait_for(world, world_log, words);
}

/* --- asking --- */

static void front_head(void *front, int status, const struct header *headers, size_t count, int64_t length)
{
	struct answer *answer = front;
	(void)headers;
	(void)count;
	(void)length;
	answer->status = status;
}

static size_t front_body(void *front, struct edged_slice bytes)
{
	struct answer *answer = front;
	buf_add(&answer->body, bytes.ptr, bytes.len);
	return 0;
}

static void front_end(void *front, bool ok)
{
	struct answer *answer = front;
	answer->ok = ok;
	answer->ended = true;
}

struct ask {
	struct world *world;
	const char *target;
	struct answer *answer;
};

static void run_ask(void *arg)
{
	static const struct request_front front = {
		.head = front_head, .body = front_body, .end = front_end
	};
	static const struct edged_peer peer = { .struct_size = sizeof(peer),
		.address = "127.0.0.1:1",
		.listener = "http",
		.uid = -1,
		.loopback = true,
		.trusted = true };
	struct ask *ask = arg;
	edged_handle handle;
	struct request_init init = { .method = edged_str("GET"),
		.target = edged_str(ask->target),
		.peer = &peer,
		.front = &front,
		.front_data = ask->answer };
	if (requests_open(ask->world->requests, &init, &handle))
		abort();
	router_dispatch(ask->world->router, handle);
}

void world_ask(struct world *world, const char *target, struct answer *answer)
{
	*answer = (struct answer){ 0 };
	world_call(world, run_ask, &(struct ask){ world, target, answer });
}

void world_get(struct world *world, const char *target, struct answer *ret)
{
	world_ask(world, target, ret);
	if (!ret->ended)
		fail_msg("GET %s is not answered at once", target);
}

void answer_fini(struct answer *answer)
{
	buf_fini(&answer->body);
}

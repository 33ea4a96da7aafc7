/* SPDX-License-Identifier: Apache-2.0 */
/* plugin/host: the life of plugins, from files that come, change and go. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/listener.h"
#include "world.h"

static struct world world;

/* --- listeners that only write down what they are told; weak, so that the real ones may be there, too --- */

static void note(const char *what)
{
	FILE *log = fopen(world.log, "a");
	if (!log)
		abort();
	fprintf(log, "%s\n", what);
	fclose(log);
}

__attribute__((weak)) int listeners_serve(struct listeners *listeners, const char *protocol,
        const struct edged_stream_handler *handler, void *self)
{
	(void)listeners;
	(void)handler;
	(void)self;
	note(strcmp(protocol, "test") == 0 ? "served test" : "served ?");
	return 0;
}

__attribute__((weak)) void listeners_unserve(struct listeners *listeners, const char *protocol)
{
	(void)listeners;
	note(strcmp(protocol, "test") == 0 ? "unserved test" : "unserved ?");
}

/* --- helpers --- */

static void expect_answer(const char *target, int status, const char *words)
{
	struct answer answer;
	world_get(&world, target, &answer);
	if (answer.status != status || !strstr(answer.body.ptr ? answer.body.ptr : "", words))
		fail_msg("GET %s: %d %s", target, answer.status, answer.body.ptr);
	answer_fini(&answer);
}

static void expect_in_order(char *text, const char *const *words)
{
	const char *at = text;
	for (; *words; words++) {
		const char *found = strstr(at, *words);
		if (!found)
			fail_msg("no \"%s\" from here: %s", *words, at);
		at = found + strlen(*words);
	}
	free(text);
}

static void expect_absent(char *text, const char *words)
{
	if (strstr(text, words))
		fail_msg("\"%s\" in %s", words, text);
	free(text);
}

#define ORDER(text, ...) expect_in_order(text, (const char *const[]){ __VA_ARGS__, NULL })

static void install(const char *fixture, const char *file)
{
	place_copy(&world.place, fixture, file);
}

static void start_with(const char *fixture)
{
	install(fixture, "a.so");
	world_add_folder(&world, "");
	world_start(&world);
}

static void is_ready(void *arg)
{
	*(bool *)arg = plugins_ready(world.plugins, NULL);
}

static bool ready(void)
{
	bool ready = false;
	world_call(&world, is_ready, &ready);
	return ready;
}

static void set_conf(const char *assignment)
{
	struct conf_findings findings = { 0 };
	assert_int_equal(conf_set(world.conf, assignment, "--set", &findings), 0);
	conf_findings_fini(&findings);
}

/* --- tests --- */

static void a_plugin_serves_until_the_end(void **state)
{
	(void)state;
	start_with("first");
	assert_true(ready());
	world_wait(&world,
	        "\"name\":\"first\",\"version\":\"1\",\"abi\":\"1.3\",\"state\":\"running\",\"holds\"");
	expect_answer("/first/v1", 200, "first 1");
	ORDER(world_services(&world), "[{\"id\":\"edged-first\",\"name\":\"first\",\"serviceType\":\"edged-"
	                              "first-v1\",\"version\":\"1\","
	                              "\"self\":\"/first/v1\",\"scope\":\"account\"}]");
	ORDER(world_metrics(&world), "edged_plugins_running 1", "edged_plugins_troubled 0",
	        "edged_probe_total{name=\"first\"} 1");
	world_stop(&world);
	ORDER(world_log(&world), "first create 1", "first start 1", "first stop 1", "first destroy 1");
	expect_absent(world_metrics(&world), "edged_probe_total");
}

static void hello_answers(void **state)
{
	(void)state;
	start_with("../../plugins/hello");
	expect_answer("/hello/v1", 200, "{\"greets\":\"everybody\"}");
	expect_answer("/hello/v1/greet/W%C3%B6rld%25s", 200, "Hello, W\xc3\xb6rld%s!\n");
}

static void a_dropped_file_is_loaded_replaced_and_removed(void **state)
{
	(void)state;
	world_add_folder(&world, "");
	world_start(&world);
	expect_answer("/first/v1", 404, "");
	install("first", "a.so");
	world_wait(&world, "\"state\":\"running\"");
	expect_answer("/first/v1", 200, "first 1");
	install("first2", "a.so");
	world_wait(&world, "\"version\":\"2\",\"abi\":\"1.3\",\"state\":\"running\"");
	expect_answer("/first/v1", 200, "first 2");
	ORDER(world_log(&world), "first start 1", "first stop 1", "first destroy 1", "first create 2");
	place_remove(&world.place, "a.so");
	world_wait(&world, "[]");
	expect_answer("/first/v1", 404, "first");
	ORDER(world_log(&world), "first stop 2", "first destroy 2");
}

/* rename(2) brings and takes files, too; names that are none of ours do nothing. */
static void only_whole_so_files_count(void **state)
{
	(void)state;
	char from[256], to[256];
	world_add_folder(&world, "");
	world_start(&world);
	install("first", ".hidden.so");
	install("first", "a.so.tmp");
	install("offers_a", "b.so");
	world_wait(&world, "\"giver\"");
	expect_absent(world_plugins(&world), "first");
	assert_int_equal(
	        rename(place_path(&world.place, "a.so.tmp", from), place_path(&world.place, "a.so", to)), 0);
	world_wait(&world, "\"first\"");
	assert_int_equal(rename(to, place_path(&world.place, "c.so", from)), 0);
	world_wait(
	        &world, "/c.so\",\"name\":\"first\",\"version\":\"1\",\"abi\":\"1.3\",\"state\":\"running\"");
	expect_absent(world_plugins(&world), "/a.so");
	assert_int_equal(rename(from, to), 0);
	world_wait(&world, "/a.so\"");
}

/* A file that is still being written when its folder is read is refused; once it is whole it runs. */
static void half_a_file_waits_for_the_rest(void **state)
{
	(void)state;
	size_t size;
	CLEANUP(free_charp) char *bytes = place_read(&world.place, "first", &size);
	place_write(&world.place, "a.so", bytes, size / 2);
	world_add_folder(&world, "");
	world_start(&world);
	world_wait(&world, "\"state\":\"refused\",\"reason\":\"the file is truncated: it has");
	assert_true(ready());
	place_write(&world.place, "a.so", bytes, size);
	world_wait(&world, "\"state\":\"running\"");
}

static void a_mode_put_right_is_noticed(void **state)
{
	(void)state;
	char path[256];
	install("first", "a.so");
	chmod(place_path(&world.place, "a.so", path), 0666);
	world_add_folder(&world, "");
	world_start(&world);
	world_wait(&world,
	        "\"state\":\"refused\",\"reason\":\"the file may be written by everybody (mode 0666)");
	chmod(path, 0644);
	world_wait(&world, "\"state\":\"running\"");
}

static void a_bad_replacement_leaves_the_old_one_alone(void **state)
{
	(void)state;
	start_with("first");
	place_write(&world.place, "a.so", "rubbish", 7);
	world_wait(&world, "\"state\":\"running\",\"reason\":\"the new file is refused (the file is not a "
	                   "shared object");
	expect_answer("/first/v1", 200, "first 1");
	install("first_needy", "a.so");
	world_wait(
	        &world, "\"reason\":\"the new file is refused (it needs test.nothing/1, which is not there)");
	expect_answer("/first/v1", 200, "first 1");
	expect_absent(world_log(&world), "stop");
	install("first_bad_start", "a.so");
	world_wait(&world, "\"version\":\"1\",\"abi\":\"1.3\",\"state\":\"running\",\"reason\":\"the new "
	                   "file did not work "
	                   "(its start() failed: Input/output error), the former one goes on");
	expect_answer("/first/v1", 200, "first 1");
	ORDER(world_log(&world), "first stop 1", "first start 3", "first destroy 3", "first create 1",
	        "first start 1");
	install("first2", "a.so");
	world_wait(&world, "\"version\":\"2\",\"abi\":\"1.3\",\"state\":\"running\",\"holds\"");
}

static void names_and_routes_belong_to_the_first(void **state)
{
	(void)state;
	install("first", "a.so");
	world_add_folder(&world, "");
	char path[256];
	mkdir(place_path(&world.place, "second", path), 0755);
	install("same_name", "second/b.so");
	install("same_route", "second/c.so");
	install("core_route", "second/d.so");
	world_add_folder(&world, "second");
	world_start(&world);
	CLEANUP(free_charp) char *text = world_plugins(&world);
	char words[400];
	snprintf(words, sizeof(words),
	        "\"state\":\"refused\",\"reason\":\"the name first is taken by %s/a.so\"",
	        world.place.folder);
	assert_non_null(strstr(text, words));
	assert_non_null(strstr(text,
	        "\"state\":\"refused\",\"reason\":\"GET /first/v1 of same-route is served already "
	        "by first (GET /first/v1)\""));
	assert_non_null(strstr(text, "GET /edge/v1/mine of core-route: the path belongs to the daemon"));
	expect_absent(world_log(&world), "same-route create");
	/* when the first has gone, the others get their chance */
	place_remove(&world.place, "a.so");
	world_wait(&world, "\"name\":\"first\",\"version\":\"other\",\"abi\":\"1.3\",\"state\":\"running\"");
	world_wait(&world, "\"name\":\"same-route\",\"version\":\"1\",\"abi\":\"1.3\",\"state\":\"running\"");
	expect_answer("/first/v1", 200, "same-route 1");
}

#define ANEEDY_RUNS                                                                                          \
	"\"name\":\"aneedy\",\"version\":\"1\",\"abi\":\"1.3\",\"needs\":[\"edged.http/1\",\"test.a/1\"],"   \
	"\"state\":\"running\""

static void needs_decide_the_order(void **state)
{
	(void)state;
	install("needs_a", "a.so");
	install("offers_a", "b.so");
	world_add_folder(&world, "");
	world_start(&world);
	ORDER(world_log(&world), "giver start", "aneedy create", "aneedy start");
	install("offers_a2", "b.so"); /* those who use it stop first and come back */
	world_wait(
	        &world, "\"version\":\"2\",\"abi\":\"1.3\",\"offers\":[\"test.a/1\"],\"state\":\"running\"");
	world_wait(&world, ANEEDY_RUNS);
	ORDER(world_log(&world), "aneedy stop", "aneedy destroy", "giver stop 1", "giver start 2",
	        "aneedy create", "aneedy start");
	place_remove(&world.place, "b.so");
	world_wait(&world,
	        "\"state\":\"waiting\",\"reason\":\"it needs test.a/1, which nothing here offers: install a "
	        "plugin that does\"");
	install("offers_a", "z.so");
	world_wait(&world, ANEEDY_RUNS);
	unlink(world.log);
	world_stop(&world);
	ORDER(world_log(&world), "aneedy stop", "giver stop");
}

static void what_cannot_start_says_why(void **state)
{
	(void)state;
	install("needs_nothing", "a.so");
	install("circle_a", "b.so");
	install("circle_b", "c.so");
	install("bad_create", "d.so");
	install("bad_start", "e.so");
	install("offers_own", "f.so");
	install("offers_a", "g.so");
	install("also_offers_a", "h.so");
	install("slow_fails", "i.so");
	world_add_folder(&world, "");
	world_start(&world);
	world_wait(&world,
	        "\"state\":\"failed\",\"reason\":\"its start failed: the other side does not answer\"");
	ORDER(world_plugins(&world),
	        "\"state\":\"waiting\",\"reason\":\"it needs test.nothing/1, which nothing here offers",
	        "\"reason\":\"it needs test.circle-b/1, and the needs go in a circle: circle-a -> circle-b "
	        "-> circle-a\"",
	        "\"reason\":\"it needs test.circle-a/1, and the needs go in a circle: circle-b -> circle-a "
	        "-> circle-b\"",
	        "\"state\":\"failed\",\"reason\":\"its create() failed: No such device\"",
	        "\"state\":\"failed\",\"reason\":\"its start() failed: Address already in use\"",
	        "\"state\":\"refused\",\"reason\":\"it offers edged.http/1, which is the daemon's own\"",
	        "\"name\":\"giver\"", "\"state\":\"running\"",
	        "\"state\":\"refused\",\"reason\":\"it offers test.a/1, which giver (");
	assert_true(ready());
	world_stop(&world);
	expect_absent(world_log(&world), "bad-create destroy");
	expect_absent(world_log(&world), "bad-start stop");
	ORDER(world_log(&world), "bad-start destroy");
	ORDER(world_log(&world), "slow-fails stop", "slow-fails destroy");
}

static void slow_ones_are_waited_for(void **state)
{
	(void)state;
	install("needs_a", "a.so");
	install("slow", "b.so");
	world_add_folder(&world, "");
	world_start(&world);
	world_wait(&world, "\"name\":\"aneedy\",\"version\":\"1\",\"abi\":\"1.3\",\"needs\":[\"edged.http/"
	                   "1\",\"test.a/1\"],"
	                   "\"state\":\"running\"");
	assert_true(ready());
	expect_answer("/slow/v1", 200, "slow 1");
	ORDER(world_log(&world), "slow start", "aneedy create");
}

static void a_start_that_never_ends_is_ended(void **state)
{
	(void)state;
	world.deps.limits.start_ms = 30;
	start_with("never_starts");
	world_wait(&world, "\"state\":\"failed\",\"reason\":\"its start was not over after 30 ms\"");
	assert_true(ready());
	ORDER(world_log(&world), "never start", "never stop", "never destroy");
}

static void what_is_left_behind_is_taken_away(void **state)
{
	(void)state;
	struct answer answer;
	start_with("messy");
	world_ask(&world, "/messy/v1", &answer);
	place_remove(&world.place, "a.so");
	world_wait(&world, "[]");
	assert_true(answer.ended);
	assert_int_equal(answer.status, 503);
	answer_fini(&answer);
	ORDER(world_metrics(&world),
	        "edged_plugin_leftovers_total 7"); /* 3 timers, 2 posts, 1 deferred call, 1 request */
	ORDER(world_log(&world), "messy asked", "messy stop", "messy dropped", "messy dropped",
	        "messy destroy");
	install("first", "b.so"); /* the loops have turned meanwhile */
	world_wait(&world, "\"first\"");
	world_stop(&world);
	expect_absent(world_log(&world), "must not be called");
}

/* A timer of another loop fires all the time while its plugin ends. */
static void other_loops_are_silenced(void **state)
{
	(void)state;
	start_with("roams");
	world_wait_log(&world, "roams roams");
	place_remove(&world.place, "a.so");
	world_wait(&world, "[]");
	ORDER(world_metrics(&world),
	        "edged_plugin_leftovers_total 0"); /* its stop() cannot reach that timer */
	ORDER(world_log(&world), "roams stop", "roams destroy");
}

static void sections_are_judged(void **state)
{
	(void)state;
	set_conf("plugins.settings.depth=12");
	start_with("settings");
	world_wait(&world, "\"state\":\"refused\",\"reason\":\"");
	world_wait(&world, "plugins.settings.depth");
}

static void check_is_asked(void **state)
{
	(void)state;
	set_conf("plugins.settings.colour=\"blue\"");
	start_with("settings");
	world_wait(&world, "blue is out of stock");
	expect_absent(world_log(&world), "create");
}

static void capabilities_can_be_denied(void **state)
{
	(void)state;
	install("needs_a", "a.so");
	install("offers_a", "b.so");
	set_conf("plugin.deny=[\"aneedy:edged.http/1\"]");
	world_add_folder(&world, "");
	world_start(&world);
	world_wait(&world,
	        "\"state\":\"refused\",\"reason\":\"it needs edged.http/1, which the configuration denies it "
	        "(plugin.deny)\"");
	world_wait(&world, "\"state\":\"running\"");
}

static void streams_end_with_the_plugin(void **state)
{
	(void)state;
	world.deps.listeners = (struct listeners *)&world;
	start_with("serves");
	world_wait(&world, "\"state\":\"running\"");
	world_stop(&world);
	ORDER(world_log(&world), "serves create", "served test", "unserved test", "serves stop",
	        "serves destroy");
}

static void note_change(void *arg, const char *key, bool now)
{
	snprintf((char *)arg + strlen(arg), 200, "%s%s ", key, now ? "" : "!");
}

static void load_anew(void *arg)
{
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	struct conf *fresh;
	assert_int_equal(conf_new(&fresh), 0);
	assert_int_equal(
	        conf_set(fresh, "plugins.reloads={\"depth\":5,\"colour\":\"green\",\"fixed\":\"new\"}",
	                "--set", &findings),
	        0);
	assert_int_equal(plugins_declare_in(world.plugins, fresh, &findings), 0);
	assert_int_equal(conf_adopt(world.conf, fresh, note_change, arg), 0);
	conf_free(fresh);
	plugins_reloaded(world.plugins);
}

static void settings_change_at_a_reload(void **state)
{
	(void)state;
	char changes[600] = "";
	start_with("reloads");
	world_wait(&world, "\"state\":\"running\"");
	world_call(&world, load_anew, changes);
	assert_string_equal(changes, "plugins.reloads.depth plugins.reloads.colour plugins.reloads.fixed! ");
	ORDER(world_log(&world), "reloads depth 3, red, was red, old",
	        "reloads depth 5, green, was red, old");
}

static void raise_timers(void *arg)
{
	(void)arg;
	struct plugin_limits limits = world.deps.limits;
	limits.ledger.most[LEDGER_TIMERS] = 9;
	plugins_set_limits(world.plugins, &limits);
}

static void what_a_plugin_holds_is_limited(void **state)
{
	(void)state;
	world.deps.limits.ledger = (struct ledger_limits){ .most = { [LEDGER_TIMERS] = 5,
		                                                   [LEDGER_POSTS] = 7,
		                                                   [LEDGER_DEFERRED] = 3,
		                                                   [LEDGER_STORE_CALLS] = 1 } };
	start_with("greedy");
	world_wait(&world, "\"state\":\"running\"");
	ORDER(world_log(&world), "greedy got 5 timers, 3 deferred");
	ORDER(world_metrics(&world), "edged_plugin_held{plugin=\"greedy\",kind=\"timers\"} 5",
	        "edged_plugin_limit_reached_total{plugin=\"greedy\",kind=\"deferred calls\"} 1",
	        "edged_plugin_limit_reached_total{plugin=\"greedy\",kind=\"posts\"} 1",
	        "edged_plugin_limit_reached_total{plugin=\"greedy\",kind=\"timers\"} 1");
	world_call(&world, raise_timers, NULL); /* those that run now ... */
	install("greedy", "a.so");              /* ... and those that start later */
	world_wait(&world, "\"holds\":{\"timers\":9,");
	world_stop(&world);
	ORDER(world_log(&world), "greedy got 5 timers", "greedy got 9 timers");
	expect_absent(world_metrics(&world), "edged_plugin_held{plugin=\"greedy\"");
}

static void old_and_new_plugins_run(void **state)
{
	(void)state;
	install("past", "a.so");
	install("future", "b.so");
	world_add_folder(&world, "");
	world_start(&world);
	world_wait(&world, "\"name\":\"past\",\"version\":\"0.9\",\"abi\":\"1.0\",\"state\":\"running\"");
	world_wait(&world, "\"name\":\"future\",\"version\":\"99\",\"abi\":\"1.7\",\"state\":\"running\"");
	expect_answer("/past/v1", 500, "");
	expect_answer("/future/v1/b", 500, "");
}

static void a_folder_that_vanishes_ends_its_plugins(void **state)
{
	(void)state;
	char path[256], other[256];
	mkdir(place_path(&world.place, "more", path), 0755);
	install("first", "more/a.so");
	world_add_folder(&world, "more");
	world_start(&world);
	world_wait(&world, "\"state\":\"running\"");
	assert_int_equal(rename(path, place_path(&world.place, "moved", other)), 0);
	world_wait(&world, "[]");
	ORDER(world_log(&world), "first stop", "first destroy");
}

/* For `edged --check`: no loops, nothing starts. */
static void plugins_can_be_judged_only(void **state)
{
	(void)state;
	struct conf_findings findings = { 0 };
	install("settings", "a.so");
	set_conf("plugins.settings.depth=12");
	world.deps = (struct plugins_deps){
		.conf = world.conf, .metrics = world.metrics, .findings = &findings, .state = world.deps.state
	};
	world_add_folder(&world, "");
	assert_int_equal(findings.errors, 1);
	assert_non_null(strstr(findings.text.ptr, "plugins.settings.depth"));
	conf_findings_fini(&findings);
	plugins_free(world.plugins);
	world.plugins = NULL;
}

static int setup(void **state)
{
	(void)state;
	world_init(&world);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_fini(&world);
	return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_plugin_serves_until_the_end),
		TEST(hello_answers),
		TEST(a_dropped_file_is_loaded_replaced_and_removed),
		TEST(only_whole_so_files_count),
		TEST(half_a_file_waits_for_the_rest),
		TEST(a_mode_put_right_is_noticed),
		TEST(a_bad_replacement_leaves_the_old_one_alone),
		TEST(names_and_routes_belong_to_the_first),
		TEST(needs_decide_the_order),
		TEST(what_cannot_start_says_why),
		TEST(slow_ones_are_waited_for),
		TEST(a_start_that_never_ends_is_ended),
		TEST(what_is_left_behind_is_taken_away),
		TEST(other_loops_are_silenced),
		TEST(sections_are_judged),
		TEST(check_is_asked),
		TEST(capabilities_can_be_denied),
		TEST(streams_end_with_the_plugin),
		TEST(settings_change_at_a_reload),
		TEST(what_a_plugin_holds_is_limited),
		TEST(old_and_new_plugins_run),
		TEST(a_folder_that_vanishes_ends_its_plugins),
		TEST(plugins_can_be_judged_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

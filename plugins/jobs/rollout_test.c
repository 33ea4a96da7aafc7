/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of executions without their devices: rates, time-outs, things that come and go, the ends of jobs. */
#include "notify.h"
#include "rig_test.h"

enum { MINUTE_MS = 60000 };

static void add_many(int count)
{
	for (int i = 0; i < count; i++) {
		char name[16];
		snprintf(name, sizeof(name), "t%03d", i);
		add_thing(name, "hall");
	}
}

static size_t in_state(const char *id, enum execution_status status)
{
	return job(id)->by_status[status];
}

/* --- roll-out -------------------------------------------------------------------------------------------------------------- */

static void targets_become_executions_once(void **state)
{
	(void)state;
	make("{\"id\":\"j\",\"targets\":[\"group:hall\",\"lamp\",\"thing:door\"],\"document\":{}}");
	assert_int_equal(job("j")->count, 3);
	assert_int_equal(in_state("j", EXECUTION_QUEUED), 3);
	assert_int_equal(fake_disk_rows(rig.disk, "waiting"), 0);
	add_thing("late", "hall");
	run();
	assert_int_equal(job("j")->count, 3); /* a snapshot */
	(void)ask("j/update", "{\"status\":\"SUCCEEDED\"}");
	assert_int_equal(job("j")->status, JOB_IN_PROGRESS);
	send("$aws/things/fan/jobs/j/update", "{\"status\":\"FAILED\"}");
	send("$aws/things/door/jobs/j/update", "{\"status\":\"REJECTED\"}");
	run();
	assert_int_equal(job("j")->status, JOB_COMPLETED);
	assert_int_equal(job("j")->completed, NOON);
}

static void a_group_without_things_is_done_at_once(void **state)
{
	(void)state;
	rig.count = 0;
	make("{\"id\":\"j\",\"targets\":[\"group:hall\"],\"document\":{}}");
	assert_int_equal(job("j")->status, JOB_COMPLETED);
}

static void a_job_goes_no_faster_than_it_says(void **state)
{
	(void)state;
	add_many(23);
	make("{\"id\":\"j\",\"targets\":[\"group:hall\"],\"document\":{},\"maximumPerMinute\":10}");
	assert_int_equal(job("j")->count, 10);
	assert_int_equal(fake_figure(rig.host, "jobs_waiting", NULL), 15);
	fake_sleep(rig.host, MINUTE_MS - 1000);
	assert_int_equal(job("j")->count, 10);
	for (size_t i = 0; i < 10; i++) { /* those that there are have ended; it is not done */
		char topic[80];
		snprintf(topic, sizeof(topic), "$aws/things/%s/jobs/j/update", job("j")->list[i]->thing);
		send(topic, "{\"status\":\"SUCCEEDED\"}");
	}
	run();
	assert_int_equal(in_state("j", EXECUTION_SUCCEEDED), 10);
	assert_int_equal(job("j")->status, JOB_IN_PROGRESS);
	crash(0); /* does not make it any faster */
	assert_int_equal(job("j")->count, 10);
	fake_sleep(rig.host, 2500);
	run();
	assert_int_equal(job("j")->count, 20);
	change_thing("t001", NULL); /* those that are gone meanwhile are not waited for */
	change_thing("t002", NULL);
	fake_sleep(rig.host, MINUTE_MS + 2000);
	run();
	assert_int_equal(job_waiting(job("j")), 0);
	assert_true(job("j")->count >= 23);
	crash(MINUTE_MS);
	assert_true(job("j")->count >= 23 && job("j")->count <= 25);
	assert_int_equal(fake_disk_rows(rig.disk, "waiting"), 0);
}

static void many_are_queued_in_small_batches(void **state)
{
	int result;
	(void)state;
	add_many(200);
	rig.deaf = true;
	fake_auto_commit(rig.host, false);
	assert_int_equal(
	        try_create("{\"id\":\"j\",\"targets\":[\"group:hall\"],\"document\":{}}", &result), 0);
	size_t before = 0;
	for (int i = 0; i < 8; i++) {
		fake_commit(rig.host, 0);
		fake_sleep(rig.host, 1);
		assert_true(job("j")->count - before <= 64);
		before = job("j")->count;
	}
	assert_int_equal(before, 202);
}

static void a_continuous_job_takes_those_who_come(void **state)
{
	(void)state;
	make("{\"id\":\"c\",\"targets\":[\"group:hall\"],\"document\":{},\"targetSelection\":"
	     "\"CONTINUOUS\"}");
	assert_int_equal(job("c")->count, 2);
	(void)ask("c/update", "{\"status\":\"SUCCEEDED\"}");
	send("$aws/things/fan/jobs/c/update", "{\"status\":\"IN_PROGRESS\",\"statusDetails\":{\"a\":\"b\"}}");
	run();
	assert_int_equal(job("c")->status, JOB_IN_PROGRESS);
	(void)take();
	change_thing("door", "hall");
	assert_int_equal(status_of("c", "door"), EXECUTION_QUEUED);
	HAS(take(), "door/jobs/notify {");
	change_thing("lamp", "hall"); /* it has done it */
	assert_int_equal(status_of("c", "lamp"), EXECUTION_SUCCEEDED);
	change_thing("fan", "yard");
	assert_int_equal(status_of("c", "fan"), EXECUTION_REMOVED);
	HAS(take(), "fan/jobs/notify-next {\"timestamp\"");
	change_thing("fan", "hall"); /* it is back: once more, from the beginning */
	const struct execution *again = job_find(job("c"), edged_str("fan"));
	assert_int_equal(again->status, EXECUTION_QUEUED);
	assert_int_equal(again->number, 2);
	assert_int_equal(again->version, 1);
	assert_null(again->details);
	assert_int_equal(again->started, 0);
	send("$aws/things/fan/jobs/c/update", "{\"status\":\"SUCCEEDED\",\"executionNumber\":1}");
	send("$aws/things/fan/jobs/c/update", "{\"status\":\"SUCCEEDED\",\"executionNumber\":2}");
	run();
	const char *text = take();
	HAS(text, "ResourceNotFound");
	HAS(text, "update/accepted");
	/* what happened while it was away */
	fake_host_free(rig.host, true);
	add_thing("new", "hall");
	snprintf(rig.things[2].group, sizeof(rig.things[2].group), "yard"); /* door */
	begin();
	assert_int_equal(status_of("c", "new"), EXECUTION_QUEUED);
	assert_int_equal(status_of("c", "door"), EXECUTION_REMOVED);
	rig.changed(rig.changed_arg, edged_str("")); /* anything may have changed */
	run();
	assert_int_equal(job("c")->count, 4);
}

static void a_thing_that_is_deleted_is_out_of_all_jobs(void **state)
{
	(void)state;
	make("{\"id\":\"j\",\"targets\":[\"lamp\"],\"document\":{}}");
	change_thing("lamp", NULL);
	assert_int_equal(status_of("j", "lamp"), EXECUTION_REMOVED);
	assert_int_equal(job("j")->status, JOB_COMPLETED);
}

/* --- time ------------------------------------------------------------------------------------------------------------------ */

/* The Developer Guide's example: 20 minutes for all; steps at 5, 10 and 13 minutes, of 7, 5 and 9. */
static void a_step_ends_with_its_time_but_not_after_that_of_all(void **state)
{
	(void)state;
	make("{\"id\":\"j\",\"targets\":[\"lamp\"],\"document\":{},\"inProgressTimeoutInMinutes\":20}");
	fake_sleep(rig.host, 60 * MINUTE_MS);
	assert_int_equal(status_of("j", "lamp"), EXECUTION_QUEUED); /* it has not begun */
	HAS(ask("start-next", ""), "\"approximateSecondsBeforeTimedOut\":1200");
	fake_sleep(rig.host, 5 * MINUTE_MS);
	(void)ask("j/update", "{\"status\":\"IN_PROGRESS\",\"stepTimeoutInMinutes\":7}");
	HAS(ask("j/get", ""), "\"approximateSecondsBeforeTimedOut\":420");
	fake_sleep(rig.host, 5 * MINUTE_MS);
	(void)ask("j/update", "{\"status\":\"IN_PROGRESS\",\"stepTimeoutInMinutes\":5}");
	fake_sleep(rig.host, 3 * MINUTE_MS);
	(void)ask("j/update", "{\"status\":\"IN_PROGRESS\",\"stepTimeoutInMinutes\":9}");
	fake_sleep(rig.host, 7 * MINUTE_MS - 1000);
	assert_int_equal(status_of("j", "lamp"), EXECUTION_IN_PROGRESS);
	(void)take();
	fake_sleep(rig.host, 1000);
	run();
	assert_int_equal(status_of("j", "lamp"), EXECUTION_TIMED_OUT);
	HAS(take(), "notify-next {\"timestamp\"");
	assert_int_equal(job("j")->status, JOB_COMPLETED);
	HAS(ask("j/update", "{\"status\":\"SUCCEEDED\"}"), "\"executionState\":{\"status\":\"TIMED_OUT\"");
	assert_int_equal(fake_figure(rig.host, "jobs_timed_out_total", NULL), 1);
}

static void a_step_of_its_own_can_be_taken_back(void **state)
{
	(void)state;
	make("{\"id\":\"j\",\"targets\":[\"lamp\"],\"document\":{}}");
	HAS(ask("start-next", "{\"stepTimeoutInMinutes\":1}"), "\"approximateSecondsBeforeTimedOut\":60");
	HAS(ask("start-next", "{\"stepTimeoutInMinutes\":2}"), "\"approximateSecondsBeforeTimedOut\":120");
	fake_sleep(rig.host, 100000);
	assert_int_equal(status_of("j", "lamp"), EXECUTION_IN_PROGRESS);
	(void)ask("j/update", "{\"status\":\"IN_PROGRESS\",\"stepTimeoutInMinutes\":-1}");
	fake_sleep(rig.host, 60 * MINUTE_MS);
	assert_int_equal(status_of("j", "lamp"), EXECUTION_IN_PROGRESS);
}

static void time_goes_on_through_a_crash(void **state)
{
	(void)state;
	make("{\"id\":\"j\",\"targets\":[\"lamp\",\"fan\"],\"document\":{},\"inProgressTimeoutInMinutes\":"
	     "20}");
	(void)ask("start-next", "");
	crash(600);
	assert_int_equal(status_of("j", "lamp"), EXECUTION_IN_PROGRESS);
	fake_sleep(rig.host, 9 * MINUTE_MS);
	assert_int_equal(status_of("j", "lamp"), EXECUTION_IN_PROGRESS);
	fake_sleep(rig.host, MINUTE_MS + 2000);
	run();
	assert_int_equal(status_of("j", "lamp"), EXECUTION_TIMED_OUT);
	send("$aws/things/fan/jobs/start-next", "");
	run();
	crash(1201); /* over while it was away */
	assert_int_equal(status_of("j", "fan"), EXECUTION_TIMED_OUT);
	assert_int_equal(job("j")->status, JOB_COMPLETED);
}

/* --- the ends of jobs -------------------------------------------------------------------------------------------------------- */

static int cancel(const char *id, bool force)
{
	int result = WAITS;
	int r = service_cancel(rig.service, job(id), force, "why", note, &result);
	run();
	assert_int_equal(r ? WAITS : 0, result);
	return r;
}

static void a_canceled_job_ends_what_has_not_begun(void **state)
{
	(void)state;
	add_many(20);
	make("{\"id\":\"j\",\"targets\":[\"group:hall\"],\"document\":{},\"maximumPerMinute\":15}");
	(void)ask("start-next", "");
	(void)take();
	assert_int_equal(cancel("j", false), 0);
	assert_int_equal(job("j")->status, JOB_CANCELED);
	assert_int_equal(in_state("j", EXECUTION_CANCELED), 14);
	assert_int_equal(status_of("j", "lamp"), EXECUTION_IN_PROGRESS);
	HAS(take(), "fan/jobs/notify {\"jobs\":{}");
	fake_sleep(rig.host, 2 * MINUTE_MS);
	assert_int_equal(job("j")->count, 15); /* nothing waits any more */
	assert_int_equal(cancel("j", false), -EALREADY);
	assert_int_equal(cancel("j", true), 0);
	assert_int_equal(status_of("j", "lamp"), EXECUTION_CANCELED);
	HAS(ask("j/update", "{\"status\":\"SUCCEEDED\"}"), "InvalidStateTransition");
	assert_int_equal(cancel("j", true), -EALREADY);
	assert_string_equal(job("j")->comment, "why");
	crash(1);
	assert_int_equal(in_state("j", EXECUTION_CANCELED), 15);
}

/* The change is on the disk, what follows from it is not. */
static void a_crash_in_the_middle_of_an_end_is_made_up_for(void **state)
{
	int result;
	(void)state;
	add_many(100);
	rig.deaf = true;
	make("{\"id\":\"c\",\"targets\":[\"group:hall\"],\"document\":{}}");
	make("{\"id\":\"d\",\"targets\":[\"group:hall\"],\"document\":{}}");
	fake_auto_commit(rig.host, false);
	assert_int_equal(service_cancel(rig.service, job("c"), false, NULL, note, &result), 0);
	fake_commit(rig.host, 0);
	assert_int_equal(service_delete(rig.service, job("d"), true, note, &result), 0);
	fake_commit(rig.host, 0);
	fake_sleep(rig.host, 1);
	fake_commit(rig.host, 0); /* some of it */
	crash(1);
	for (int i = 0; i < 3; i++)
		run();
	assert_int_equal(in_state("c", EXECUTION_CANCELED), 102);
	assert_null(job("d"));
	assert_int_equal(fake_disk_rows(rig.disk, "executions"), 102);
	assert_int_equal(fake_disk_rows(rig.disk, "jobs"), 1);
}

static void what_is_in_progress_is_deleted_by_force_only(void **state)
{
	int result;
	(void)state;
	make("{\"id\":\"j\",\"targets\":[\"group:hall\"],\"document\":{}}");
	assert_int_equal(service_delete(rig.service, job("j"), false, note, &result), -EINPROGRESS);
	(void)ask("start-next", "");
	assert_int_equal(cancel("j", false), 0);
	assert_int_equal(service_delete(rig.service, job("j"), false, note, &result), -EINPROGRESS);
	assert_int_equal(service_delete(rig.service, job("j"), true, note, &result), 0);
	HAS(ask("j/get", ""), "ResourceNotFound");
	run();
	assert_null(job("j"));
	assert_int_equal(fake_disk_rows(rig.disk, "executions"), 0);
	assert_int_equal(service_book(rig.service)->executions, 0);
}

static void one_execution_can_be_canceled(void **state)
{
	int result;
	(void)state;
	make("{\"id\":\"j\",\"targets\":[\"group:hall\"],\"document\":{}}");
	(void)ask("start-next", "");
	struct execution *lamp = job_find(job("j"), edged_str("lamp")),
	                 *fan = job_find(job("j"), edged_str("fan"));
	assert_int_equal(service_cancel_execution(rig.service, lamp, false, note, &result), -EINPROGRESS);
	assert_int_equal(service_cancel_execution(rig.service, lamp, true, note, &result), 0);
	assert_int_equal(service_cancel_execution(rig.service, fan, false, note, &result), 0);
	run();
	assert_int_equal(service_cancel_execution(rig.service, fan, true, note, &result), -EALREADY);
	assert_int_equal(job("j")->status, JOB_COMPLETED);
}

/* --- limits and words -------------------------------------------------------------------------------------------------------- */

static void there_is_room_for_so_many(void **state)
{
	int result;
	char spec[100];
	(void)state;
	for (int i = 0; i < 5; i++) {
		snprintf(spec, sizeof(spec), "{\"id\":\"j%d\",\"targets\":[\"door\"],\"document\":{}}", i);
		make(spec);
	}
	assert_int_equal(
	        try_create("{\"id\":\"j5\",\"targets\":[\"door\"],\"document\":{}}", &result), -ENOSPC);
	assert_int_equal(
	        try_create("{\"id\":\"j4\",\"targets\":[\"door\"],\"document\":{}}", &result), -EEXIST);
	assert_int_equal(service_delete(rig.service, job("j4"), true, note, &result), 0);
	run();
	add_many(294);
	assert_int_equal(
	        try_create("{\"id\":\"j4\",\"targets\":[\"group:hall\"],\"document\":{}}", &result), 0);
	run();
	run();
	assert_int_equal(service_book(rig.service)->executions, 300);
	assert_int_equal(service_delete(rig.service, job("j3"), true, note, &result), 0);
	run();
	/* a continuous job waits for room */
	make("{\"id\":\"c\",\"targets\":[\"door\"],\"document\":{},\"targetSelection\":\"CONTINUOUS\"}");
	assert_int_equal(job("c")->count, 1);
	rig.count -= 2;
	add_thing("a", "");
	json_t *more = json_string("a");
	assert_int_equal(json_array_append_new(job("c")->targets, more), 0);
	rig.changed(rig.changed_arg, edged_str("a"));
	run();
	assert_int_equal(job_waiting(job("c")), 1);
	assert_int_equal(service_delete(rig.service, job("j2"), true, note, &result), 0);
	run();
	assert_int_equal(job("c")->count, 2);
}

static void a_job_is_judged_by_its_words(void **state)
{
#define REST "\"targets\":[\"lamp\"],\"document\":{}"
	static const char *const rows[][2] = {
		{ "{}", "id is" },
		{ "{\"id\":\"a.b\"," REST "}", "id is" },
		{ "{\"id\":\"\"," REST "}", "id is" },
		{ "{\"id\":1," REST "}", "id is" },
		{ "{\"id\":\"j\",\"document\":{}}", "targets and a document" },
		{ "{\"id\":\"j\",\"targets\":[\"lamp\"]}", "targets and a document" },
		{ "{\"id\":\"j\",\"targets\":[],\"document\":{}}", "targets is a list" },
		{ "{\"id\":\"j\",\"targets\":\"lamp\",\"document\":{}}", "targets is a list" },
		{ "{\"id\":\"j\",\"targets\":[\"lamp\",\"a/b\"],\"document\":{}}", "targets[1]" },
		{ "{\"id\":\"j\",\"targets\":[\"group:\"],\"document\":{}}", "targets[0]" },
		{ "{\"id\":\"j\",\"targets\":[1],\"document\":{}}", "targets[0]" },
		{ "{\"id\":\"j\",\"targets\":[\"lamp\"],\"document\":\"{}\"}", "document is an object" },
		{ "{\"id\":\"j\",\"targets\":[\"lamp\"],\"document\":{\"0123456789\":\"0123456789\"}}",
		        "document has 27 bytes of JSON; it may have 20" },
		{ "{\"id\":\"j\"," REST ",\"description\":1}", "description is" },
		{ "{\"id\":\"j\"," REST ",\"targetSelection\":\"ALL\"}", "targetSelection is" },
		{ "{\"id\":\"j\"," REST ",\"inProgressTimeoutInMinutes\":0}",
		        "inProgressTimeoutInMinutes is" },
		{ "{\"id\":\"j\"," REST ",\"inProgressTimeoutInMinutes\":10081}",
		        "inProgressTimeoutInMinutes is" },
		{ "{\"id\":\"j\"," REST ",\"maximumPerMinute\":1001}", "maximumPerMinute is" },
		{ "{\"id\":\"j\"," REST ",\"maximumPerMinute\":1.5}", "maximumPerMinute is" },
		{ "{\"id\":\"j\"," REST ",\"rate\":1}", "no member rate" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *spec = json_loads(rows[i][0], 0, NULL);
		char why[SPEC_WHY_MAX] = "";
		struct job *made = NULL;
		assert_non_null(spec);
		assert_int_equal(spec_parse(spec, 20, &made, why), -EINVAL);
		HAS(why, rows[i][1]);
		json_decref(spec);
	}
}

TESTS(TEST(targets_become_executions_once), TEST(a_group_without_things_is_done_at_once),
        TEST(a_job_goes_no_faster_than_it_says), TEST(many_are_queued_in_small_batches),
        TEST(a_continuous_job_takes_those_who_come), TEST(a_thing_that_is_deleted_is_out_of_all_jobs),
        TEST(a_step_ends_with_its_time_but_not_after_that_of_all), TEST(a_step_of_its_own_can_be_taken_back),
        TEST(time_goes_on_through_a_crash), TEST(a_canceled_job_ends_what_has_not_begun),
        TEST(a_crash_in_the_middle_of_an_end_is_made_up_for),
        TEST(what_is_in_progress_is_deleted_by_force_only), TEST(one_execution_can_be_canceled),
        TEST(there_is_room_for_so_many), TEST(a_job_is_judged_by_its_words))

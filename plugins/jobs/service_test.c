/* SPDX-License-Identifier: Apache-2.0 */
/* What devices ask of the jobs service: each state from each, each refusal, what is told when, and what survives. */
#include "rig_test.h"

#define ONE "{\"id\":\"one\",\"targets\":[\"lamp\"],\"document\":{\"do\":1}}"
#define TWO "{\"id\":\"two\",\"targets\":[\"thing:lamp\"],\"document\":{\"do\":2}}"

static void a_device_sees_what_is_before_it(void **state)
{
	(void)state;
	HAS(ask("get", "{\"clientToken\":\"t\"}"),
	        "lamp/jobs/get/accepted {\"inProgressJobs\":[],\"queuedJobs\":[],\"timestamp\":1700000000,"
	        "\"clientToken\":\"t\"}\n");
	HAS(ask("start-next", ""), "start-next/accepted {\"timestamp\":1700000000}\n");
	HAS(ask("$next/get", ""), "$next/get/accepted {\"timestamp\":1700000000}\n");
	make(ONE);
	make(TWO);
	char *text = ask("get", "");
	HAS(text,
	        "\"inProgressJobs\":[],\"queuedJobs\":[{\"jobId\":\"one\",\"queuedAt\":1700000000,"
	        "\"lastUpdatedAt\":1700000000,\"versionNumber\":1,\"executionNumber\":1},{\"jobId\":\"two\"");
	text = ask("$next/get", "");
	HAS(text, "\"jobId\":\"one\"");
	HAS(text, "\"status\":\"QUEUED\"");
	HAS(text, "\"thingName\":\"lamp\"");
	HAS(text, "\"jobDocument\":{\"do\":1}");
	LACKS(ask("two/get", "{\"includeJobDocument\":false}"), "jobDocument");
	text = ask("start-next", "{\"statusDetails\":{\"step\":\"1\"}}");
	HAS(text, "\"status\":\"IN_PROGRESS\"");
	HAS(text, "\"statusDetails\":{\"step\":\"1\"}");
	HAS(text, "\"versionNumber\":2");
	HAS(text, "\"startedAt\":1700000000");
	/* it is still the next one, and stays as it is */
	HAS(ask("start-next", "{\"statusDetails\":{\"step\":\"2\"}}"), "\"statusDetails\":{\"step\":\"1\"}");
	HAS(ask("get", ""), "\"inProgressJobs\":[{\"jobId\":\"one\"");
	HAS(ask("two/get", "{\"executionNumber\":1}"), "two/get/accepted");
}

/* Every state, and what a device may make of it. */
static void each_state_from_each(void **state)
{
	static const char *const reports[] = { "IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED" };
	(void)state;
	for (int from = 0; from < EXECUTION_STATUSES; from++) {
		for (size_t i = 0; i < sizeof(reports) / sizeof(reports[0]); i++) {
			char payload[80];
			make("{\"id\":\"j\",\"targets\":[\"lamp\"],\"document\":{}}");
			struct execution *e = job_find(job("j"), edged_str("lamp"));
			if (from != EXECUTION_QUEUED) { /* as if it had come there */
				job_recount(e->job, e->status, (enum execution_status)from);
				e->status = (enum execution_status)from;
			}
			snprintf(payload, sizeof(payload),
			        "{\"status\":\"%s\",\"includeJobExecutionState\":true}", reports[i]);
			const char *text = ask("j/update", payload);
			if (execution_pending((enum execution_status)from)) {
				HAS(text, "j/update/accepted {\"executionState\":{\"status\":\"");
				HAS(text, reports[i]);
				HAS(text, "\"versionNumber\":2}");
			} else {
				HAS(text, "j/update/rejected {\"code\":\"InvalidStateTransition\"");
				HAS(text, "\"executionState\":{\"status\":\"");
				HAS(text, execution_status_text((enum execution_status)from));
			}
			int result;
			assert_int_equal(service_delete(rig.service, job("j"), true, note, &result), 0);
			run();
			assert_null(job("j"));
		}
	}
}

static void each_refusal(void **state)
{
	static const struct {
		const char *suffix, *payload, *code;
	} rows[] = {
		{ "no.job/get", "", "InvalidTopic" },
		{ "/get", "", "InvalidTopic" },
		{ "$next/update", "{\"status\":\"FAILED\"}", "InvalidTopic" },
		{ "0123456789012345678901234567890123456789012345678901234567890123x/get", "",
		        "InvalidTopic" },
		{ "get", "{", "InvalidJson" },
		{ "get", "{\"clientToken\":\"\xff\"}", "InvalidJson" },
		{ "get", "{\"clientToken\":\"a\",\"clientToken\":\"b\"}", "InvalidJson" },
		{ "one/update", "", "InvalidJson" },
		{ "get", "[]", "InvalidRequest" },
		{ "get", "{\"clientToken\":1}", "InvalidRequest" },
		{ "get",
		        "{\"clientToken\":"
		        "\"0123456789012345678901234567890123456789012345678901234567890123x\"}",
		        "InvalidRequest" },
		{ "one/update", "{}", "InvalidRequest" },
		{ "one/update", "{\"status\":\"DONE\"}", "InvalidRequest" },
		{ "one/update", "{\"status\":\"QUEUED\"}", "InvalidRequest" },
		{ "one/update", "{\"status\":\"CANCELED\"}", "InvalidRequest" },
		{ "one/update", "{\"status\":\"TIMED_OUT\"}", "InvalidRequest" },
		{ "one/update", "{\"status\":1}", "InvalidRequest" },
		{ "one/update", "{\"status\":\"FAILED\",\"expectedVersion\":-1}", "InvalidRequest" },
		{ "one/update", "{\"status\":\"FAILED\",\"expectedVersion\":\"x\"}", "InvalidRequest" },
		{ "one/update", "{\"status\":\"FAILED\",\"expectedVersion\":1.5}", "InvalidRequest" },
		{ "one/update", "{\"status\":\"FAILED\",\"executionNumber\":0}", "InvalidRequest" },
		{ "one/update", "{\"status\":\"FAILED\",\"includeJobDocument\":1}", "InvalidRequest" },
		{ "one/update", "{\"status\":\"FAILED\",\"stepTimeoutInMinutes\":0}", "InvalidRequest" },
		{ "one/update", "{\"status\":\"FAILED\",\"stepTimeoutInMinutes\":10081}", "InvalidRequest" },
		{ "one/update", "{\"status\":\"FAILED\",\"statusDetails\":[]}", "InvalidRequest" },
		{ "one/update", "{\"status\":\"FAILED\",\"statusDetails\":{\"a\":1}}", "InvalidRequest" },
		{ "one/update", "{\"status\":\"FAILED\",\"statusDetails\":{\"a\":\"\"}}", "InvalidRequest" },
		{ "one/update", "{\"status\":\"FAILED\",\"statusDetails\":{\"a\":\"\\n\"}}",
		        "InvalidRequest" },
		{ "one/update", "{\"status\":\"FAILED\",\"statusDetails\":{\"\":\"x\"}}", "InvalidRequest" },
		{ "one/update", "{\"status\":\"FAILED\",\"statusDetails\":{\"a b\":\"x\"}}",
		        "InvalidRequest" },
		{ "start-next", "{\"stepTimeoutInMinutes\":-2}", "InvalidRequest" },
		{ "none/get", "", "ResourceNotFound" },
		{ "none/update", "{\"status\":\"FAILED\"}", "ResourceNotFound" },
		{ "one/get", "{\"executionNumber\":2}", "ResourceNotFound" },
		{ "one/update", "{\"status\":\"FAILED\",\"executionNumber\":2}", "ResourceNotFound" },
		{ "one/update", "{\"status\":\"FAILED\",\"expectedVersion\":2}", "VersionMismatch" },
		{ "one/update", "{\"status\":\"FAILED\",\"expectedVersion\":\"2\"}", "VersionMismatch" },
		{ "ended/get", "", "TerminalStateReached" },
		{ "ended/update", "{\"status\":\"SUCCEEDED\"}", "InvalidStateTransition" },
	};
	(void)state;
	make(ONE);
	make("{\"id\":\"ended\",\"targets\":[\"lamp\"],\"document\":{}}");
	HAS(ask("ended/update", "{\"status\":\"SUCCEEDED\",\"expectedVersion\":\"1\"}"), "update/accepted {");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char expected[200];
		const char *text = ask(rows[i].suffix, rows[i].payload);
		snprintf(expected, sizeof(expected), "lamp/jobs/%s/rejected {\"code\":\"%s\",",
		        rows[i].suffix, rows[i].code);
		if (!strstr(text, expected))
			fail_msg("%s %s: %s", rows[i].suffix, rows[i].payload, text);
		bool told = strstr(rows[i].code, "VersionMismatch") || strstr(rows[i].code, "InvalidState");
		assert_int_equal(strstr(text, "\"executionState\"") != NULL, told);
		HAS(text, "\"timestamp\":17000000");
	}
	assert_int_equal(fake_figure(rig.host, "jobs_refused_total", NULL), sizeof(rows) / sizeof(rows[0]));
	send("$aws/things/nobody/jobs/get", "");
	HAS(take(), "nobody/jobs/get/rejected {\"code\":\"ResourceNotFound\"");
	send("$aws/things/no.body/jobs/get", "");
	HAS(take(), "no.body/jobs/get/rejected {\"code\":\"InvalidTopic\"");
}

static void status_details_have_limits(void **state)
{
	char payload[4096], value[1030];
	(void)state;
	make(ONE);
	memset(value, 'v', sizeof(value));
	snprintf(payload, sizeof(payload),
	        "{\"status\":\"IN_PROGRESS\",\"statusDetails\":{\"a\":\"%.1024s\"}}", value);
	HAS(ask("one/update", payload), "update/accepted");
	snprintf(payload, sizeof(payload),
	        "{\"status\":\"IN_PROGRESS\",\"statusDetails\":{\"a\":\"%.1025s\"}}", value);
	HAS(ask("one/update", payload), "InvalidRequest");
	for (int count = 10; count <= 11; count++) {
		int n = snprintf(payload, sizeof(payload), "{\"status\":\"IN_PROGRESS\",\"statusDetails\":{");
		for (int i = 0; i < count; i++)
			n += snprintf(
			        payload + n, sizeof(payload) - (size_t)n, "%s\"k%d\":\"v\"", i ? "," : "", i);
		snprintf(payload + n, sizeof(payload) - (size_t)n, "}}");
		HAS(ask("one/update", payload), count == 10 ? "update/accepted" : "InvalidRequest");
	}
	/* those that are not given stay */
	assert_int_equal(execution_bytes(job_find(job("one"), edged_str("lamp"))), 30);
	HAS(ask("one/update", "{\"status\":\"IN_PROGRESS\",\"includeJobExecutionState\":true}"),
	        "\"k9\":\"v\"");
	HAS(ask("one/update", "{\"status\":\"IN_PROGRESS\",\"includeJobDocument\":true}"),
	        "\"jobDocument\":{\"do\":1}");
}

/* The story of the Developer Guide, "Jobs notifications". */
static void things_are_told_of_what_changes_in_their_line(void **state)
{
	int result;
	(void)state;
	make("{\"id\":\"j1\",\"targets\":[\"lamp\"],\"document\":{\"operation\":\"test\"}}");
	char *text = take();
	HAS(text, "jobs/notify {\"jobs\":{\"QUEUED\":[{\"jobId\":\"j1\"");
	HAS(text, "jobs/notify-next {\"execution\":{\"jobId\":\"j1\"");
	HAS(text, "\"jobDocument\":{\"operation\":\"test\"}");
	make("{\"id\":\"j2\",\"targets\":[\"lamp\"],\"document\":{}}");
	text = take();
	HAS(text, "jobs/notify {\"jobs\":{\"QUEUED\":[{\"jobId\":\"j1\"");
	LACKS(text, "notify-next");
	text = ask("j1/update", "{\"status\":\"IN_PROGRESS\"}");
	LACKS(text, "notify");
	make("{\"id\":\"j3\",\"targets\":[\"lamp\"],\"document\":{}}");
	text = take();
	HAS(text, "{\"jobs\":{\"IN_PROGRESS\":[{\"jobId\":\"j1\"");
	HAS(text, "\"QUEUED\":[{\"jobId\":\"j2\"");
	LACKS(text, "notify-next");
	text = ask("j1/update", "{\"status\":\"SUCCEEDED\"}");
	HAS(text, "jobs/notify {\"jobs\":{\"QUEUED\":[{\"jobId\":\"j2\"");
	HAS(text, "jobs/notify-next {\"execution\":{\"jobId\":\"j2\"");
	text = ask("j3/update", "{\"status\":\"IN_PROGRESS\"}"); /* before its turn */
	LACKS(text, "jobs/notify {");
	HAS(text, "jobs/notify-next {\"execution\":{\"jobId\":\"j3\"");
	text = ask("j2/update", "{\"status\":\"REJECTED\"}");
	HAS(text, "jobs/notify {\"jobs\":{\"IN_PROGRESS\":[{\"jobId\":\"j3\"");
	LACKS(text, "QUEUED");
	LACKS(text, "notify-next");
	assert_int_equal(service_delete(rig.service, job("j3"), true, note, &result), 0);
	run();
	text = take();
	HAS(text, "jobs/notify {\"jobs\":{},\"timestamp\":1700000000}\n");
	HAS(text, "jobs/notify-next {\"timestamp\":1700000000}\n");
	/* none is made that nobody would get */
	rig.deaf = true;
	make(ONE);
	assert_string_equal(take(), "");
}

static void a_list_in_a_notification_ends_at_ten(void **state)
{
	(void)state;
	rig.limits.jobs = 20;
	fake_host_free(rig.host, true);
	begin();
	for (int i = 0; i < 12; i++) {
		char spec[80];
		(void)take();
		snprintf(spec, sizeof(spec), "{\"id\":\"j%02d\",\"targets\":[\"lamp\"],\"document\":{}}", i);
		make(spec);
	}
	const char *text = take();
	HAS(text, "\"j09\"");
	LACKS(text, "\"j10\"");
	HAS(ask("get", ""), "\"j11\"");
}

/* --- the disk ------------------------------------------------------------------------------------------------------------ */

static void nothing_is_told_before_it_is_on_the_disk(void **state)
{
	int result;
	(void)state;
	fake_auto_commit(rig.host, false);
	assert_int_equal(try_create(ONE, &result), 0);
	assert_int_equal(result, WAITS);
	fake_commit(rig.host, 0);
	assert_int_equal(result, 0);
	assert_string_equal(take(), ""); /* the execution comes next */
	fake_sleep(rig.host, 1);
	assert_string_equal(take(), "");
	fake_commit(rig.host, 0);
	HAS(take(), "jobs/notify {");
	send("$aws/things/lamp/jobs/one/update", "{\"status\":\"IN_PROGRESS\"}");
	send("$aws/things/lamp/jobs/$next/get", ""); /* tells what the first one does */
	assert_string_equal(take(), "");
	fake_commit(rig.host, 0);
	const char *text = take();
	HAS(text, "update/accepted");
	HAS(text, "\"status\":\"IN_PROGRESS\"");
	assert_true(strstr(text, "update/accepted") < strstr(text, "get/accepted"));
}

static void what_cannot_be_stored_has_not_happened(void **state)
{
	(void)state;
	make(ONE);
	fake_auto_commit(rig.host, false);
	(void)take();
	send("$aws/things/lamp/jobs/one/update", "{\"status\":\"SUCCEEDED\",\"clientToken\":\"t\"}");
	send("$aws/things/lamp/jobs/one/get", "");
	fake_commit(rig.host, -ENOSPC);
	const char *text = take();
	HAS(text, "update/rejected {\"code\":\"InternalError\"");
	HAS(text, "\"clientToken\":\"t\"");
	HAS(text, "get/rejected {\"code\":\"InternalError\""); /* it would have told a lie */
	LACKS(text, "accepted");
	LACKS(text, "notify");
	fake_auto_commit(rig.host, true);
	run();
	assert_int_equal(status_of("one", "lamp"), EXECUTION_QUEUED);
	assert_int_equal(job("one")->status, JOB_IN_PROGRESS);
	HAS(ask("one/update", "{\"status\":\"SUCCEEDED\"}"), "update/accepted");
	assert_int_equal(job("one")->status, JOB_COMPLETED);
}

static void all_is_there_after_a_crash(void **state)
{
	(void)state;
	make(ONE);
	make(TWO);
	(void)ask("two/update", "{\"status\":\"IN_PROGRESS\",\"statusDetails\":{\"a\":\"b\"}}");
	make("{\"id\":\"aaa\",\"targets\":[\"lamp\"],\"document\":{}}");
	crash(5);
	const char *text = ask("get", "");
	HAS(text, "\"inProgressJobs\":[{\"jobId\":\"two\"");
	assert_true(strstr(text, "\"one\"") < strstr(text, "\"aaa\"")); /* the order of the line */
	text = ask("two/get", "");
	HAS(text, "\"statusDetails\":{\"a\":\"b\"}");
	HAS(text, "\"versionNumber\":2");
	HAS(text, "\"queuedAt\":1700000000");
	(void)ask("two/update", "{\"status\":\"SUCCEEDED\"}");
	fake_auto_commit(rig.host, false);
	send("$aws/things/lamp/jobs/one/update", "{\"status\":\"SUCCEEDED\"}"); /* never answered */
	crash(5);
	assert_int_equal(job("two")->status, JOB_COMPLETED);
	assert_int_equal(status_of("one", "lamp"), EXECUTION_QUEUED);
}

static void damaged_rows_are_left_out(void **state)
{
	(void)state;
	make(ONE);
	make(TWO);
	fake_host_free(rig.host, true);
	assert_true(fake_disk_damage(rig.disk, "executions", 0, 0));
	assert_true(fake_disk_damage(rig.disk, "jobs", 1, 0));
	begin();
	assert_non_null(job("one"));
	assert_null(job("two"));
	HAS(ask("get", ""), "\"queuedJobs\":[]");
}

static void a_thing_has_so_many_requests_in_flight(void **state)
{
	(void)state;
	make(ONE);
	fake_auto_commit(rig.host, false);
	(void)take();
	for (int i = 0; i < 4; i++)
		send("$aws/things/lamp/jobs/one/update", "{\"status\":\"IN_PROGRESS\"}");
	send("$aws/things/fan/jobs/get", "");
	fake_commit(rig.host, 0);
	const char *text = take();
	HAS(text, "rejected {\"code\":\"RequestThrottled\"");
	HAS(text, "fan/jobs/get/accepted");
	fake_auto_commit(rig.host, true);
	HAS(ask("one/update", "{\"status\":\"IN_PROGRESS\"}"), "\"timestamp\"");
	assert_int_equal(job_find(job("one"), edged_str("lamp"))->version, 5);
}

TESTS(TEST(a_device_sees_what_is_before_it), TEST(each_state_from_each), TEST(each_refusal),
        TEST(status_details_have_limits), TEST(things_are_told_of_what_changes_in_their_line),
        TEST(a_list_in_a_notification_ends_at_ten), TEST(nothing_is_told_before_it_is_on_the_disk),
        TEST(what_cannot_be_stored_has_not_happened), TEST(all_is_there_after_a_crash),
        TEST(damaged_rows_are_left_out), TEST(a_thing_has_so_many_requests_in_flight))

/* SPDX-License-Identifier: Apache-2.0 */
/* From the configuration to what the parts are given: each key reaches its own place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "heap.h"
#include "settings.h"

static const char *sets[] = { "net.connections=11", "net.connections_per_source=12",
	"net.accepts_per_second=13", "net.handshake=140", "http.requests=21", "http.streams=22",
	"http.answer_time=230", "http.stream_mark=2400", "http.stream_limit=2500", "http.bodies=65600",
	"http.body_window=16400", "http.header_time=310", "http.body_time=320", "http.idle_time=330",
	"http.headers=34", "http.body=350", "plugin.start_time=410", "plugin.timers=42",
	"plugin.store_calls=43", "plugin.posts=44", "plugin.deferred=45", "plugin.logins=46",
	"plugin.works=47", "plugin.workers=8", "log.level=error", NULL };

static int load(const char **set, struct conf **ret, struct conf_findings *findings)
{
	static const char *none[] = { NULL };
	const struct args args = { .set = set, .plugins = none, .listen = none };
	return settings_load(&args, ret, findings);
}

static void each_key_reaches_its_place(void **state)
{
	(void)state;
	struct conf_findings findings = { 0 };
	struct conf *conf;
	assert_int_equal(load(sets, &conf, &findings), 0);
	struct listener_limits listeners = settings_listeners(conf);
	assert_int_equal(listeners.connections, 11);
	assert_int_equal(listeners.connections_per_source, 12);
	assert_int_equal(listeners.accepts_per_second, 13);
	assert_int_equal(listeners.handshake_ms, 140);
	struct request_limits requests = settings_requests(conf);
	assert_int_equal(requests.open, 21);
	assert_int_equal(requests.streams, 22);
	assert_int_equal(requests.answer_ms, 230);
	assert_int_equal(requests.stream_mark, 2400);
	assert_int_equal(requests.stream_limit, 2500);
	assert_int_equal(requests.body, 350);
	assert_int_equal(requests.bodies, 65600);
	struct http_server_limits http = settings_http(conf);
	assert_int_equal(http.header_ms, 310);
	assert_int_equal(http.body_ms, 320);
	assert_int_equal(http.idle_ms, 330);
	assert_int_equal(http.headers, 34);
	assert_int_equal(http.body_bytes, 350);
	assert_int_equal(http.body_window, 16400);
	struct plugin_limits plugins = settings_plugins(conf);
	assert_int_equal(plugins.start_ms, 410);
	assert_int_equal(plugins.ledger.most[LEDGER_TIMERS], 42);
	assert_int_equal(plugins.ledger.most[LEDGER_STORE_CALLS], 43);
	assert_int_equal(plugins.ledger.most[LEDGER_POSTS], 44);
	assert_int_equal(plugins.ledger.most[LEDGER_DEFERRED], 45);
	assert_int_equal(plugins.ledger.most[LEDGER_LOGINS], 46);
	assert_int_equal(plugins.ledger.most[LEDGER_WORK], 47);
	assert_int_equal(plugins.workers, 8);
	enum edged_level before = log_level();
	settings_log(conf);
	assert_int_equal(log_level(), EDGED_ERROR);
	log_set_level(before);
	conf_free(conf);
	conf_findings_fini(&findings);
}

static void a_listener_that_is_none_is_found(void **state)
{
	(void)state;
	const char *wrong[] = { "net.listen=[\"http=127.0.0.1:0\",\"gopher=127.0.0.1:70\"]", NULL };
	struct conf_findings findings = { 0 };
	struct conf *conf;
	assert_int_equal(load(wrong, &conf, &findings), 0);
	assert_int_equal(findings.errors, 1);
	assert_non_null(strstr(findings.text.ptr, "net.listen[1]"));
	assert_non_null(strstr(findings.text.ptr, "gopher"));
	struct err err = { "" };
	assert_int_not_equal(settings_fault(&findings, 0, &err), 0);
	assert_string_equal(err.text, "the configuration has 1 error");
	conf_free(conf);
	conf_findings_fini(&findings);
}

static void every_lack_of_memory_is_survived(void **state)
{
	(void)state;
	if (!heap_can_fail())
		skip();
	for (long n = 0;; n++) {
		struct conf_findings findings = { 0 };
		struct conf *conf = NULL;
		heap_fail_at(n);
		int r = load(sets, &conf, &findings);
		bool failed = heap_failed();
		heap_fail_at(-1);
		if (!r)
			conf_free(conf);
		conf_findings_fini(&findings);
		if (!failed)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_key_reaches_its_place),
		cmocka_unit_test(a_listener_that_is_none_is_found),
		cmocka_unit_test(every_lack_of_memory_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

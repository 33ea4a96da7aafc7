/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "filter.h"

static void terms_are_judged(void **state)
{
	(void)state;
	static const struct {
		const char *filter;
		bool fits;
	} rows[] = {
		{ "", true },
		{ "connected=false", true },
		{ "connected=true", false },
		{ "connected!=true", true },
		{ "thing=sensor-1", true },
		{ "thing=sensor*", true },
		{ "thing=*", true },
		{ "thing=lamp*", false },
		{ "thing!=lamp*", true },
		{ "version>=3,version<4", true },
		{ "timestamp>100", false },
		{ "reported.battery<20", true },
		{ "reported.battery<19.5", false },
		{ "reported.battery=19.5", true },
		{ "reported.battery<=19.5", true },
		{ "reported.battery>\"5\"", false }, /* a string is no number */
		{ "reported.battery=\"19.5\"", false },
		{ "reported.battery!=\"19.5\"", true },
		{ "reported.net.ssid=home", true },
		{ "reported.net.ssid=\"home\"", true },
		{ "reported.net.ssid>alpha,reported.net.ssid<zulu", true },
		{ "reported.net.none", false },
		{ "reported.net.none!=1", true },
		{ "reported.net.none<1", false },
		{ "reported.net", true },
		{ "reported.on=true", true },
		{ "reported.on<true", false },
		{ "reported.note=\"a,b\"", true },
		{ "reported.note=\"a,b\",connected=true", false },
		{ "desired", false },
		{ "reported.gone=null", false },
	};
	json_t *document = json_loads("{\"reported\":{\"battery\":19.5,\"on\":true,\"note\":\"a,b\","
	                              "\"net\":{\"ssid\":\"home\"}}}",
	        0, NULL);
	const struct filter_subject subject = {
		.thing = "sensor-1", .state = document, .version = 3, .timestamp = 100
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *why;
		struct filter *filter = filter_parse(edged_str(rows[i].filter), &why);
		assert_non_null(filter);
		if (filter_fits(filter, &subject) != rows[i].fits)
			fail_msg("%s", rows[i].filter);
		filter_free(filter);
	}
	json_decref(document);
}

static void what_is_no_filter_is_refused(void **state)
{
	(void)state;
	static const char *const rows[] = { "colour=red", "=1", "thing.x=1", "connected!true", ",",
		"reportedx=1", "thing=1,,thing=2",
		"version,version,version,version,version,version,version,version,version" };
	const char *why;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (filter_parse(edged_str(rows[i]), &why))
			fail_msg("%s", rows[i]);
	assert_null(filter_parse(edged_slice("a\0b", 3), &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(terms_are_judged),
		cmocka_unit_test(what_is_no_filter_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

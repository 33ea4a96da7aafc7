/* SPDX-License-Identifier: Apache-2.0 */
/* conf/: what bad configurations are told, word by word. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "conf/tables.h"

/* clang-format off */
static const struct edged_setting broker_table[] = {
	{ "limits.packet", EDGED_TYPE_SIZE, "\"256k\"", 1024, 1 << 28, "bytes", NULL, "Longest packet" },
	{ "limits.queue", EDGED_TYPE_INT, "100", 0, 1000, "messages", NULL, "Most messages that wait" },
	{ "any", EDGED_TYPE_JSON, "{}", 0, 0, NULL, NULL, "Anything" },
	{ "wild", EDGED_TYPE_BOOL, "true", 0, 0, NULL, NULL, "Whether it is wild" },
	{ 0 }
};

static const struct {
	const char *text, *findings;
} rows[] = {
	{ "{",
	  "c:1:2: the \"{\" that begins in line 1 is never closed\n" },
	{ "{\"log\"",
	  "c:1:7: log: expected a \":\" and a value behind this key\n" },
	{ "{\"log\" {}}",
	  "c:1:8: log: expected a \":\" and a value behind this key\n" },
	{ "{\"log\":}",
	  "c:1:8: log: expected a value here\n" },
	{ "{\"log\":{\"level\":\"info\"}",
	  "c:1:24: the \"{\" that begins in line 1 is never closed\n" },
	{ "{\"log\":{\"level\":\"info\"}]",
	  "c:1:24: expected a \",\" or \"}\" here\n" },
	{ "[]",
	  "c:1:1: must be an object, { ... }\n" },
	{ "5",
	  "c:1:1: must be an object, { ... }\n" },
	{ "\"log\"",
	  "c:1:1: must be an object, { ... }\n" },
	{ "{} {}",
	  "c:1:4: the document ends before this; remove it\n" },
	{ "{log: {}}",
	  "c:1:2: expected a key in double quotes\n" },
	{ "{'log': {}}",
	  "c:1:2: expected a key in double quotes\n" },
	{ "{\"log\":{\"level\":'info'}}",
	  "c:1:17: log.level: text takes double quotes, not single ones\n" },
	{ "{\"log\":{\"level\":info}}",
	  "c:1:17: log.level: neither a number nor true, false or null; text needs double quotes\n" },
	{ "{\"log\":{\"level\":\"info}}",
	  "c:1:17: log.level: the closing \" of this text is missing\n" },
	{ "{\"log\":{\"level\":\"in\nfo\"}}",
	  "c:1:17: log.level: the closing \" of this text is missing\n" },
	{ "{\n  \"log\": {\"level\": \"info\"}\n  \"net\": {}\n}",
	  "c:3:3: expected a \",\" or \"}\" here\n" },
	{ "{\n/* no end\n\"log\": {}\n}",
	  "c:2:1: the end of this comment, */, is missing\n" },
	{ "{\"log\":{\"level\":\"info\",,}}",
	  "c:1:24: log: expected a key in double quotes\n" },
	{ "{,}",
	  "c:1:2: expected a key in double quotes\n" },
	{ "{\"net\":{\"listen\":[,]}}",
	  "c:1:19: net.listen[0]: expected a value here\n" },
	{ "{\"net\":{\"listen\":[\"http=*:80\" \"mqtt=*:1883\"]}}",
	  "c:1:31: net.listen: expected a \",\" or \"]\" here\n" },
	{ "{\"net\":{\"loops\":01}}",
	  "c:1:17: net.loops: neither a number nor true, false or null; text needs double quotes\n" },
	{ "{\"net\":{\"loops\":1.}}",
	  "c:1:17: net.loops: neither a number nor true, false or null; text needs double quotes\n" },
	{ "{\"net\":{\"loops\":0x10}}",
	  "c:1:17: net.loops: neither a number nor true, false or null; text needs double quotes\n" },
	{ "{\"store\":{\"group\":5ms}}",
	  "c:1:19: store.group: neither a number nor true, false or null; text needs double quotes\n" },
	{ "{\"net\":{\"loops\":99999999999999999999}}",
	  "c:1:17: net.loops: this number is too large\n" },
	{ "{\"log\":{\"level\":\"\\x\"}}",
	  "c:1:19: invalid escape\n" },
	{ "{\"log\":{\"level\":\"\\u0000\"}}",
	  "c:1:24: \\u0000 is not allowed in texts\n" },
	{ "{\"\\q\":1}",
	  "c:1:2: this key has an invalid \\ escape\n" },
	{ "{\"log\":{\"level\":\"\xff\"}}",
	  "c:1:17: unable to decode byte 0xff\n" },
	{ "{\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
	  "c:1:37: x[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: too deep: at most 32 levels are allowed\n" },
	{ "{\"log\":{\"level\":\"info\"},\n\"log\":{\"level\":\"debug\"}}",
	  "c:2:1: log: given twice, first in line 1; keep one of them\n" },
	{ "{\"log\":{\"level\":\"info\",\n\"level\":\"debug\",\n\"level\":\"error\"}, \"nett\": 1}",
	  "c:2:1: log.level: given twice, first in line 1; keep one of them\n"
	  "c:3:1: log.level: given twice, first in line 1; keep one of them\n"
	  "c:3:19: nett: unknown section; did you mean net?\n" },
	{ "{\"lgo\":{}}",
	  "c:1:2: lgo: unknown section; did you mean log?\n" },
	{ "{\"zzz\":{}}",
	  "c:1:2: zzz: unknown section; known here: log, net, tls, http, store, plugin, auth, cluster, access, plugins\n" },
	{ "{\"log\":{\"levl\":\"info\"}}",
	  "c:1:9: log.levl: unknown key; did you mean log.level?\n" },
	{ "{\"log\":{\"LEVEL\":\"info\"}}",
	  "c:1:9: log.LEVEL: unknown key; did you mean log.level?\n" },
	{ "{\"log\":{\"x\":1}}",
	  "c:1:9: log.x: unknown key; known here: level\n" },
	{ "{\"log.level\":\"info\"}",
	  "c:1:2: \"log.level\": unknown section; a \".\" in a key means nesting: write { \"log\": { ... } }\n" },
	{ "{\"net\":{\"folders\":[]}}",
	  "c:1:9: net.folders: unknown key; did you mean plugin.folders?\n" },
	{ "{\"http\":{\"qqqqqqqq\":1}}",
	  "c:1:10: http.qqqqqqqq: unknown key; known here: header_time, body_time, idle_time, answer_time, header, headers, body, bodies, body_window, requests, streams, stream_mark, stream_limit\n" },
	{ "{\"a b\\n\":1}",
	  "c:1:2: \"a b\\n\": unknown section; known here: log, net, tls, http, store, plugin, auth, cluster, access, plugins\n" },
	{ "{\"plugins\":{\"broker\":{\"limits\":{\"paket\":1}}}}",
	  "c:1:33: plugins.broker.limits.paket: unknown key; did you mean plugins.broker.limits.packet?\n" },
	{ "{\"plugins\":{\"broker\":{\"limit\":{}}}}",
	  "c:1:23: plugins.broker.limit: unknown key; did you mean plugins.broker.limits?\n" },
	{ "{\"broker\":{}}",
	  "c:1:2: broker: unknown section; did you mean plugins.broker?\n" },
	{ "{\"plugins\":{\"brokr\":{}}}",
	  "c:1:13: warning: plugins.brokr: no plugin of this name is installed; did you mean \"broker\"?\n" },
	{ "{\"plugins\":{\"zzzzzz\":{\"a\":[1,{\"b\":2}]}}}",
	  "c:1:13: warning: plugins.zzzzzz: no plugin of this name is installed; the section is not used\n" },
	{ "{\"plugins\":{\"brokr\":1}}",
	  "c:1:21: plugins.brokr: must be an object, { ... }: the section of the plugin \"brokr\"\n" },
	{ "{\"plugins\":[]}",
	  "c:1:12: plugins: must be an object with a section for each plugin, { \"NAME\": { ... } }\n" },
	{ "{\"plugins\":{\"broker\":[]}}",
	  "c:1:22: plugins.broker: must be an object, { ... }; known here: limits, any, wild\n" },
	{ "{\"plugins\":{\"broker\":{\"limits\":1}}}",
	  "c:1:32: plugins.broker.limits: must be an object, { ... }; known here: packet, queue\n" },
	{ "{\"log\":\"debug\"}",
	  "c:1:8: log: must be an object, { ... }; known here: level\n" },
	{ "{\"log\":null}",
	  "c:1:8: log: must be an object, { ... }; known here: level\n" },
	{ "{\"log\":{\"level\":null}}",
	  "c:1:17: log.level: null is no value; leave the key out to get the default\n" },
	{ "{\"log\":{\"level\":\"inf\"}}",
	  "c:1:17: log.level: must be one of \"error\", \"warning\", \"notice\", \"info\", \"debug\", not \"inf\"; did you mean \"info\"?\n" },
	{ "{\"log\":{\"level\":\"loud\"}}",
	  "c:1:17: log.level: must be one of \"error\", \"warning\", \"notice\", \"info\", \"debug\", not \"loud\"\n" },
	{ "{\"log\":{\"level\":3}}",
	  "c:1:17: log.level: must be one of \"error\", \"warning\", \"notice\", \"info\", \"debug\", not 3\n" },
	{ "{\"net\":{\"loops\":0}}",
	  "c:1:17: net.loops: must be a whole number from 1 to 64, not 0\n" },
	{ "{\"net\":{\"loops\":65}}",
	  "c:1:17: net.loops: must be a whole number from 1 to 64, not 65\n" },
	{ "{\"net\":{\"loops\":1.5}}",
	  "c:1:17: net.loops: must be a whole number from 1 to 64, not 1.5\n" },
	{ "{\"net\":{\"loops\":\"2\"}}",
	  "c:1:17: net.loops: must be a whole number from 1 to 64, not \"2\"\n" },
	{ "{\"net\":{\"listen\":\"http=*:80\"}}",
	  "c:1:18: net.listen: must be a list of at most 32 texts, [\"...\", \"...\"], not \"http=*:80\"\n" },
	{ "{\"net\":{\"listen\":[\"http=*:80\",\n 5]}}",
	  "c:2:2: net.listen[1]: must be text, not 5\n" },
	{ "{\"net\":{\"listen\":[\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\",\"x\"]}}",
	  "c:1:18: net.listen: must have 0 to 32 items, not 33\n" },
	{ "{\"net\":{\"control\":[\"/x\"]}}",
	  "c:1:19: net.control: must be text of at most 107 bytes, not a list\n" },
	{ "{\"net\":{\"control\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}}",
	  "c:1:19: net.control: must be text of at most 107 bytes, not a text of 108 bytes that begins \"xxxxxxxxxxxxxxxx\"\n" },
	{ "{\"net\":{\"handshake\":\"5\"}}",
	  "c:1:21: net.handshake: must be a duration such as \"250ms\", \"5s\", \"2m\", \"1h\" or \"7d\", from \"100ms\" to \"5m\", not \"5\"\n" },
	{ "{\"net\":{\"handshake\":\"5 s\"}}",
	  "c:1:21: net.handshake: must be a duration such as \"250ms\", \"5s\", \"2m\", \"1h\" or \"7d\", from \"100ms\" to \"5m\", not \"5 s\"\n" },
	{ "{\"net\":{\"handshake\":\"5sec\"}}",
	  "c:1:21: net.handshake: must be a duration such as \"250ms\", \"5s\", \"2m\", \"1h\" or \"7d\", from \"100ms\" to \"5m\", not \"5sec\"\n" },
	{ "{\"net\":{\"handshake\":\"-5s\"}}",
	  "c:1:21: net.handshake: must be a duration such as \"250ms\", \"5s\", \"2m\", \"1h\" or \"7d\", from \"100ms\" to \"5m\", not \"-5s\"\n" },
	{ "{\"net\":{\"handshake\":\"1h\"}}",
	  "c:1:21: net.handshake: must be a duration such as \"250ms\", \"5s\", \"2m\", \"1h\" or \"7d\", from \"100ms\" to \"5m\", not \"1h\"\n" },
	{ "{\"net\":{\"handshake\":99}}",
	  "c:1:21: net.handshake: must be a duration such as \"250ms\", \"5s\", \"2m\", \"1h\" or \"7d\", from \"100ms\" to \"5m\", not 99\n" },
	{ "{\"net\":{\"handshake\":\"99999999999999999d\"}}",
	  "c:1:21: net.handshake: must be a duration such as \"250ms\", \"5s\", \"2m\", \"1h\" or \"7d\", from \"100ms\" to \"5m\", not \"99999999999999999d\"\n" },
	{ "{\"net\":{\"handshake\":true}}",
	  "c:1:21: net.handshake: must be a duration such as \"250ms\", \"5s\", \"2m\", \"1h\" or \"7d\", from \"100ms\" to \"5m\", not true\n" },
	{ "{\"http\":{\"header\":\"8kB\"}}",
	  "c:1:19: http.header: must be a size such as \"512\", \"64k\", \"1M\" or \"2G\", from \"1k\" to \"1M\", not \"8kB\"\n" },
	{ "{\"http\":{\"header\":\"100\"}}",
	  "c:1:19: http.header: must be a size such as \"512\", \"64k\", \"1M\" or \"2G\", from \"1k\" to \"1M\", not \"100\"\n" },
	{ "{\"http\":{\"header\":-1}}",
	  "c:1:19: http.header: must be a size such as \"512\", \"64k\", \"1M\" or \"2G\", from \"1k\" to \"1M\", not -1\n" },
	{ "{\"http\":{\"body\":\"2T\"}}",
	  "c:1:17: http.body: must be a size such as \"512\", \"64k\", \"1M\" or \"2G\", from \"0\" to \"1G\", not \"2T\"\n" },
	{ "{\"http\":{\"body\":{}}}",
	  "c:1:17: http.body: must be a size such as \"512\", \"64k\", \"1M\" or \"2G\", from \"0\" to \"1G\", not an object\n" },
	{ "{\"cluster\":{\"enabled\":\"yes\"}}",
	  "c:1:23: cluster.enabled: must be true or false, not \"yes\"\n" },
	{ "{\"cluster\":{\"enabled\":1}}",
	  "c:1:23: cluster.enabled: must be true or false, not 1\n" },
	{ "{\"plugins\":{\"broker\":{\"any\":5}}}",
	  "c:1:29: plugins.broker.any: must be an object or a list, not 5\n" },
	{ "{\"http\":{\"stream_mark\":\"2M\"}}",
	  "c:1:2: http: stream_mark must not be more than stream_limit\n" },
	{ "{\n\t// two lines of \xc3\xa9 before /* this */\n\t\"log\": {\"levl\": 1, \"level\": \"x\"},\n\t/* \xc3\xa9 */ \"net\": {\"loops\": 0, \"listen\": [1]},\n\t\"plugins\": {\"broker\": {\"wild\": 0}}, \"clustr\": {}\n}",
	  "c:3:10: log.levl: unknown key; did you mean log.level?\n"
	  "c:3:30: log.level: must be one of \"error\", \"warning\", \"notice\", \"info\", \"debug\", not \"x\"\n"
	  "c:4:27: net.loops: must be a whole number from 1 to 64, not 0\n"
	  "c:4:41: net.listen[0]: must be text, not 1\n"
	  "c:5:33: plugins.broker.wild: must be true or false, not 0\n"
	  "c:5:38: clustr: unknown section; did you mean cluster?\n" },
};
/* clang-format on */

/* The order of a start: own sections, the file, sections of plugins, the end. */
static void load(const char *text, struct conf_findings *findings)
{
	struct conf *conf;
	assert_int_equal(conf_new(&conf), 0);
	assert_int_equal(conf_declare_daemon(conf, findings), 0);
	int loaded = conf_load_text(conf, "c", edged_str(text), findings);
	assert_int_equal(loaded, findings->errors ? -EINVAL : 0);
	unsigned errors = findings->errors;
	int declared =
	        conf_declare(conf, "plugins.broker", broker_table, sizeof(broker_table[0]), NULL, findings);
	assert_int_equal(declared, findings->errors > errors ? -EINVAL : 0);
	errors = findings->errors;
	int finished = conf_finish(conf, findings);
	assert_int_equal(finished, findings->errors > errors ? -EINVAL : 0);
	conf_free(conf);
}

static void each_fault_is_named_with_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
		load(rows[i].text, &findings);
		assert_string_equal(findings.text.ptr ? findings.text.ptr : "", rows[i].findings);
	}
}

static void a_thousand_faults_do_not_flood(void **state)
{
	(void)state;
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	assert_int_equal(buf_add_str(&text, "{"), 0);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(buf_addf(&text, "%s\"zz%d\": 1", i ? ",\n" : "", i), 0);
	assert_int_equal(buf_add_str(&text, "}"), 0);
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	load(text.ptr, &findings);
	assert_int_equal(findings.errors, 5000);
	assert_true(findings.text.len < 80000);
	assert_non_null(strstr(findings.text.ptr, "There is more to say"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_is_named_with_its_place),
		cmocka_unit_test(a_thousand_faults_do_not_flood),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

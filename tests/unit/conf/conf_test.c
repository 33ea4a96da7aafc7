/* SPDX-License-Identifier: Apache-2.0 */
/* conf/: declaring, loading, reading and printing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "conf/json_text.h"
#include "conf/suggest.h"
#include "conf/tables.h"
#include "conf/units.h"
#include "heap.h"

DEFINE_CLEANUP(struct conf *, conf_free)

/* clang-format off */
static const struct edged_setting demo_table[] = {
	{ "limits.packet", EDGED_TYPE_SIZE, "\"256k\"", 1024, 1 << 28, "bytes", NULL, "Longest packet" },
	{ "limits.wait", EDGED_TYPE_DURATION, "\"5s\"", 0, 60000, "ms", NULL, "Longest wait" },
	{ "name", EDGED_TYPE_STRING, "\"x\"", 1, 8, NULL, NULL, "A name with \\ and\nline break" },
	{ "mode", EDGED_TYPE_CHOICE, "\"a\"", 0, 0, NULL, "a|b|c", ".Starts like a macro" },
	{ "list", EDGED_TYPE_STRINGS, "[\"one\"]", 0, 0, NULL, NULL, "A list" },
	{ "limits.queue", EDGED_TYPE_INT, "100", -5, 1000, "messages", NULL, "Most messages that wait" },
	{ "free", EDGED_TYPE_JSON, "{\"a\":[1]}", 0, 0, NULL, NULL, "Anything" },
	{ "wild", EDGED_TYPE_BOOL, "true", 0, 0, NULL, NULL, "Whether it is wild" },
	{ 0 }
};
/* clang-format on */

static int declare_demo(struct conf *conf, struct conf_findings *findings)
{
	return conf_declare(conf, "plugins.demo", demo_table, sizeof(demo_table[0]), NULL, findings);
}

static struct conf *new_conf(void)
{
	struct conf *conf;
	struct conf_findings findings = { 0 };
	assert_int_equal(conf_new(&conf), 0);
	assert_int_equal(conf_declare_daemon(conf, &findings), 0);
	assert_null(findings.text.ptr);
	return conf;
}

static int load(struct conf *conf, const char *text)
{
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	return conf_load_text(conf, "test", edged_str(text), &findings);
}

static int set(struct conf *conf, const char *assignment)
{
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	return conf_set(conf, assignment, "--set", &findings);
}

static void defaults_are_in_effect(void **state)
{
	(void)state;
	CLEANUP(conf_freep) struct conf *conf = new_conf();
	assert_string_equal(conf_string(conf, "log.level"), "info");
	assert_int_equal(conf_int(conf, "store.group"), 3);
	assert_int_equal(conf_int(conf, "http.body"), 1 << 20);
	assert_true(conf_bool(conf, "cluster.enabled"));
	assert_int_equal(conf_int(conf, "cluster.enabled"), 1);
	assert_string_equal(conf_strings(conf, "net.listen", 2), "tls=*:8443");
	assert_null(conf_strings(conf, "net.listen", 3));
}

static void later_sources_win_key_by_key(void **state)
{
	(void)state;
	CLEANUP(conf_freep) struct conf *conf = new_conf();
	assert_int_equal(load(conf, "// x\n{\"store\": {\"group\": \"9s\", \"queue\": 65536,}, /* y */}"), 0);
	assert_int_equal(set(conf, "store.group=250ms"), 0);
	assert_int_equal(set(conf, "log={\"level\": \"debug\"}"), 0);
	assert_int_equal(set(conf, "net.listen=[]"), 0);
	assert_int_equal(conf_int(conf, "store.group"), 250);
	assert_int_equal(conf_int(conf, "store.queue"), 65536);
	assert_int_equal(conf_int(conf, "store.cache"), 1 << 20);
	assert_string_equal(conf_string(conf, "log.level"), "debug");
	assert_null(conf_strings(conf, "net.listen", 0));
	assert_int_equal(set(conf, "net.loops=64"), 0);
	assert_int_equal(set(conf, "net.loops=65"), -EINVAL);
	assert_int_equal(conf_int(conf, "net.loops"), 64);
}

static void bad_assignments_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "=", "log.level", "log.level=", ".level=x", "log.=x",
		"log..level=x", "log level=x", "log.level={", "log.level=\"x", "net.loops=\"2\"", "log=1",
		"log.level=\xff" };
	CLEANUP(conf_freep) struct conf *conf = new_conf();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (set(conf, bad[i]) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
	assert_string_equal(conf_string(conf, "log.level"), "info");
}

static void a_section_declared_late_gets_what_was_loaded(void **state)
{
	(void)state;
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	CLEANUP(conf_freep) struct conf *conf = new_conf();
	assert_int_equal(load(conf, "{\"plugins\": {\"demo\": {\"limits\": {\"packet\": \"2k\"}}}}"), 0);
	assert_int_equal(set(conf, "plugins.demo.limits.queue=-5"), 0);
	assert_int_equal(declare_demo(conf, &findings), 0);
	assert_int_equal(declare_demo(conf, &findings), -EEXIST);
	assert_int_equal(conf_int(conf, "plugins.demo.limits.packet"), 2048);
	assert_string_equal(conf_json(conf, "plugins.demo").ptr,
	        "{\"limits\":{\"packet\":2048,\"wait\":5000,\"queue\":-5},\"name\":\"x\",\"mode\":\"a\","
	        "\"list\":[\"one\"],\"free\":{\"a\":[1]},\"wild\":true}");
	assert_string_equal(conf_json(conf, "plugins.demo.free").ptr, "{\"a\":[1]}");
	assert_int_equal(set(conf, "plugins.demo.free={}"), 0);
	assert_string_equal(conf_json(conf, "plugins.demo.free").ptr, "{}");
	conf_undeclare(conf, "plugins.demo");
	conf_undeclare(conf, "plugins.demo");
	assert_int_equal(declare_demo(conf, &findings), 0);
	assert_int_equal(conf_int(conf, "plugins.demo.limits.packet"), 2048);
	assert_null(findings.text.ptr);
}

static void a_refused_section_may_come_again(void **state)
{
	(void)state;
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	CLEANUP(conf_freep) struct conf *conf = new_conf();
	assert_int_equal(load(conf, "{\"plugins\": {\"demo\": {\"name\": \"\"}}}"), 0);
	assert_int_equal(declare_demo(conf, &findings), -EINVAL);
	assert_string_equal(
	        findings.text.ptr, "test:1:31: plugins.demo.name: must be text of 1 to 8 bytes, not \"\"\n");
	/* Known by name, so that the end of loading has nothing to add. */
	assert_int_equal(conf_finish(conf, &findings), 0);
	assert_int_equal(findings.errors, 1);
	assert_int_equal(declare_demo(conf, &findings), -EINVAL);
	assert_int_equal(findings.errors, 2);
}

static int check_packet(struct edged_slice config, char *why, size_t why_size)
{
	if (memmem(config.ptr, config.len, "\"packet\":2048", 13))
		return 0;
	snprintf(why, why_size, "packet must be 2048, in %.*s", EDGED_SLICE_FMT(config));
	return -EINVAL;
}

static void the_check_of_a_section_sees_the_final_values(void **state)
{
	(void)state;
	struct edged_setting table[2] = { demo_table[0], { 0 } };
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	CLEANUP(conf_freep) struct conf *conf = new_conf();
	assert_int_equal(load(conf, "{\"plugins\":\n{\"demo\": {\"limits\": {\"packet\": \"1k\"}}}}"), 0);
	assert_int_equal(conf_declare(conf, "plugins.demo", table, sizeof(table[0]), check_packet, &findings),
	        -EINVAL);
	assert_string_equal(findings.text.ptr, "test:2:2: plugins.demo: packet must be 2048, in "
	                                       "{\"limits\":{\"packet\":1024}}\n");
	assert_int_equal(set(conf, "plugins.demo.limits.packet=2k"), 0);
	conf_findings_fini(&findings);
	assert_int_equal(
	        conf_declare(conf, "plugins.demo", table, sizeof(table[0]), check_packet, &findings), 0);
	assert_int_equal(set(conf, "plugins.demo.limits.packet=4k"), 0);
	assert_int_equal(conf_finish(conf, &findings), -EINVAL);
	assert_non_null(strstr(findings.text.ptr, "--set: plugins.demo: packet must be 2048"));
}

static void broken_tables_are_refused(void **state)
{
	(void)state;
	static const struct {
		struct edged_setting setting;
		const char *finding;
	} rows[] = {
		{ { "a b", EDGED_TYPE_BOOL, "true", 0, 0, NULL, NULL, NULL }, "malformed name" },
		{ { "a.", EDGED_TYPE_BOOL, "true", 0, 0, NULL, NULL, NULL }, "malformed name" },
		{ { "a", (enum edged_type)99, "true", 0, 0, NULL, NULL, NULL }, "unknown type 99" },
		{ { "a", EDGED_TYPE_INT, "1", 5, 4, NULL, NULL, NULL }, "empty range" },
		{ { "a", EDGED_TYPE_INT, "1", 5, 6, NULL, NULL, NULL },
		        "default must be a whole number from 5 to 6" },
		{ { "a", EDGED_TYPE_INT, NULL, 0, 0, NULL, NULL, NULL }, "no JSON text: (none)" },
		{ { "a", EDGED_TYPE_STRING, "x", 0, 0, NULL, NULL, NULL }, "no JSON text: x" },
		{ { "a", EDGED_TYPE_CHOICE, "\"x\"", 0, 0, NULL, NULL, NULL }, "no choices" },
		{ { "a", EDGED_TYPE_CHOICE, "\"x\"", 0, 0, NULL, "y|z", NULL },
		        "must be one of \"y\", \"z\"" },
		{ { "twice", EDGED_TYPE_BOOL, "true", 0, 0, NULL, NULL, NULL }, "this row twice" },
		{ { "twice.more", EDGED_TYPE_BOOL, "true", 0, 0, NULL, NULL, NULL }, "rows below it" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
		CLEANUP(conf_freep) struct conf *conf = new_conf();
		struct edged_setting table[] = { { "twice", EDGED_TYPE_BOOL, "true", 0, 0, NULL, NULL,
			                                 "Text" },
			rows[i].setting, { "z", EDGED_TYPE_BOOL, "true", 0, 0, NULL, NULL, "Text" }, { 0 } };
		assert_int_equal(
		        conf_declare(conf, "plugins.x", table, sizeof(table[0]), NULL, &findings), -EINVAL);
		assert_int_equal(findings.errors, 1);
		if (!strstr(findings.text.ptr, rows[i].finding))
			fail_msg("%s is not in %s", rows[i].finding, findings.text.ptr);
	}
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	CLEANUP(conf_freep) struct conf *conf = new_conf();
	assert_int_equal(
	        conf_declare(conf, "plugins", demo_table, sizeof(demo_table[0]), NULL, &findings), -EINVAL);
	assert_int_equal(
	        conf_declare(conf, "a.b", demo_table, sizeof(demo_table[0]), NULL, &findings), -EINVAL);
	assert_int_equal(conf_declare(conf, "x", demo_table, 8, NULL, &findings), -EINVAL);
}

/* A row of a later version of the ABI is longer; what lies behind is not looked at. */
static void longer_rows_are_understood(void **state)
{
	(void)state;
	struct {
		struct edged_setting setting;
		long more;
	} table[] = { { demo_table[0], 1 }, { demo_table[2], 2 }, { { 0 }, 0 } };
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	CLEANUP(conf_freep) struct conf *conf = new_conf();
	assert_int_equal(
	        conf_declare(conf, "plugins.x", &table[0].setting, sizeof(table[0]), NULL, &findings), 0);
	assert_string_equal(conf_string(conf, "plugins.x.name"), "x");
}

static void files_are_read_with_care(void **state)
{
	(void)state;
	char folder[] = "/tmp/conf_test.XXXXXX", path[64], fifo[64];
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/file", folder);
	snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	CLEANUP(conf_freep) struct conf *conf = new_conf();
	assert_int_equal(conf_load_file(conf, path, &findings), -ENOENT);
	assert_int_equal(conf_load_file(conf, folder, &findings), -EINVAL);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(conf_load_file(conf, fifo, &findings), -EINVAL);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs("{\"log\": {\"level\":\n \"error\"}}", file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(findings.errors, 3);
	conf_findings_fini(&findings);
	assert_int_equal(conf_load_file(conf, path, &findings), 0);
	assert_string_equal(conf_string(conf, "log.level"), "error");
	conf_complain(conf, "log.level", -1, &findings, "too %s", "quiet");
	conf_complain(conf, "net.listen", 1, &findings, "no");
	char expected[160];
	snprintf(expected, sizeof(expected), "%s:2:2: log.level: too quiet\ndefault: net.listen[1]: no\n",
	        path);
	assert_string_equal(findings.text.ptr, expected);
	assert_int_equal(truncate(path, (1 << 20) + 1), 0);
	assert_int_equal(conf_load_file(conf, path, &findings), -EFBIG);
	assert_int_equal(truncate(path, 1 << 30), 0);
	assert_int_equal(conf_load_file(conf, path, &findings), -EFBIG);
	remove(path);
	remove(fifo);
	remove(folder);
}

static struct conf *conf_with_everything(void)
{
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	struct conf *conf = new_conf();
	assert_int_equal(declare_demo(conf, &findings), 0);
	assert_int_equal(set(conf, "plugins.demo.limits.packet=1234567"), 0);
	assert_int_equal(set(conf, "plugins.demo.limits.wait=0"), 0);
	assert_int_equal(set(conf, "plugins.demo.name=\"\\\"//\\\\\""), 0);
	assert_int_equal(set(conf, "plugins.demo.list=[\"/*\", \"\\u00e9\", \",]\"]"), 0);
	assert_int_equal(set(conf, "plugins.demo.wild=false"), 0);
	assert_int_equal(set(conf, "http.body_time=90s"), 0);
	return conf;
}

static void what_is_printed_loads_again(void **state)
{
	(void)state;
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	CLEANUP(conf_freep) struct conf *conf = conf_with_everything();
	CLEANUP(conf_freep) struct conf *again = new_conf();
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	CLEANUP(buf_fini) struct buf twice = BUF_EMPTY;
	assert_int_equal(conf_print(conf, &text), 0);
	assert_non_null(strstr(text.ptr, "\"body_time\": \"90s\", // --set; takes effect at a reload\n"));
	assert_non_null(
	        strstr(text.ptr, "\"stream_limit\": \"1M\" // default; takes effect at a reload\n\t},\n"));
	assert_int_equal(declare_demo(again, &findings), 0);
	assert_int_equal(conf_load_text(again, "printed", buf_slice(&text), &findings), 0);
	assert_int_equal(conf_finish(again, &findings), 0);
	assert_null(findings.text.ptr);
	assert_string_equal(conf_json(again, "").ptr, conf_json(conf, "").ptr);
	assert_int_equal(conf_print(again, &twice), 0);
	assert_non_null(strstr(twice.ptr, "\"packet\": 1234567, // printed:"));
}

static void the_sample_loads_and_changes_nothing(void **state)
{
	(void)state;
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	CLEANUP(conf_freep) struct conf *conf = conf_with_everything();
	CLEANUP(conf_freep) struct conf *plain = new_conf();
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	assert_int_equal(conf_print_sample(conf, &text), 0);
	assert_int_equal(declare_demo(plain, &findings), 0);
	CLEANUP(free_charp) char *before = strdup(conf_json(plain, "").ptr);
	assert_int_equal(conf_load_text(plain, "sample", buf_slice(&text), &findings), 0);
	assert_int_equal(conf_finish(plain, &findings), 0);
	assert_string_equal(conf_json(plain, "").ptr, before);
	/* With the slashes in front of its keys removed it says the same, key by key. */
	for (char *c = text.ptr; (c = strstr(c, "// \"")); c++)
		if (memcmp(c + 4 + strspn(c + 4, "abcdefghijklmnopqrstuvwxyz_"), "\": ", 3) == 0)
			memcpy(c, "   ", 3);
	assert_int_equal(conf_load_text(plain, "sample", buf_slice(&text), &findings), 0);
	assert_int_equal(conf_finish(plain, &findings), 0);
	assert_null(findings.text.ptr);
	assert_string_equal(conf_json(plain, "").ptr, before);
}

static void the_schema_and_the_report_are_json(void **state)
{
	(void)state;
	CLEANUP(conf_freep) struct conf *conf = conf_with_everything();
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	assert_int_equal(conf_print_schema(conf, &text), 0);
	json_t *schema = json_loads(text.ptr, 0, NULL);
	assert_non_null(schema);
	const char *packet = NULL;
	int closed = -1, open = -1;
	assert_int_equal(json_unpack(schema, "{s:{s:{s:b, s:{s:{s:b, s:{s:{s:{s:{s:s}}}}}}}}}", "properties",
	                         "plugins", "additionalProperties", &open, "properties", "demo",
	                         "additionalProperties", &closed, "properties", "limits", "properties",
	                         "packet", "default", &packet),
	        0);
	assert_string_equal(packet, "256k");
	assert_int_equal(closed, 0);
	assert_int_equal(open, 1);
	json_decref(schema);
	buf_clear(&text);
	assert_int_equal(conf_print_json(conf, &text), 0);
	assert_non_null(strstr(text.ptr,
	        "\"http.body_time\":{\"value\":\"90s\",\"origin\":\"--set\",\"effect\":\"reload\"}"));
	assert_non_null(strstr(text.ptr, "\"plugins.demo.limits.wait\":{\"value\":\"0ms\",\"origin\":\"--"
	                                 "set\",\"effect\":\"restart\"}"));
	json_t *report = json_loads(text.ptr, 0, NULL);
	assert_non_null(report);
	json_decref(report);
}

static void the_manual_escapes_what_mdoc_would_read(void **state)
{
	(void)state;
	CLEANUP(conf_freep) struct conf *conf = conf_with_everything();
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	assert_int_equal(conf_print_manual(conf, &text), 0);
	assert_non_null(strstr(text.ptr, ".It Ic plugins.demo.mode\n\\&.Starts like a macro.\n"));
	assert_non_null(strstr(text.ptr, "A name with \\e and\nline break.\n"));
	assert_non_null(strstr(text.ptr, ".Ss Section plugins.demo\n.Bl -tag -width Ds\n"));
}

static void comments_are_blanked_in_place(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "a//b\nc", "a   \nc" },
		{ "a/*b\nc*/d", "a   \n   d" },
		{ "\"//\" \"/*\" \"\\\"//\"//", "\"//\" \"/*\" \"\\\"//\"  " },
		{ "[1,]", "[1 ]" },
		{ "[1 , /* x */ ]", "[1           ]" },
		{ "[,]", "[,]" },
		{ "{,}", "{,}" },
		{ "[1,,]", "[1,,]" },
		{ "[\",\",\n]", "[\",\" \n]" },
		{ "/", "/" },
		{ "//\xc3\xa9", "   \r" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[64];
		size_t at;
		snprintf(text, sizeof(text), "%s", rows[i].in);
		assert_int_equal(json_text_strip(text, strlen(text), &at), 0);
		assert_string_equal(text, rows[i].out);
	}
	char open[] = "ab /*/";
	size_t at;
	assert_int_equal(json_text_strip(open, strlen(open), &at), -EINVAL);
	assert_int_equal(at, 3);
}

static void units_are_read_and_written(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t value;
		const char *written;
	} times[] = { { "250ms", 250, "250ms" }, { "5s", 5000, "5s" }, { "120s", 120000, "2m" },
		{ "36h", 129600000, "36h" }, { "7d", 604800000, "7d" }, { "0s", 0, "0ms" } },
	  sizes[] = { { "512", 512, "512" }, { "64k", 65536, "64k" }, { "64K", 65536, "64k" },
		  { "1024k", 1 << 20, "1M" }, { "2G", 2147483648, "2G" }, { "1025", 1025, "1025" } };
	int64_t value;
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		assert_int_equal(units_parse_duration(times[i].text, &value), 0);
		assert_int_equal(value, times[i].value);
		assert_string_equal(units_duration(value).text, times[i].written);
		assert_int_equal(units_parse_size(sizes[i].text, &value), 0);
		assert_int_equal(value, sizes[i].value);
		assert_string_equal(units_size(value).text, sizes[i].written);
	}
	static const char *const bad[] = { "", "s", "-1s", "+1s", "1 s", " 1s", "1x", "1.5s", "1s ", "0x1s",
		"9223372036854775808ms", "9223372036854775807d", "99999999999999999999999s" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(units_parse_duration(bad[i], &value), -EINVAL);
	assert_int_equal(units_parse_size("9223372036854775807G", &value), -EINVAL);
	assert_int_equal(units_parse_duration("9223372036854775807ms", &value), 0);
	assert_string_equal(units_duration(-1500).text, "-1500ms");
}

static void near_words_are_suggested(void **state)
{
	(void)state;
	static const struct {
		const char *word, *best;
	} rows[] = { { "debgu", "debug" }, { "DEBUG", "debug" }, { "inf", "info" }, { "xyz", NULL },
		{ "", NULL }, { "warnings", "warning" }, { "on", NULL } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct suggestion suggestion;
		suggest_begin(&suggestion, rows[i].word);
		suggest_try(&suggestion, "info");
		suggest_try(&suggestion, "debug");
		suggest_try(&suggestion, "warning");
		if (rows[i].best)
			assert_string_equal(suggestion.best, rows[i].best);
		else
			assert_null(suggestion.best);
	}
}

static void work(int *ret)
{
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	CLEANUP(conf_freep) struct conf *conf = NULL;
	*ret = conf_new(&conf);
	if (!*ret)
		*ret = conf_declare_daemon(conf, &findings);
	if (!*ret)
		*ret = conf_load_text(conf, "x",
		        edged_str("{\"log\":{\"level\":\"debug\"}, \"plugins\":{\"demo\":{}}}"), &findings);
	if (!*ret)
		*ret = declare_demo(conf, &findings);
	if (!*ret)
		*ret = conf_set(conf, "plugins.demo.name=y", "--set", &findings);
	if (!*ret)
		*ret = conf_finish(conf, &findings);
	if (!*ret)
		*ret = conf_json(conf, "plugins.demo").ptr ? 0 : -ENOMEM;
	if (!*ret)
		*ret = conf_print(conf, &text);
	if (!*ret)
		*ret = conf_print_manual(conf, &text);
}

static void every_lack_of_memory_is_survived(void **state)
{
	(void)state;
	if (!heap_can_fail())
		skip();
	int result = 0;
	for (long n = 0;; n++) {
		heap_fail_at(n);
		work(&result);
		bool failed = heap_failed();
		heap_fail_at(-1);
		if (!failed)
			break;
		assert_int_equal(result, -ENOMEM);
	}
	assert_int_equal(result, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_in_effect),
		cmocka_unit_test(later_sources_win_key_by_key),
		cmocka_unit_test(bad_assignments_are_refused),
		cmocka_unit_test(a_section_declared_late_gets_what_was_loaded),
		cmocka_unit_test(a_refused_section_may_come_again),
		cmocka_unit_test(the_check_of_a_section_sees_the_final_values),
		cmocka_unit_test(broken_tables_are_refused),
		cmocka_unit_test(longer_rows_are_understood),
		cmocka_unit_test(files_are_read_with_care),
		cmocka_unit_test(what_is_printed_loads_again),
		cmocka_unit_test(the_sample_loads_and_changes_nothing),
		cmocka_unit_test(the_schema_and_the_report_are_json),
		cmocka_unit_test(the_manual_escapes_what_mdoc_would_read),
		cmocka_unit_test(comments_are_blanked_in_place),
		cmocka_unit_test(units_are_read_and_written),
		cmocka_unit_test(near_words_are_suggested),
		cmocka_unit_test(every_lack_of_memory_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of edged. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "base/cleanup.h"
#include "conf/tables.h"
#include "heap.h"

#define ARGV(...) ((char *[]){ (char *)"edged", __VA_ARGS__, NULL })

static int parse(struct args *args, char **argv, struct err *err)
{
	int argc = 0;
	while (argv[argc])
		argc++;
	return args_parse(args, argc, argv, err);
}

static void nothing_is_needed(void **state)
{
	(void)state;
	char *argv[] = { (char *)"edged", NULL };
	CLEANUP(args_fini) struct args args;
	assert_int_equal(parse(&args, argv, NULL), 0);
	assert_int_equal(args.mode, ARGS_RUN);
	assert_null(args.config);
	assert_null(args.state);
	assert_null(args.plugins[0]);
	assert_null(args.listen[0]);
	assert_null(args.set[0]);
	assert_false(args.dev);
}

static void everything_may_be_said(void **state)
{
	(void)state;
	CLEANUP(args_fini) struct args args;
	char **argv = ARGV("--config", "f", "--state=s", "--plugins", "p1", "--plugins=p2", "--listen",
	        "http=*:0", "--set", "log.level=debug", "--set=net.loops=2", "--dev", "--check");
	assert_int_equal(parse(&args, argv, NULL), 0);
	assert_string_equal(args.config, "f");
	assert_string_equal(args.state, "s");
	assert_string_equal(args.plugins[0], "p1");
	assert_string_equal(args.plugins[1], "p2");
	assert_null(args.plugins[2]);
	assert_string_equal(args.listen[0], "http=*:0");
	assert_null(args.listen[1]);
	assert_string_equal(args.set[0], "log.level=debug");
	assert_string_equal(args.set[1], "net.loops=2");
	assert_true(args.dev);
	assert_int_equal(args.mode, ARGS_CHECK);
}

static void modes_are_told_apart(void **state)
{
	(void)state;
	static const struct {
		const char *option;
		enum args_mode mode;
	} modes[] = { { "--check", ARGS_CHECK }, { "--print-config", ARGS_PRINT_CONFIG },
		{ "--print-sample", ARGS_PRINT_SAMPLE }, { "--print-schema", ARGS_PRINT_SCHEMA },
		{ "--print-manual", ARGS_PRINT_MANUAL }, { "--version", ARGS_VERSION },
		{ "--help", ARGS_HELP } };
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		CLEANUP(args_fini) struct args args;
		assert_int_equal(parse(&args, ARGV((char *)modes[i].option), NULL), 0);
		assert_int_equal(args.mode, modes[i].mode);
	}
}

static void faults_are_told(void **state)
{
	(void)state;
	static const struct {
		const char *first, *second, *text;
	} rows[] = {
		{ "--confg", "x", "unknown option --confg; did you mean --config?" },
		{ "--lisen=http=*:1", NULL, "unknown option --lisen; did you mean --listen?" },
		{ "--quatsch", NULL, "unknown option --quatsch; see edged --help" },
		{ "--print", NULL, "unknown option --print; did you mean --print-config?" },
		{ "-x", NULL, "unknown option -x; options begin with --, see edged --help" },
		{ "--config", NULL, "--config needs its FILE" },
		{ "--listen", NULL, "--listen needs its PROTOCOL=ADDRESS:PORT" },
		{ "--state=", NULL, "--state needs its DIR" },
		{ "--dev=1", NULL, "--dev takes no value" },
		{ "--check", "--version", "--check and --version exclude each other" },
		{ "run", NULL, "\"run\" is no option; see edged --help" },
		{ "--", "x", "\"x\" is no option; see edged --help" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct args args;
		struct err err = { "" };
		assert_int_equal(
		        parse(&args, ARGV((char *)rows[i].first, (char *)rows[i].second), &err), -EINVAL);
		assert_string_equal(err.text, rows[i].text);
	}
}

static void help_names_every_option(void **state)
{
	(void)state;
	static const char *const options[] = { "--config FILE", "--state DIR", "--plugins DIR",
		"--listen PROTOCOL=ADDRESS:PORT", "--set KEY=JSON", "--dev", "--check", "--print-config",
		"--version", "--help" };
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	assert_non_null(out);
	args_help(out);
	fclose(out);
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		assert_non_null(strstr(text, options[i]));
	free(text);
}

static void the_command_line_beats_the_file(void **state)
{
	(void)state;
	char path[] = "/tmp/args_test.XXXXXX";
	int fd = mkstemp(path);
	const char *text =
	        "{ \"net\": {\"loops\": 3, \"listen\": [\"mqtt=*:1\"]}, \"log\": {\"level\": \"error\"} }";
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	CLEANUP(args_fini) struct args args;
	struct conf *conf;
	assert_int_equal(conf_new(&conf), 0);
	assert_int_equal(conf_declare_daemon(conf, &findings), 0);
	char **argv = ARGV("--config", path, "--listen", "http=[::1]:0", "--listen", "a\"b", "--plugins", "x",
	        "--set", "log.level=debug");
	assert_int_equal(parse(&args, argv, NULL), 0);
	assert_int_equal(args_configure(&args, conf, &findings), 0);
	assert_int_equal(conf_finish(conf, &findings), 0);
	assert_string_equal(conf_string(conf, "log.level"), "debug");
	assert_int_equal(conf_int(conf, "net.loops"), 3);
	assert_string_equal(conf_strings(conf, "net.listen", 0), "http=[::1]:0");
	assert_string_equal(conf_strings(conf, "net.listen", 1), "a\"b");
	assert_null(conf_strings(conf, "net.listen", 2));
	assert_string_equal(conf_strings(conf, "plugin.folders", 0), "x");
	conf_free(conf);
	remove(path);
}

static void every_fault_of_all_sources_is_found(void **state)
{
	(void)state;
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	CLEANUP(args_fini) struct args args;
	struct conf *conf;
	assert_int_equal(conf_new(&conf), 0);
	assert_int_equal(conf_declare_daemon(conf, &findings), 0);
	assert_int_equal(
	        parse(&args, ARGV("--config=/nonexistent/x", "--set", "a", "--set", "net.loops=0"), NULL), 0);
	assert_int_equal(args_configure(&args, conf, &findings), -ENOENT);
	assert_string_equal(findings.text.ptr,
	        "/nonexistent/x: cannot be read: No such file or directory\n"
	        "--set: \"a\" must be KEY=VALUE, such as log.level=debug\n"
	        "--set: net.loops: must be a whole number from 1 to 64, not 0\n");
	conf_free(conf);
}

static void lack_of_memory_is_survived(void **state)
{
	(void)state;
	if (!heap_can_fail())
		skip();
	for (long n = 0; n < 3; n++) {
		struct args args;
		heap_fail_at(n);
		int r = parse(&args, ARGV("--dev"), NULL);
		heap_fail_at(-1);
		assert_int_equal(r, -ENOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_needed),
		cmocka_unit_test(everything_may_be_said),
		cmocka_unit_test(modes_are_told_apart),
		cmocka_unit_test(faults_are_told),
		cmocka_unit_test(help_names_every_option),
		cmocka_unit_test(the_command_line_beats_the_file),
		cmocka_unit_test(every_fault_of_all_sources_is_found),
		cmocka_unit_test(lack_of_memory_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

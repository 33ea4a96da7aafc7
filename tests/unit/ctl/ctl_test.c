/* SPDX-License-Identifier: Apache-2.0 */
/* ctl/: the parts of edgectl that need no daemon. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "ctl/http.h"
#include "ctl/listen.h"
#include "ctl/options.h"
#include "ctl/sse.h"
#include "ctl/table.h"

/* --- server-sent events
 * -------------------------------------------------------------------------------------------- */

/* Writes "[event]data|" for each event. */
static int note(void *arg, struct edged_slice event, struct edged_slice data)
{
	return buf_addf(arg, "[%.*s]%.*s|", EDGED_SLICE_FMT(event), EDGED_SLICE_FMT(data));
}

static const struct {
	const char *in, *out;
} streams[] = {
	{ "data: a\n\n", "[]a|" },
	{ "data:a\n\ndata: b\n\n", "[]a|[]b|" },
	{ "data:  two\r\n\r\n", "[] two|" },
	{ "data: a\rdata: b\r\r", "[]a\nb|" },
	{ "event: x\ndata: a\n\ndata: b\n\n", "[x]a|[]b|" },
	{ "event: x\r\ndata: a\r\n\r\n", "[x]a|" },
	{ "event: x\n\ndata: b\n\n", "[]b|" },
	{ ": comment\n\n\n", "" },
	{ "data\n\n", "[]|" },
	{ "data\ndata\n\n", "[]\n|" },
	{ "id: 7\nretry: 5\nother: x\ndata: a:b\n\n", "[]a:b|" },
	{ "\xef\xbb\xbf"
	  "data: a\n\n",
	        "[]a|" },
	{ "data: a\n\xef\xbb\xbf"
	  "data: b\n\n",
	        "[]a|" },
	{ "data: never ended", "" },
	{ "data: a\n", "" },
	{ " data: a\n\n", "" },
};

static void events_are_read_however_the_bytes_come(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(streams); i++)
		for (size_t step = 1; step < 12; step++) {
			CLEANUP(buf_fini) struct buf out = BUF_EMPTY;
			CLEANUP(sse_fini) struct sse sse;
			sse_init(&sse, note, &out);
			size_t n = strlen(streams[i].in);
			for (size_t at = 0; at < n; at += step)
				assert_int_equal(sse_feed(&sse, edged_slice(streams[i].in + at,
				                                        at + step < n ? step : n - at)),
				        0);
			assert_string_equal(out.ptr ? out.ptr : "", streams[i].out);
		}
}

static int stop(void *arg, struct edged_slice event, struct edged_slice data)
{
	(void)event;
	(void)data;
	return ++*(int *)arg == 2 ? 7 : 0;
}

static void a_reader_may_stop(void **state)
{
	(void)state;
	int count = 0;
	CLEANUP(sse_fini) struct sse sse;
	sse_init(&sse, stop, &count);
	assert_int_equal(sse_feed(&sse, edged_str("data: 1\n\ndata: 2\n\ndata: 3\n\n")), 7);
	assert_int_equal(count, 2);
}

static void a_line_without_end_is_refused(void **state)
{
	(void)state;
	CLEANUP(sse_fini) struct sse sse;
	static char bytes[1 << 20];
	memset(bytes, 'x', sizeof(bytes));
	sse_init(&sse, note, NULL);
	int r = 0;
	for (int i = 0; i < 40 && !r; i++)
		r = sse_feed(&sse, edged_slice(bytes, sizeof(bytes)));
	assert_int_equal(r, -ENOBUFS);
}

static void messages_become_lines(void **state)
{
	(void)state;
	static const struct {
		const char *data;
		bool safe;
		const char *line;
	} rows[] = {
		{ "{\"topic\":\"a/b\",\"payload\":\"hi\",\"qos\":1}", true, "a/b hi\n" },
		{ "{\"topic\":\"a\",\"payload\":\"\\u001b[2J\\tx\\u009b\"}", true, "a ?[2J\tx?\n" },
		{ "{\"topic\":\"a\",\"payload\":\"\\u001b\"}", false, "a \x1b\n" },
		{ "{\"topic\":\"a\",\"payloadBase64\":\"/wA=\"}", true, "a \xff?\n" },
		{ "{\"topic\":\"a\",\"payloadBase64\":\"aGk=\"}", true, "a hi\n" },
		{ "{\"topic\":\"a\",\"payloadBase64\":\"\"}", true, "a \n" },
		{ "{\"topic\":\"a\",\"payloadBase64\":\"*\"}", true, NULL },
		{ "{\"topic\":\"a\",\"payload\":{\"t\":21}}", true, "a {\"t\":21}\n" },
		{ "{\"topic\":\"a\"}", true, "a \n" },
		{ "{\"topic\":5}", true, NULL },
		{ "[]", true, NULL },
		{ "", true, NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_fini) struct buf line = BUF_EMPTY;
		int r = listen_format(edged_str(rows[i].data), rows[i].safe, &line);
		assert_int_equal(r, rows[i].line ? 0 : -EINVAL);
		if (rows[i].line)
			assert_string_equal(line.ptr, rows[i].line);
	}
}

/* --- tables
 * ----------------------------------------------------------------------------------------------------------
 */

static void columns_line_up(void **state)
{
	(void)state;
	static const char *const titles[] = { "NAME", "STATE", NULL };
	static const char *const cells[] = { "broker", "running",
		"k\xc3\xbc"
		"che",
		"x\x1b[31m", NULL, "" };
	struct table table;
	table_init(&table, titles);
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	table_print(&table, "nothing", out);
	for (size_t i = 0; i < ARRAY_LEN(cells); i++)
		assert_int_equal(table_add(&table, cells[i]), 0);
	table_print(&table, "nothing", out);
	fclose(out);
	assert_string_equal(text, "nothing\n"
	                          "NAME    STATE\n"
	                          "broker  running\n"
	                          "k\xc3\xbc"
	                          "che   x?[31m\n"
	                          "-       -\n");
	free(text);
	table_fini(&table);
}

/* --- command line
 * ------------------------------------------------------------------------------------------------------ */

static const struct verb verbs[] = {
	{ "status", "", 0, 0, "", false, NULL, "text" },
	{ "pub", "TOPIC MESSAGE", 2, 2, "qr", false, NULL, "text" },
	{ "sub", "FILTER...", 1, -1, "n", false, NULL, "text" },
	{ "invite", "", 0, 0, "F", false, NULL, "text" },
	{ 0 },
};

/* Splits at blanks. */
static int parse(struct options *options, const char *line, struct err *err)
{
	static char text[200];
	static char *argv[20];
	int argc = 0;
	argv[argc++] = (char *)"edgectl";
	snprintf(text, sizeof(text), "%s", line);
	char *rest = text, *word;
	while ((word = strsep(&rest, " ")))
		if (*word)
			argv[argc++] = word;
	argv[argc] = NULL;
	return options_parse(options, verbs, argc, argv, err);
}

static void command_lines_are_understood(void **state)
{
	(void)state;
	CLEANUP(options_fini) struct options options;
	unsetenv("EDGED_SOCKET");
	assert_int_equal(parse(&options, "pub -q2 -r --json t -- -5", NULL), 0);
	assert_string_equal(options.verb->name, "pub");
	assert_int_equal(options.qos, 2);
	assert_true(options.retain && options.json);
	assert_string_equal(options.arguments[0], "t");
	assert_string_equal(options.arguments[1], "-5");
	assert_null(options.socket);
	assert_int_equal(parse(&options, "--state /x sub a b --count=3", NULL), 0);
	assert_string_equal(options.socket, "/x/edged.sock");
	assert_int_equal(options.messages, 3);
	assert_int_equal(options.count, 2);
	options_fini(&options);
	assert_int_equal(parse(&options, "invite --for 10m", NULL), 0);
	assert_int_equal(options.time_s, 600);
	setenv("EDGED_SOCKET", "/e", 1);
	assert_int_equal(parse(&options, "status", NULL), 0);
	assert_string_equal(options.socket, "/e");
	assert_int_equal(parse(&options, "status --socket /s", NULL), 0);
	assert_string_equal(options.socket, "/s");
	assert_int_equal(parse(&options, "-h", NULL), 0);
	assert_true(options.help);
}

static void wrong_command_lines_are_explained(void **state)
{
	(void)state;
	static const struct {
		const char *line, *text;
	} rows[] = {
		{ "", "a verb is missing; see edgectl help" },
		{ "sttus", "unknown verb sttus; did you mean status?" },
		{ "quatsch", "unknown verb quatsch; see edgectl help" },
		{ "pub t", "usage: edgectl pub TOPIC MESSAGE" },
		{ "status x", "edgectl status takes no arguments" },
		{ "status -r", "edgectl status takes no --retain" },
		{ "pub -q 3 t m", "--qos takes a number up to 2, not \"3\"" },
		{ "pub -q x t m", "--qos takes a number up to 2, not \"x\"" },
		{ "pub -q", "--qos needs its N" },
		{ "invite --for 5", "--for takes a time such as 90s, 10m or 1h, not \"5\"" },
		{ "status --jsn", "unknown option --jsn; did you mean --json?" },
		{ "status --json=1", "--json takes no value" },
		{ "status -x", "unknown option -x; see edgectl help" },
		{ "status -S", "unknown option -S; see edgectl help" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct options options;
		struct err err = { "" };
		assert_int_equal(parse(&options, rows[i].line, &err), -EINVAL);
		assert_string_equal(err.text, rows[i].text);
	}
}

static void paths_are_encoded(void **state)
{
	(void)state;
	CLEANUP(buf_fini) struct buf buf = BUF_EMPTY;
	assert_int_equal(http_add_encoded(&buf, edged_str("a/b c#\xc3\xbc"), true), 0);
	assert_string_equal(buf.ptr, "a/b%20c%23%C3%BC");
	buf_clear(&buf);
	assert_int_equal(http_add_encoded(&buf, edged_slice("a/+\0", 4), false), 0);
	assert_string_equal(buf.ptr, "a%2F%2B%00");
}

static void refusals_are_told_in_one_sentence(void **state)
{
	(void)state;
	static const struct {
		const char *body, *text;
	} rows[] = {
		{ "{\"title\":\"No such path\",\"detail\":\"/x is served by nobody\"}",
		        "No such path: /x is served by nobody (404)" },
		{ "{\"title\":\"No\"}", "No (404)" },
		{ "{\"message\":\"No shadow exists with name: 'x'\"}",
		        "No shadow exists with name: 'x' (404)" },
		{ "<html>", "edged answered 404 without saying why" },
		{ "", "edged answered 404 without saying why" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err;
		CLEANUP(http_answer_fini) struct http_answer answer = { .status = 404 };
		assert_int_equal(buf_add_str(&answer.body, rows[i].body), 0);
		http_refusal(&answer, &err);
		assert_string_equal(err.text, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_read_however_the_bytes_come),
		cmocka_unit_test(a_reader_may_stop),
		cmocka_unit_test(a_line_without_end_is_refused),
		cmocka_unit_test(messages_become_lines),
		cmocka_unit_test(columns_line_up),
		cmocka_unit_test(command_lines_are_understood),
		cmocka_unit_test(wrong_command_lines_are_explained),
		cmocka_unit_test(paths_are_encoded),
		cmocka_unit_test(refusals_are_told_in_one_sentence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

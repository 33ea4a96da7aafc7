/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that are generated from the daemon's tables are up to date. With EDGED_GENERATE set (`make generate`) they
 * are written instead. Runs in the top folder of the tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "conf/tables.h"

#define BEGIN ".\\\" begin generated\n"
#define END   ".\\\" end generated\n"

static void read_file(const char *path, struct buf *ret)
{
	char bytes[8192];
	size_t n;
	FILE *file = fopen(path, "r");
	if (!file)
		return;
	while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0)
		assert_int_equal(buf_add(ret, bytes, n), 0);
	fclose(file);
}

static void write_file(const char *path, const struct buf *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text->ptr, 1, text->len, file), text->len);
	assert_int_equal(fclose(file), 0);
}

static void compare(const char *path, const struct buf *wanted)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	if (getenv("EDGED_GENERATE"))
		write_file(path, wanted);
	read_file(path, &text);
	if (!edged_slice_eq(buf_slice(&text), buf_slice(wanted)))
		fail_msg("%s is not what the tables say: run `make generate`", path);
}

static void print(int (*printer)(const struct conf *conf, struct buf *out), struct buf *ret)
{
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	struct conf *conf;
	assert_int_equal(conf_new(&conf), 0);
	assert_int_equal(conf_declare_daemon(conf, &findings), 0);
	assert_int_equal(printer(conf, ret), 0);
	conf_free(conf);
}

static void the_sample_is_up_to_date(void **state)
{
	(void)state;
	CLEANUP(buf_fini) struct buf wanted = BUF_EMPTY;
	print(conf_print_sample, &wanted);
	compare("conf/edged.conf", &wanted);
}

static void the_schema_is_up_to_date(void **state)
{
	(void)state;
	CLEANUP(buf_fini) struct buf wanted = BUF_EMPTY;
	print(conf_print_schema, &wanted);
	compare("conf/edged.schema.json", &wanted);
}

static void the_manual_is_up_to_date(void **state)
{
	(void)state;
	CLEANUP(buf_fini) struct buf page = BUF_EMPTY;
	CLEANUP(buf_fini) struct buf wanted = BUF_EMPTY;
	read_file("docs/edged.conf.5", &page);
	assert_true(page.len > 0);
	const char *begin = strstr(page.ptr, BEGIN), *end = strstr(page.ptr, END);
	assert_non_null(begin);
	assert_non_null(end);
	begin += strlen(BEGIN);
	assert_int_equal(buf_add(&wanted, page.ptr, (size_t)(begin - page.ptr)), 0);
	print(conf_print_manual, &wanted);
	assert_int_equal(buf_add_str(&wanted, end), 0);
	compare("docs/edged.conf.5", &wanted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sample_is_up_to_date),
		cmocka_unit_test(the_schema_is_up_to_date),
		cmocka_unit_test(the_manual_is_up_to_date),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

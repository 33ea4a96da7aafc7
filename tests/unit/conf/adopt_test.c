/* SPDX-License-Identifier: Apache-2.0 */
/* conf/adopt: what a reload takes over and what it leaves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "conf/conf.h"
#include "heap.h"

DEFINE_CLEANUP(struct conf *, conf_free)

/* clang-format off */
static const struct edged_setting table[] = {
	{ "soft", EDGED_TYPE_INT, "1", 0, 100, NULL, NULL, "Changes at a reload" },
	{ "hard", EDGED_TYPE_INT, "1", 0, 100, NULL, NULL, "Changes at a restart" },
	{ "text", EDGED_TYPE_STRING, "\"a\"", 0, 100, NULL, NULL, "Changes at a reload" },
	{ 0 }
};
/* clang-format on */
static const char *const soft[] = { "soft", "text", NULL };

static int make(const char *text, const char *name, struct conf **ret)
{
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	int r = conf_new(ret);
	if (!r)
		r = conf_declare(*ret, "demo", table, sizeof(table[0]), NULL, &findings);
	if (!r)
		r = conf_reloadable(*ret, "demo", soft, &findings);
	if (!r)
		r = conf_load_text(*ret, name, edged_str(text), &findings);
	return r ? r : conf_finish(*ret, &findings);
}

static char told[256];

static void note(void *arg, const char *key, bool now)
{
	(void)arg;
	size_t n = strlen(told);
	snprintf(told + n, sizeof(told) - n, "%s%s ", key, now ? "" : "!");
}

static void adopt(struct conf *conf, const char *text, const char *name)
{
	CLEANUP(conf_freep) struct conf *fresh = NULL;
	told[0] = 0;
	assert_int_equal(make(text, name, &fresh), 0);
	assert_int_equal(conf_adopt(conf, fresh, note, NULL), 0);
}

static void assert_printed(const struct conf *conf, const char *part)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	assert_int_equal(conf_print_json(conf, &text), 0);
	if (!strstr(text.ptr, part))
		fail_msg("%s is not in %s", part, text.ptr);
}

static void what_can_change_does_and_the_rest_stays(void **state)
{
	(void)state;
	CLEANUP(conf_freep) struct conf *conf = NULL;
	assert_int_equal(make("{\"demo\":{\"soft\":2,\"hard\":2,\"text\":\"b\"}}", "one", &conf), 0);
	assert_string_equal(conf_json(conf, "demo.text").ptr, "\"b\"");
	adopt(conf, "{\"demo\":{\"soft\":3,\"hard\":3,\"text\":\"b\"}}", "two");
	assert_string_equal(told, "demo.soft demo.hard! ");
	assert_int_equal(conf_int(conf, "demo.soft"), 3);
	assert_int_equal(conf_int(conf, "demo.hard"), 2);
	/* each value says where it came from, also the one whose file has been replaced */
	assert_printed(conf, "\"demo.soft\":{\"value\":3,\"origin\":\"two:1:17\",\"effect\":\"reload\"}");
	assert_printed(conf, "\"demo.hard\":{\"value\":2,\"origin\":\"one:1:26\",\"effect\":\"restart\"}");
	assert_printed(conf, "\"demo.text\":{\"value\":\"b\",\"origin\":\"two:");
	adopt(conf, "{\"demo\":{\"text\":\"c\"}}", "three");
	assert_string_equal(told, "demo.soft demo.hard! demo.text ");
	assert_int_equal(conf_int(conf, "demo.soft"), 1);
	assert_string_equal(conf_json(conf, "demo.text").ptr, "\"c\"");
	assert_printed(conf, "\"demo.soft\":{\"value\":1,\"origin\":\"default\"");
	assert_printed(conf, "\"origin\":\"one:1:26\"");
	adopt(conf, "{\"demo\":{\"text\":\"c\",\"hard\":2}}", "four"); /* back to what is in effect */
	assert_string_equal(told, "");
	assert_printed(conf, "\"demo.hard\":{\"value\":2,\"origin\":\"four:");
}

/* A plugin that comes later reads what the last reload loaded. */
static void a_later_section_gets_the_new_values(void **state)
{
	(void)state;
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	CLEANUP(conf_freep) struct conf *conf = NULL;
	assert_int_equal(make("{\"plugins\":{\"late\":{\"soft\":7,\"hard\":8}}}", "one", &conf), 0);
	adopt(conf, "{\"plugins\":{\"late\":{\"soft\":9}}}", "two");
	assert_int_equal(conf_declare(conf, "plugins.late", table, sizeof(table[0]), NULL, &findings), 0);
	assert_int_equal(conf_int(conf, "plugins.late.soft"), 9);
	assert_int_equal(conf_int(conf, "plugins.late.hard"), 1);
}

static void a_name_that_is_no_row_is_found(void **state)
{
	(void)state;
	static const char *const wrong[] = { "soft", "sfot", NULL };
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	CLEANUP(conf_freep) struct conf *conf = NULL;
	assert_int_equal(make("{}", "one", &conf), 0);
	assert_int_equal(conf_reloadable(conf, "demo", NULL, &findings), 0);
	assert_int_equal(conf_reloadable(conf, "demo", wrong, &findings), -EINVAL);
	assert_non_null(strstr(findings.text.ptr, "sfot"));
}

static void lack_of_memory_changes_nothing(void **state)
{
	(void)state;
	if (!heap_can_fail())
		skip();
	CLEANUP(conf_freep) struct conf *conf = NULL, *fresh = NULL;
	assert_int_equal(make("{\"demo\":{\"soft\":2}}", "one", &conf), 0);
	assert_int_equal(make("{\"demo\":{\"soft\":3}}", "two", &fresh), 0);
	told[0] = 0;
	heap_fail_at(0);
	int r = conf_adopt(conf, fresh, note, NULL);
	heap_fail_at(-1);
	assert_int_equal(r, -ENOMEM);
	assert_string_equal(told, "");
	assert_int_equal(conf_int(conf, "demo.soft"), 2);
	assert_printed(conf, "\"origin\":\"one:");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_can_change_does_and_the_rest_stays),
		cmocka_unit_test(a_later_section_gets_the_new_values),
		cmocka_unit_test(a_name_that_is_no_row_is_found),
		cmocka_unit_test(lack_of_memory_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

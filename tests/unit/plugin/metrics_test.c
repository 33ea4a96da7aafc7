/* SPDX-License-Identifier: Apache-2.0 */
/* plugin/metrics: the registry and its Prometheus text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/log.h"
#include "heap.h"
#include "plugin/metrics.h"

static int64_t forty_two(void *arg)
{
	return *(int *)arg;
}

static void figures_are_printed_by_family(void **state)
{
	(void)state;
	struct metrics *metrics;
	CLEANUP(buf_fini) struct buf out = BUF_EMPTY;
	int number = 42;
	assert_int_equal(metrics_new(&metrics), 0);
	int64_t *b1 = metrics_figure(metrics, "x", EDGED_COUNTER, "b_total", "qos=\"1\"", "B\nand \\ more");
	int64_t *a = metrics_figure(metrics, "x", EDGED_GAUGE, "a", NULL, "A");
	int64_t *b0 = metrics_figure(metrics, "y", EDGED_COUNTER, "b_total", "qos=\"0\",say=\"\\\"\"", "B");
	assert_int_equal(metrics_read(metrics, "y", EDGED_GAUGE, "c", NULL, NULL, forty_two, &number), 0);
	edged_metric_add(b1, 3);
	edged_metric_add(b1, 4);
	edged_metric_set(a, -5);
	edged_metric_add(b0, 1);
	assert_int_equal(metrics_print(metrics, &out), 0);
	assert_string_equal(out.ptr, "# HELP edged_a A\n"
	                             "# TYPE edged_a gauge\n"
	                             "edged_a -5\n"
	                             "# HELP edged_b_total B\n"
	                             "# TYPE edged_b_total counter\n"
	                             "edged_b_total{qos=\"0\",say=\"\\\"\"} 1\n"
	                             "edged_b_total{qos=\"1\"} 7\n"
	                             "# HELP edged_c \n"
	                             "# TYPE edged_c gauge\n"
	                             "edged_c 42\n");
	metrics_remove(metrics, "y");
	buf_clear(&out);
	assert_int_equal(metrics_print(metrics, &out), 0);
	assert_string_equal(out.ptr, "# HELP edged_a A\n"
	                             "# TYPE edged_a gauge\n"
	                             "edged_a -5\n"
	                             "# HELP edged_b_total B\\nand \\\\ more\n"
	                             "# TYPE edged_b_total counter\n"
	                             "edged_b_total{qos=\"1\"} 7\n");
	metrics_free(metrics);
}

/* Whatever a plugin asks for, it gets a word it may write to, and the page stays well-formed. */
static void bad_figures_go_nowhere(void **state)
{
	(void)state;
	static const struct {
		enum edged_metric_type type;
		const char *name, *labels;
	} rows[] = {
		{ EDGED_COUNTER, "a", NULL },    /* twice */
		{ EDGED_GAUGE, "a", "x=\"1\"" }, /* another type in the family */
		{ EDGED_GAUGE, "9", NULL },
		{ EDGED_GAUGE, "", NULL },
		{ EDGED_GAUGE, NULL, NULL },
		{ EDGED_GAUGE, "a b", NULL },
		{ EDGED_GAUGE, "b", "x" },
		{ EDGED_GAUGE, "b", "x=1" },
		{ EDGED_GAUGE, "b", "x=\"1" },
		{ EDGED_GAUGE, "b", "x=\"1\"," },
		{ EDGED_GAUGE, "b", "x=\"1\"y=\"2\"" },
		{ EDGED_GAUGE, "b", "x=\"\\q\"" },
		{ EDGED_GAUGE, "b", "x=\"a\nb\"" },
		{ EDGED_GAUGE, "b", "x=\"\\" },
	};
	struct metrics *metrics;
	CLEANUP(buf_fini) struct buf out = BUF_EMPTY;
	log_set_level(EDGED_ERROR);
	assert_int_equal(metrics_new(&metrics), 0);
	metrics_figure(metrics, "x", EDGED_COUNTER, "a", NULL, "A");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		edged_metric_add(
		        metrics_figure(metrics, "y", rows[i].type, rows[i].name, rows[i].labels, ""), 99);
	assert_int_equal(metrics_print(metrics, &out), 0);
	assert_string_equal(out.ptr, "# HELP edged_a A\n# TYPE edged_a counter\nedged_a 0\n");
	metrics_free(metrics);
}

static void one_owner_cannot_have_all(void **state)
{
	(void)state;
	struct metrics *metrics;
	char name[16];
	int number = 1;
	assert_int_equal(metrics_new(&metrics), 0);
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		assert_int_equal(
		        metrics_read(metrics, "x", EDGED_GAUGE, name, NULL, NULL, forty_two, &number), 0);
	}
	assert_int_equal(
	        metrics_read(metrics, "x", EDGED_GAUGE, "g", NULL, NULL, forty_two, &number), -ENOSPC);
	assert_int_equal(metrics_read(metrics, "y", EDGED_GAUGE, "g", NULL, NULL, forty_two, &number), 0);
	metrics_free(metrics);
}

static void lack_of_memory_is_survived(void **state)
{
	(void)state;
	if (!heap_can_fail())
		skip();
	for (long n = 0;; n++) {
		struct metrics *metrics = NULL;
		heap_fail_at(n);
		if (metrics_new(&metrics) == 0)
			edged_metric_add(metrics_figure(metrics, "x", EDGED_GAUGE, "a", "b=\"c\"", "d"), 1);
		bool failed = heap_failed();
		heap_fail_at(-1);
		metrics_free(metrics);
		if (!failed)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(figures_are_printed_by_family),
		cmocka_unit_test(bad_figures_go_nowhere),
		cmocka_unit_test(one_owner_cannot_have_all),
		cmocka_unit_test(lack_of_memory_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

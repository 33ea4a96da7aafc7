/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of AWS IoT, beside those of the configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "strict.h"

static void limits_are_lowered_and_never_raised(void **state)
{
	(void)state;
	struct service_deps high = { .limits = { 1 << 20, 32 },
		.in_flight = 1000,
		.rate = 100,
		.payload = 1 << 20 },
	                    low = { .limits = { 2000, 3 }, .in_flight = 4, .rate = 5, .payload = 6000 },
	                    any = { 0 };
	strict_limits(&high);
	strict_limits(&low);
	strict_limits(&any);
	const struct {
		const char *rule;
		size_t high, aws, low, own;
	} rows[] = {
		{ "size of a document", high.limits.bytes, 30720, low.limits.bytes, 2000 },
		{ "levels", high.limits.depth, 8, low.limits.depth, 3 },
		{ "in flight", high.in_flight, 10, low.in_flight, 4 },
		{ "in a second", high.rate, 20, low.rate, 5 },
		{ "size of a request", high.payload, 131072, low.payload, 6000 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].high != rows[i].aws || rows[i].low != rows[i].own)
			fail_msg("%s: %zu and %zu", rows[i].rule, rows[i].high, rows[i].low);
	assert_int_equal(any.rate, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(limits_are_lowered_and_never_raised) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* store/squeeze: what goes in comes out, records become much smaller, and nothing that is read back overruns anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/squeeze.h"

static uint64_t seed = 1;

static unsigned dice(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % below;
}

/* Blocks of their exact sizes, so that the address sanitizer sees one byte too many. Returns the squeezed size, 0: none. */
static size_t there_and_back(const char *bytes, size_t n, size_t room)
{
	char *out = malloc(room ? room : 1), *back = malloc(n ? n : 1);
	size_t m = squeeze(edged_slice(bytes, n), out, room);
	assert_true(m <= room);
	if (m) {
		char *exact = malloc(m);
		memcpy(exact, out, m);
		assert_true(unsqueeze(edged_slice(exact, m), back, n));
		assert_memory_equal(back, bytes, n);
		assert_false(unsqueeze(edged_slice(exact, m), back, n ? n - 1 : 1));
		assert_false(unsqueeze(edged_slice(exact, m - 1), back, n));
		free(exact);
	}
	free(out);
	free(back);
	return m;
}

static void what_goes_in_comes_out(void **state)
{
	(void)state;
	enum { MOST = 9000 };
	static char bytes[MOST];
	for (int round = 0; round < 3000; round++) {
		size_t n = dice(round % 2 ? 60 : MOST);
		unsigned letters = 1 + dice(round % 3 ? 3 : 255);
		for (size_t i = 0; i < n; i++)
			bytes[i] = i && dice(4) ? bytes[dice((unsigned)i)] : (char)dice(letters);
		size_t needed = there_and_back(bytes, n, 2 * MOST);
		assert_true(needed > 0 && needed <= n + n / 200 + 8);
		assert_int_equal(there_and_back(bytes, n, needed), needed);
		assert_int_equal(there_and_back(bytes, n, needed - 1), 0);
	}
}

static void repetitions_of_any_length_vanish(void **state)
{
	(void)state;
	static char bytes[300000];
	for (size_t n = 20; n < sizeof(bytes); n = n * 3 / 2) {
		memset(bytes, 'a', n);
		assert_true(there_and_back(bytes, n, n) <= n / 250 + 20);
	}
}

/* As the broker writes them: 64 bytes nobody can squeeze, and 80 about them. */
static void records_take_little_more_than_their_payload(void **state)
{
	(void)state;
	static char bytes[60 * 200];
	size_t n = 0;
	for (unsigned i = 0; i < 60; i++) {
		char number = (char)(i + 1), payload[64];
		for (size_t k = 0; k < sizeof(payload); k++)
			payload[k] = (char)dice(256);
		n += (size_t)snprintf(bytes + n, sizeof(bytes) - n,
		        "##%c row building-7/sensor-%04u/temperature", number, dice(10000));
		memcpy(bytes + n, payload, sizeof(payload));
		n += sizeof(payload);
		n += (size_t)snprintf(bytes + n, sizeof(bytes) - n, "gateway-000017 queue %c", number);
	}
	size_t m = there_and_back(bytes, n, n);
	assert_true(m < 60 * (64 + 24));
}

static void any_bytes_are_read_without_harm(void **state)
{
	(void)state;
	for (int round = 0; round < 100000; round++) {
		size_t n = dice(40), len = dice(200);
		char *bytes = malloc(n ? n : 1), *out = malloc(len ? len : 1);
		for (size_t i = 0; i < n; i++)
			bytes[i] = (char)dice(dice(2) ? 256 : 20);
		(void)unsqueeze(edged_slice(bytes, n), out, len);
		free(bytes);
		free(out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_in_comes_out),
		cmocka_unit_test(repetitions_of_any_length_vanish),
		cmocka_unit_test(records_take_little_more_than_their_payload),
		cmocka_unit_test(any_bytes_are_read_without_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

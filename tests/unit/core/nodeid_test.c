/* SPDX-License-Identifier: Apache-2.0 */
/* Node ids: there and back, and what a typing error does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/nodeid.h"

static void fill(uint8_t hash[32], unsigned seed)
{
	for (unsigned i = 0; i < 32; i++)
		hash[i] = (uint8_t)((seed = seed * 1103515245u + 12345u) >> 16);
}

static void ids_have_a_fixed_form(void **state)
{
	(void)state;
	/* base32 of "\0\1..\37" from coreutils' base32, check characters worked out by hand for the first
	 * group */
	uint8_t hash[32];
	for (unsigned i = 0; i < 32; i++)
		hash[i] = (uint8_t)i;
	char id[NODE_ID_LEN + 1];
	node_id_format(hash, id);
	char plain[53] = "";
	for (int g = 0; g < 4; g++)
		memcpy(plain + (size_t)g * 13, id + (size_t)g * 14, 13);
	assert_string_equal(plain, "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq");
	assert_int_equal(strlen(id), NODE_ID_LEN);
}

static void ids_go_there_and_back(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 200; seed++) {
		uint8_t hash[32], back[32];
		char id[NODE_ID_LEN + 1];
		fill(hash, seed);
		node_id_format(hash, id);
		assert_true(node_id_valid(edged_str(id)));
		assert_true(node_id_parse(edged_str(id), back));
		assert_memory_equal(hash, back, 32);
	}
}

static void every_wrong_character_is_noticed(void **state)
{
	(void)state;
	uint8_t hash[32];
	char id[NODE_ID_LEN + 1];
	fill(hash, 7);
	node_id_format(hash, id);
	for (size_t i = 0; i < NODE_ID_LEN; i++) {
		char right = id[i];
		for (int c = 0; c < 256; c++) {
			if ((char)c == right)
				continue;
			id[i] = (char)c;
			assert_false(node_id_valid(edged_slice(id, NODE_ID_LEN)));
		}
		id[i] = right;
	}
	assert_false(node_id_valid(edged_slice(id, NODE_ID_LEN - 1)));
	assert_false(node_id_valid(edged_str("")));
}

static void swapped_neighbours_are_noticed(void **state)
{
	(void)state;
	unsigned swaps = 0, missed = 0;
	for (unsigned seed = 0; seed < 50; seed++) {
		uint8_t hash[32];
		char id[NODE_ID_LEN + 1];
		fill(hash, seed);
		node_id_format(hash, id);
		for (size_t i = 0; i + 1 < NODE_ID_LEN; i++) {
			if (id[i] == id[i + 1] || i % 14 == 13)
				continue;
			char c = id[i];
			id[i] = id[i + 1];
			id[i + 1] = c;
			swaps++;
			missed += node_id_valid(edged_str(id));
			id[i + 1] = id[i];
			id[i] = c;
		}
	}
	assert_true(swaps > 1000);
	assert_true(missed * 50 < swaps);
}

static void padding_must_be_zero(void **state)
{
	(void)state;
	/* All zero is valid; with another last digit (and its right check character) it would be a second
	 * name. */
	uint8_t hash[32] = { 0 };
	char id[NODE_ID_LEN + 1];
	node_id_format(hash, id);
	assert_true(node_id_valid(edged_str(id)));
	for (int last = 1; last < 16; last++) {
		id[54] = "abcdefghijklmnopqrstuvwxyz234567"[last];
		for (int c = 0; c < 32; c++) {
			id[55] = "abcdefghijklmnopqrstuvwxyz234567"[c];
			assert_false(node_id_valid(edged_str(id)));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_have_a_fixed_form),
		cmocka_unit_test(ids_go_there_and_back),
		cmocka_unit_test(every_wrong_character_is_noticed),
		cmocka_unit_test(swapped_neighbours_are_noticed),
		cmocka_unit_test(padding_must_be_zero),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "index.h"
#include "rest.h"

static struct object *add(struct index *index, const char *key, size_t bytes)
{
	const struct object object = { .key = edged_str(key), .bytes = bytes, .type = "text/plain" };
	struct object *added = index_add(index, &object);
	assert_non_null(added);
	return added;
}

static void objects_are_found_by_key_and_go_in_the_order_of_use(void **state)
{
	(void)state;
	struct index index;
	index_init(&index);
	struct object *a = add(&index, "a", 1), *ab = add(&index, "ab", 10), *b = add(&index, "b", 100);
	assert_ptr_equal(index_find(&index, edged_str("a")), a);
	assert_ptr_equal(index_find(&index, edged_str("ab")), ab);
	assert_null(index_find(&index, edged_str("abc")));
	assert_null(index_find(&index, edged_slice("a\0", 2)));
	assert_int_equal(index.count, 3);
	assert_int_equal(index.bytes, 111);
	index_use(&index, a);
	assert_ptr_equal(TAILQ_FIRST(&index.use), ab);
	index_remove(&index, ab);
	assert_ptr_equal(TAILQ_FIRST(&index.use), b);
	assert_null(index_find(&index, edged_str("ab")));
	assert_int_equal(index.bytes, 101);
	index_clear(&index);
	assert_int_equal(index.count + index.bytes, 0);
	assert_null(index_find(&index, edged_str("a")));
}

static void the_key_is_copied(void **state)
{
	(void)state;
	struct index index;
	char key[] = "key";
	index_init(&index);
	add(&index, key, 0);
	key[0] = 'x';
	assert_non_null(index_find(&index, edged_str("key")));
	index_clear(&index);
}

static void rows_are_read_as_written_and_others_are_refused(void **state)
{
	(void)state;
	struct object object = { .tag = 0x0102030405060708,
		.stored_ms = 2,
		.expires_ms = UINT64_MAX,
		.bytes = 4 },
	              back = { .tag = 0 };
	uint8_t row[OBJECT_ROW_MAX];
	memset(object.type, 't', OBJECT_TYPE_MAX);
	size_t n = object_write(&object, row);
	assert_int_equal(n, OBJECT_ROW_MAX);
	assert_true(object_read(edged_slice(row, n), &back));
	assert_true(back.tag == object.tag && back.stored_ms == 2 && back.expires_ms == UINT64_MAX &&
	            back.bytes == 4);
	assert_string_equal(back.type, object.type);
	object.type[0] = '\0';
	n = object_write(&object, row);
	assert_true(object_read(edged_slice(row, n), &back));
	assert_string_equal(back.type, "");
	assert_false(object_read(edged_slice(row, n - 1), &back));
	assert_false(object_read(edged_slice(row, 0), &back));
	uint8_t longer[OBJECT_ROW_MAX + 1] = { 1 };
	assert_false(object_read(edged_slice(longer, sizeof(longer)), &back));
	row[0]++;
	assert_false(object_read(edged_slice(row, n), &back));
}

static void lives_and_tags_are_read_from_headers(void **state)
{
	(void)state;
	static const struct {
		const char *header;
		int64_t seconds;
	} lives[] = { { "max-age=60", 60 }, { "public, max-age=60", 60 }, { "Max-Age=7,public", 7 },
		{ "max-age=60, s-maxage=5", 5 }, { "s-maxage=x, max-age=60", -2 }, { "max-age=", -2 },
		{ "max-age=1x", -2 }, { "max-age", -2 }, { "", -1 }, { "no-max-age=5", -1 },
		{ "xmax-age=5", -1 }, { "max-age=99999999999999999999", 9999999999 } };
	for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++)
		assert_int_equal(rest_life(edged_str(lives[i].header)), lives[i].seconds);
	assert_true(rest_has_tag(edged_str("*"), 1));
	assert_true(rest_has_tag(edged_str("\"0000000000000001\""), 1));
	assert_true(rest_has_tag(edged_str("\"x\", W/\"0000000000000001\""), 1));
	assert_false(rest_has_tag(edged_str("0000000000000001"), 1));
	assert_false(rest_has_tag(edged_str("\"0000000000000002\""), 1));
	assert_false(rest_has_tag(edged_str(""), 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_found_by_key_and_go_in_the_order_of_use),
		cmocka_unit_test(the_key_is_copied),
		cmocka_unit_test(rows_are_read_as_written_and_others_are_refused),
		cmocka_unit_test(lives_and_tags_are_read_from_headers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* CPACE-RISTR255-SHA512 with the vectors of draft-irtf-cfrg-cpace-21, appendix B.3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cluster/cpace.h"

static const char generator_hex[] = "222b6b195fe84b1652badb6f6a3ae3d24341e7306967f0b8115b40d5698c7e56";
static const char ya_hex[] = "da3d23700a9e5699258aef94dc060dfda5ebb61f02a5ea77fad53f4ff0976d08";
static const char share_a_hex[] = "d6bac480f2c386c394efc7c47adb9925dcd2630b64f240c50f8d0eec482b9157";
static const char yb_hex[] = "d2316b454718c35362d83d69df6320f38578ed5984651435e2949762d900b80d";
static const char share_b_hex[] = "3ea7e0b19560d7c0b0f5734f63b955286dfa8232b5ebe63324e2d9e7433f7258";
static const char isk_hex[] = "b69effbf61b51d56401c0f65601abe428de8206feaaf0e32198896dcae7b35cd"
                              "2b38950a39dfd5d4a79164614c2984f7daa460b588c1e80c3fa2068af7900447";
static const char scalar_hex[] = "7cd0e075fa7955ba52c02759a6c90dbbfc10e6d40aea8d283e407d88cf538a05";
static const char valid_hex[] = "2c3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d654b4a51c";
static const char product_hex[] = "7c13645fe790a468f62c39beb7388e541d8405d1ade69d1778c5fe3e7f6b600e";
static const char invalid_hex[] = "2b3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d654b4a51c";

static void hex(const char *text, uint8_t *ret, size_t n)
{
	assert_int_equal(strlen(text), 2 * n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(sscanf(text + 2 * i, "%2hhx", &ret[i]), 1);
}

struct vector {
	struct cpace_input input;
	uint8_t sid[16], generator[32], ya[32], yb[32], share_a[32], share_b[32], isk[64];
	struct cpace_sent a, b;
};

static void load(struct vector *v)
{
	hex("7e4b4791d6a8ef019b936c79fb7f2c57", v->sid, 16);
	v->input = (struct cpace_input){ edged_str("Password"),
		edged_str("\x0b"
		          "A_initiator\x0b"
		          "B_responder"),
		edged_slice(v->sid, 16) };
	hex(generator_hex, v->generator, 32);
	hex(ya_hex, v->ya, 32);
	hex(yb_hex, v->yb, 32);
	hex(share_a_hex, v->share_a, 32);
	hex(share_b_hex, v->share_b, 32);
	hex(isk_hex, v->isk, 64);
	v->a = (struct cpace_sent){ v->share_a, edged_str("ADa") };
	v->b = (struct cpace_sent){ v->share_b, edged_str("ADb") };
}

static void the_generator_is_that_of_the_draft(void **state)
{
	struct vector v;
	uint8_t got[CPACE_POINT];
	(void)state;
	load(&v);
	assert_int_equal(cpace_generator(&v.input, got), 0);
	assert_memory_equal(got, v.generator, CPACE_POINT);
	/* each input counts, and where one ends and the next begins */
	const struct cpace_input others[] = {
		{ edged_str("Passwore"), v.input.channel, v.input.session },
		{ v.input.secret, edged_slice(v.input.channel.ptr, v.input.channel.len - 1),
		        v.input.session },
		{ v.input.secret, v.input.channel, edged_slice(v.sid, 15) },
		{ v.input.secret, edged_str(""), edged_str("") },
	};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(cpace_generator(&others[i], got), 0);
		assert_memory_not_equal(got, v.generator, CPACE_POINT);
	}
}

static void lengths_of_more_than_a_byte(void **state)
{
	char long_text[300];
	uint8_t first[CPACE_POINT], second[CPACE_POINT];
	(void)state;
	memset(long_text, 'x', sizeof(long_text));
	/* 128 and 300 bytes have lengths of two bytes; a secret as long as a block needs no padding */
	const struct cpace_input a = { edged_slice(long_text, 128), edged_slice(long_text, 300),
		edged_str("") },
	                         b = { edged_slice(long_text, 128), edged_slice(long_text, 299),
		                         edged_str("x") };
	assert_int_equal(cpace_generator(&a, first), 0);
	assert_int_equal(cpace_generator(&b, second), 0);
	assert_memory_not_equal(first, second, CPACE_POINT);
}

static void both_sides_get_the_key_of_the_draft(void **state)
{
	struct vector v;
	uint8_t share[CPACE_POINT], isk[CPACE_ISK];
	(void)state;
	load(&v);
	assert_int_equal(cpace_share(v.ya, v.generator, share), 0);
	assert_memory_equal(share, v.share_a, CPACE_POINT);
	assert_int_equal(cpace_share(v.yb, v.generator, share), 0);
	assert_memory_equal(share, v.share_b, CPACE_POINT);
	assert_int_equal(cpace_isk(v.ya, v.share_b, v.input.session, &v.a, &v.b, isk), 0);
	assert_memory_equal(isk, v.isk, CPACE_ISK);
	memset(isk, 0, sizeof(isk));
	assert_int_equal(cpace_isk(v.yb, v.share_a, v.input.session, &v.a, &v.b, isk), 0);
	assert_memory_equal(isk, v.isk, CPACE_ISK);
}

/* The neutral element, what is no point at all, and other encodings than the one of a point. */
static void points_that_are_none_are_refused(void **state)
{
	struct vector v;
	uint8_t scalar[CPACE_SCALAR], point[CPACE_POINT], got[CPACE_ISK];
	(void)state;
	load(&v);
	hex(scalar_hex, scalar, 32);
	hex(valid_hex, point, 32);
	assert_int_equal(cpace_share(scalar, point, got), 0);
	hex(product_hex, point, 32);
	assert_memory_equal(got, point, CPACE_POINT);
	hex(invalid_hex, point, 32);
	assert_int_equal(cpace_isk(scalar, point, v.input.session, &v.a, &v.b, got), -EINVAL);
	memset(point, 0, sizeof(point));
	assert_int_equal(cpace_isk(scalar, point, v.input.session, &v.a, &v.b, got), -EINVAL);
	memset(point, 0xff, sizeof(point));
	assert_int_equal(cpace_isk(scalar, point, v.input.session, &v.a, &v.b, got), -EINVAL);
	hex(valid_hex, point, 32);
	point[31] |= 0x80;
	assert_int_equal(cpace_isk(scalar, point, v.input.session, &v.a, &v.b, got), -EINVAL);
	/* points of small order of the curve beneath, as they are known from X25519 */
	for (uint8_t low = 1; low < 4; low++) {
		memset(point, 0, sizeof(point));
		point[0] = low;
		assert_int_equal(cpace_isk(scalar, point, v.input.session, &v.a, &v.b, got), -EINVAL);
	}
}

static void tags_are_of_one_side_and_one_run(void **state)
{
	struct vector v;
	uint8_t a[CPACE_TAG], b[CPACE_TAG], again[CPACE_TAG];
	(void)state;
	load(&v);
	assert_int_equal(cpace_tag(v.isk, v.input.session, &v.a, a), 0);
	assert_int_equal(cpace_tag(v.isk, v.input.session, &v.b, b), 0);
	assert_memory_not_equal(a, b, CPACE_TAG);
	assert_true(cpace_tag_fits(a, edged_slice(a, CPACE_TAG)));
	assert_false(cpace_tag_fits(a, edged_slice(a, CPACE_TAG - 1)));
	assert_false(cpace_tag_fits(a, edged_slice(b, CPACE_TAG)));
	assert_int_equal(cpace_tag(v.isk, edged_slice(v.sid, 15), &v.a, again), 0);
	assert_memory_not_equal(a, again, CPACE_TAG);
	v.isk[63] ^= 1;
	assert_int_equal(cpace_tag(v.isk, v.input.session, &v.a, again), 0);
	assert_memory_not_equal(a, again, CPACE_TAG);
}

static void scalars_are_fresh(void **state)
{
	uint8_t a[CPACE_SCALAR], b[CPACE_SCALAR];
	(void)state;
	assert_int_equal(cpace_scalar(a), 0);
	assert_int_equal(cpace_scalar(b), 0);
	assert_memory_not_equal(a, b, CPACE_SCALAR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_generator_is_that_of_the_draft),
		cmocka_unit_test(lengths_of_more_than_a_byte),
		cmocka_unit_test(both_sides_get_the_key_of_the_draft),
		cmocka_unit_test(points_that_are_none_are_refused),
		cmocka_unit_test(tags_are_of_one_side_and_one_run),
		cmocka_unit_test(scalars_are_fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

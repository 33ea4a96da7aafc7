/* SPDX-License-Identifier: Apache-2.0 */
/* Join tokens, base64url, and addresses for others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/address.h"
#include "cluster/token.h"

static struct join_token sample(void)
{
	struct join_token token = { .expires = 1800000000, .secret = { 1, 2, 3, 255 } };
	uint8_t hash[32] = { 7 };
	node_id_format(hash, token.account_id);
	hash[5] = 9;
	node_id_format(hash, token.node_id);
	snprintf(token.addresses[0], sizeof(token.addresses[0]), "%s", "192.0.2.7:8443");
	snprintf(token.addresses[1], sizeof(token.addresses[1]), "%s", "[2001:db8::1]:65535");
	snprintf(token.addresses[2], sizeof(token.addresses[2]), "%s", "127.0.0.1:1");
	return token;
}

static void tokens_go_there_and_back(void **state)
{
	(void)state;
	struct join_token token = sample(), back;
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY, spaced = BUF_EMPTY;
	assert_int_equal(token_write(&token, &text), 0);
	assert_true(text.len < 220);
	assert_int_equal(buf_addf(&spaced, "  \t%s\r\n", text.ptr), 0);
	assert_int_equal(token_read(buf_slice(&spaced), &back, NULL), 0);
	assert_memory_equal(&token, &back, sizeof(token));
}

static void every_changed_character_is_noticed(void **state)
{
	(void)state;
	struct join_token token = sample(), back;
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	struct err err;
	assert_int_equal(token_write(&token, &text), 0);
	for (size_t i = 0; i < text.len; i++) {
		char right = text.ptr[i];
		text.ptr[i] = right == 'A' ? 'B' : 'A';
		assert_int_equal(token_read(buf_slice(&text), &back, &err), -EINVAL);
		text.ptr[i] = right;
		assert_int_equal(token_read(edged_slice(text.ptr, i), &back, &err), -EINVAL);
	}
	assert_int_equal(buf_add_str(&text, "A"), 0);
	assert_int_equal(token_read(buf_slice(&text), &back, &err), -EINVAL);
	assert_non_null(strstr(err.text, "copied"));
	assert_int_equal(token_read(edged_str("edged2.AAAA"), &back, &err), -EINVAL);
	assert_non_null(strstr(err.text, "another version"));
	assert_int_equal(token_read(edged_str("hello"), &back, &err), -EINVAL);
	assert_non_null(strstr(err.text, "no join token"));
	assert_int_equal(token_read(edged_str(""), &back, &err), -EINVAL);
	assert_int_equal(token_read(edged_slice("\0\0\0", 3), &back, &err), -EINVAL);
}

static void only_addresses_are_written(void **state)
{
	(void)state;
	static const char *const bad[] = { "host:80", "1.2.3.4", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536",
		"[::1:80", "[]:80", "[fe80::1%eth0]:80", ":80", "1.2.3.4:8x" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
		struct join_token token = sample();
		snprintf(token.addresses[1], sizeof(token.addresses[1]), "%s", bad[i]);
		assert_int_equal(token_write(&token, &text), -EINVAL);
	}
}

static void base64_is_strict(void **state)
{
	(void)state;
	static const struct {
		const char *plain, *text;
	} rows[] = { { "", "" }, { "f", "Zg" }, { "fo", "Zm8" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg" },
		{ "\xff\xfe\xfb", "__77" } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_fini) struct buf out = BUF_EMPTY, back = BUF_EMPTY;
		assert_int_equal(base64_write(edged_str(rows[i].plain), &out), 0);
		assert_true(edged_slice_is(buf_slice(&out), rows[i].text));
		assert_int_equal(base64_read(edged_str(rows[i].text), &back), 0);
		assert_true(edged_slice_is(buf_slice(&back), rows[i].plain));
	}
	static const char *const bad[] = { "Z", "Zh", "Zm9", "Zg==", "Zm9v YQ", "Zm+v" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CLEANUP(buf_fini) struct buf back = BUF_EMPTY;
		assert_int_equal(base64_read(edged_str(bad[i]), &back), -EINVAL);
	}
}

static void wildcards_become_addresses(void **state)
{
	(void)state;
	char all[8][64];
	assert_int_equal(address_expand("192.0.2.7:8443", all, 0, 8), 1);
	assert_string_equal(all[0], "192.0.2.7:8443");
	assert_int_equal(address_expand("192.0.2.8:8443", all, 1, 1), 1);
	unsigned n = address_expand("0.0.0.0:77", all, 0, 8);
	assert_true(n >= 1);
	assert_string_equal(all[n - 1], "127.0.0.1:77");
	for (unsigned i = 0; i < n; i++)
		assert_null(strstr(all[i], "0.0.0.0"));
	assert_int_equal(address_expand("unix", all, 0, 8), 0);
}

static void sources_are_hosts_or_networks(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "192.0.2.7:4242", "192.0.2.7" },
		{ "[2001:db8:1:2:3:4:5:6]:4242", "2001:db8:1:2::" },
		{ "[fe80::1%eth0]:4242", "fe80::" },
		{ "unix", "unix" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char source[64];
		address_source(rows[i][0], source);
		assert_string_equal(source, rows[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_go_there_and_back),
		cmocka_unit_test(every_changed_character_is_noticed),
		cmocka_unit_test(only_addresses_are_written),
		cmocka_unit_test(base64_is_strict),
		cmocka_unit_test(wildcards_become_addresses),
		cmocka_unit_test(sources_are_hosts_or_networks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What others are told of where a node listens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "cluster/addr.h"
#include "cluster/bound.h"
#include "cluster/faces.h"

static struct bound bound_to(const char *a, const char *b)
{
	char listeners[2][64] = { "", "" };
	struct bound bound;
	snprintf(listeners[0], sizeof(listeners[0]), "%s", a);
	snprintf(listeners[1], sizeof(listeners[1]), "%s", b ? b : "");
	bound_read(&bound, listeners, b ? 2 : 1);
	return bound;
}

static bool covers(const struct bound *bound, const char *text)
{
	struct peer_addr addr;
	assert_int_equal(addr_parse(text, &addr), 0);
	return bound_covers(bound, &addr);
}

/* The addresses that are told, one after the other. */
static const char *told(const struct bound *bound)
{
	static char text[8 * ADDR_TEXT];
	struct peer_addr addresses[8];
	unsigned n = bound_addresses(bound, addresses, 8);
	size_t len = 0;
	*text = '\0';
	for (unsigned i = 0; i < n; i++) {
		char one[ADDR_TEXT];
		addr_format(&addresses[i], one);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "", one);
	}
	return text;
}

static void one_address_is_told_alone(void **state)
{
	(void)state;
	struct bound bound = bound_to("192.0.2.7:8443", NULL);
	assert_string_equal(told(&bound), "192.0.2.7:8443");
	assert_false(bound_is_local(&bound));
	assert_int_equal(bound_port(&bound), 8443);
	assert_true(covers(&bound, "192.0.2.7:1"));
	assert_false(covers(&bound, "192.0.2.8:8443"));
	assert_false(covers(&bound, "[2001:db8::7]:8443"));
}

static void loopback_is_told_when_it_is_all(void **state)
{
	(void)state;
	struct bound bound = bound_to("127.0.0.1:8443", "[::1]:9443");
	assert_string_equal(told(&bound), "127.0.0.1:8443 [::1]:9443");
	assert_true(bound_is_local(&bound));
	bound = bound_to("127.0.0.1:8443", "[2001:db8::7]:9443");
	assert_string_equal(told(&bound), "[2001:db8::7]:9443");
	assert_false(bound_is_local(&bound));
}

static void a_wildcard_is_all_of_the_host(void **state)
{
	(void)state;
	struct peer_addr host[16];
	unsigned all = faces_host_addresses(host, 8), four = 0;
	for (unsigned i = 0; i < all; i++)
		four += host[i].family == 4;
	struct bound bound = bound_to("[::]:8443", NULL);
	assert_int_equal(bound_addresses(&bound, host, 8), all);
	assert_int_equal(host[0].port, 8443);
	assert_true(covers(&bound, "192.0.2.8:1") && covers(&bound, "[2001:db8::7]:1"));
	bound = bound_to("0.0.0.0:8443", "127.0.0.1:8443");
	assert_int_equal(bound_addresses(&bound, host, 8), four);
	assert_false(bound_is_local(&bound));
	assert_false(covers(&bound, "[2001:db8::7]:1"));
}

static void no_listener_tells_nothing(void **state)
{
	(void)state;
	struct bound bound = bound_to("unix:/run/x", NULL);
	assert_int_equal(bound.count, 0);
	assert_int_equal(bound_port(&bound), 0);
	assert_string_equal(told(&bound), "");
	assert_false(bound_is_local(&bound));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_address_is_told_alone),
		cmocka_unit_test(loopback_is_told_when_it_is_all),
		cmocka_unit_test(a_wildcard_is_all_of_the_host),
		cmocka_unit_test(no_listener_tells_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* "edged.channel/1": who hears what of whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "channel.h"
#include "heap.h"

static struct channels *channels;
static const struct edged_channel_1 *c;
static char heard[400]; /* what was called */

static void add(void *arg, const char *what, const char *node, struct edged_slice bytes)
{
	size_t n = strlen(heard);
	snprintf(heard + n, sizeof(heard) - n, "%s %s %s%.*s;", (const char *)arg, what, node,
	        EDGED_SLICE_FMT(bytes));
}

static void joined(void *arg, const char *node)
{
	add(arg, "+", node, edged_slice(NULL, 0));
}

static void parted(void *arg, const char *node)
{
	add(arg, "-", node, edged_slice(NULL, 0));
}

static void room(void *arg, const char *node)
{
	add(arg, "room", node, edged_slice(NULL, 0));
}

static const struct edged_channel_handler handler = {
	.struct_size = sizeof(handler), .joined = joined, .parted = parted, .heard = NULL, .room = room
};
static struct edged_channel_handler whole;

static void hear(void *arg, const char *node, struct edged_slice bytes)
{
	add(arg, "<", node, bytes);
}

static int carried(void *arg, const char *node, struct edged_slice name, struct edged_slice bytes)
{
	add(arg, "carries", node, name);
	add(arg, "to", node, bytes);
	return EDGED_CHANNEL_FULL;
}

static const struct edged_channel_carrier carrier = { .struct_size = sizeof(carrier), .say = carried };

static void expect(const char *text)
{
	assert_string_equal(heard, text);
	heard[0] = '\0';
}

static int begin(void **state)
{
	(void)state;
	heard[0] = '\0';
	whole = handler;
	whole.heard = hear;
	int r = channels_new(&channels);
	c = r ? NULL : channels_capability(channels);
	return r;
}

static int end(void **state)
{
	(void)state;
	channels_free(channels);
	return 0;
}

static int open_one(const char *name)
{
	return c->open(c->ctx, name, &whole, (void *)(uintptr_t)name);
}

static void who_is_there_is_told(void **state)
{
	(void)state;
	assert_int_equal(c->carry(c->ctx, &carrier, "c"), 0);
	assert_int_equal(c->carry(c->ctx, &carrier, "c"), -EEXIST);
	assert_int_equal(open_one("x"), 0);
	c->joined(c->ctx, "n1");
	c->joined(c->ctx, "n1"); /* it is there already */
	expect("x + n1;");
	assert_int_equal(open_one("y"), 0);
	expect("y + n1;");
	c->room(c->ctx, "n1");
	expect("x room n1;y room n1;");
	c->heard(c->ctx, "n1", edged_str("y"), edged_str("!"));
	c->heard(c->ctx, "n1", edged_str("z"), edged_str("!")); /* nobody has it open */
	expect("y < n1!;");
	c->close(c->ctx, "x");
	c->joined(c->ctx, "n2");
	c->parted(c->ctx, "n1");
	c->parted(c->ctx, "n1");
	expect("y + n2;y - n1;");
	assert_int_equal(c->carry(c->ctx, NULL, NULL), 0);
	expect("y - n2;");
}

static void what_is_said_is_carried(void **state)
{
	(void)state;
	assert_int_equal(open_one("x"), 0);
	assert_int_equal(c->say(c->ctx, "n1", "x", edged_str("a")), -EHOSTUNREACH);
	assert_int_equal(c->carry(c->ctx, &carrier, "c"), 0);
	assert_int_equal(c->say(c->ctx, "n1", "x", edged_str("a")), -EHOSTUNREACH);
	assert_int_equal(c->say(c->ctx, "", "x", edged_str("a")), -EHOSTUNREACH);
	c->joined(c->ctx, "n1");
	assert_int_equal(c->say(c->ctx, "n1", "x", edged_str("a")), EDGED_CHANNEL_FULL);
	expect("x + n1;c carries n1x;c to n1a;");
}

static void limits_hold(void **state)
{
	(void)state;
	static char names[17][12];
	char id[16];
	assert_int_equal(c->open(c->ctx, "x", &handler, NULL), -EINVAL);
	assert_int_equal(open_one(""), -EINVAL);
	assert_int_equal(open_one("0123456789012345678901234567890"), -EINVAL);
	for (int i = 0; i < 17; i++) {
		snprintf(names[i], sizeof(names[i]), "%d", i);
		assert_int_equal(open_one(names[i]), i < 16 ? 0 : -ENOSPC);
	}
	assert_int_equal(open_one("3"), -EEXIST);
	for (int i = 1; i < 16; i++)
		c->close(c->ctx, names[i]);
	for (int i = 0; i < 1010; i++) {
		snprintf(id, sizeof(id), "n%d", i);
		heard[0] = '\0';
		c->joined(c->ctx, id);
		assert_int_equal(*heard != '\0', i < 1000);
	}
}

static void no_memory_is_an_error(void **state)
{
	(void)state;
	struct channels *other;
	if (!heap_can_fail())
		return;
	heap_fail_at(0);
	assert_int_equal(channels_new(&other), -ENOMEM);
	heap_fail_at(-1);
}

#define C(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		C(who_is_there_is_told),
		C(what_is_said_is_carried),
		C(limits_hold),
		C(no_memory_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

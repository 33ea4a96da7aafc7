/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between nodes: what goes in comes out, and nothing that comes in goes past its end. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "core/gossip_wire.h"

static struct node_description full_record(void)
{
	struct node_description d = { .version = 7,
		.address_count = GOSSIP_ADDRESSES,
		.cores = 4,
		.memory_mib = 8192,
		.storage_mib = 100000,
		.services = 0x1122334455667788,
		.roles_pinned = 5,
		.roles_vetoed = 2,
		.removals = 0x8877665544332211 };
	memset(d.name, 'n', sizeof(d.name) - 1);
	memset(d.account, 'a', sizeof(d.account) - 1);
	memset(d.os, 'o', sizeof(d.os) - 1);
	memset(d.kernel, 'k', sizeof(d.kernel) - 1);
	memset(d.cpu, 'c', sizeof(d.cpu) - 1);
	memset(d.edged, 'e', sizeof(d.edged) - 1);
	d.rank = (struct rank){ 1, 200, 1, 3, 2, 8, 3 };
	for (unsigned i = 0; i < GOSSIP_ADDRESSES; i++) {
		d.addresses[i] = (struct peer_addr){ .family = i & 1 ? 6 : 4, .port = 8443 };
		memset(d.addresses[i].ip, (int)i + 1, i & 1 ? 16 : 4);
	}
	return d;
}

static struct gossip_message full_message(enum gossip_type type)
{
	struct gossip_message m = { .type = type,
		.incarnation = 3,
		.version = 7,
		.digest = 99,
		.seq = 12345,
		.flags = GOSSIP_GRANTED,
		.target_incarnation = 5,
		.epoch = 77,
		.lease_ms = 700,
		.addr = { .family = 6, .port = 9, .ip = { 0xfe, 0x80 } },
		.entry_count = GOSSIP_SYNC_ENTRIES,
		.grant_count = GOSSIP_GRANTS,
		.has_record = true,
		.record = full_record() };
	memset(m.target, 0xab, sizeof(m.target));
	for (unsigned i = 0; i < GOSSIP_SYNC_ENTRIES; i++) {
		memset(m.entries[i].key, (int)i, GOSSIP_KEY);
		m.entries[i].addr = (struct peer_addr){ .family = 6, .port = (uint16_t)i };
		m.entries[i].version = i;
	}
	for (unsigned i = 0; i < GOSSIP_GRANTS; i++) {
		m.grants[i].role = (uint8_t)i;
		m.grants[i].held = true;
		memset(m.grants[i].reason, 'r', GOSSIP_REASON - 1);
	}
	return m;
}

static void every_type_survives_the_trip(void **state)
{
	(void)state;
	for (int type = GOSSIP_PING; type <= GOSSIP_ROLES; type++) {
		struct gossip_message in = full_message((enum gossip_type)type), out;
		uint8_t bytes[GOSSIP_MAX], again[GOSSIP_MAX];
		size_t len = gossip_encode(&in, bytes);
		assert_true(len > 0);
		assert_int_equal(gossip_decode(bytes, len, &out), 0);
		assert_int_equal(out.type, type);
		assert_int_equal(out.digest, 99);
		assert_int_equal(gossip_encode(&out, again), len);
		assert_memory_equal(bytes, again, len);
	}
}

static void a_record_keeps_everything(void **state)
{
	(void)state;
	struct gossip_message in = full_message(GOSSIP_TELL), out;
	uint8_t bytes[GOSSIP_MAX];
	size_t len = gossip_encode(&in, bytes);
	assert_int_equal(gossip_decode(bytes, len, &out), 0);
	assert_true(out.has_record);
	assert_string_equal(out.record.name, in.record.name);
	assert_string_equal(out.record.edged, in.record.edged);
	assert_memory_equal(&out.record.rank, &in.record.rank, sizeof(in.record.rank));
	assert_int_equal(out.record.storage_mib, 100000);
	assert_int_equal(out.record.services, in.record.services);
	assert_true(out.record.removals == in.record.removals);
	assert_int_equal(out.record.roles_pinned, 5);
	assert_int_equal(out.record.roles_vetoed, 2);
	assert_int_equal(out.record.version, 7);
	for (unsigned i = 0; i < GOSSIP_ADDRESSES; i++)
		assert_true(peer_addr_eq(&out.record.addresses[i], &in.record.addresses[i]));
}

/* A record may be cut between two tags (that is a shorter record); everything else must not be cut. */
static void cut_messages_are_refused_or_shorter(void **state)
{
	(void)state;
	for (int type = GOSSIP_PING; type <= GOSSIP_ROLES; type++) {
		struct gossip_message in = full_message((enum gossip_type)type);
		uint8_t bytes[GOSSIP_MAX];
		size_t len = gossip_encode(&in, bytes);
		for (size_t n = 0; n < len; n++) {
			uint8_t *copy = malloc(n ? n : 1); /* exact size: the sanitizer sees a step too far */
			struct gossip_message out;
			memcpy(copy, bytes, n);
			int r = gossip_decode(copy, n, &out);
			assert_true(r == -EINVAL || (r == 0 && n >= 17));
			free(copy);
		}
	}
}

static void unknown_things_are_skipped(void **state)
{
	(void)state;
	struct gossip_message in = { .type = GOSSIP_TELL, .version = 2, .has_record = true }, out;
	snprintf(in.record.name, sizeof(in.record.name), "pi");
	uint8_t bytes[GOSSIP_MAX + 8];
	size_t len = gossip_encode(&in, bytes);
	memcpy(bytes + len, "\xfe\x03xyz", 5);
	assert_int_equal(gossip_decode(bytes, len + 5, &out), 0);
	assert_string_equal(out.record.name, "pi");
	bytes[0] = 200;
	assert_int_equal(gossip_decode(bytes, len, &out), -ENOTSUP);
	bytes[0] = 0;
	assert_int_equal(gossip_decode(bytes, len, &out), -ENOTSUP);
}

static void foreign_text_is_made_printable(void **state)
{
	(void)state;
	struct gossip_message in = { .type = GOSSIP_TELL, .version = 2, .has_record = true }, out;
	snprintf(in.record.name, sizeof(in.record.name), "a\nb\x1b[31m");
	uint8_t bytes[GOSSIP_MAX];
	size_t len = gossip_encode(&in, bytes);
	assert_int_equal(gossip_decode(bytes, len, &out), 0);
	assert_string_equal(out.record.name, "a?b?[31m");
}

static void counts_beyond_the_limit_are_refused(void **state)
{
	(void)state;
	struct gossip_message in = full_message(GOSSIP_SYNC), out;
	uint8_t bytes[GOSSIP_MAX];
	size_t len = gossip_encode(&in, bytes);
	bytes[18] = GOSSIP_SYNC_ENTRIES + 1;
	assert_int_equal(gossip_decode(bytes, len, &out), -EINVAL);
}

static void ranks_are_compared_in_order(void **state)
{
	(void)state;
	struct rank a = { .eligible = 1, .mains = 1 }, b = { .eligible = 1, .capacity = 8 };
	enum rank_field field;
	assert_true(rank_compare(&a, &b, &field) > 0);
	assert_int_equal(field, RANK_mains);
	b = a;
	b.stability = 3;
	assert_true(rank_compare(&b, &a, NULL) > 0);
	assert_false(rank_better_class(&b, &a));
	rank_set(&a, RANK_link, 9);
	assert_int_equal(a.link, 2);
	assert_int_equal(rank_capacity_class(4, 1024), 2);
	assert_int_equal(rank_capacity_class(1, 256), 0);
	assert_int_equal(rank_stability_class(3 * 86400000u, 0), 2);
	assert_int_equal(rank_stability_class(3 * 86400000u, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_survives_the_trip),
		cmocka_unit_test(a_record_keeps_everything),
		cmocka_unit_test(cut_messages_are_refused_or_shorter),
		cmocka_unit_test(unknown_things_are_skipped),
		cmocka_unit_test(foreign_text_is_made_printable),
		cmocka_unit_test(counts_beyond_the_limit_are_refused),
		cmocka_unit_test(ranks_are_compared_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

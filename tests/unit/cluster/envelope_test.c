/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed datagrams: only the addressee reads them, nobody forges or repeats them, and strangers cost little. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/envelope.h"

static const struct envelope_limits limits = { .peers = 16, .per_second = 20 };

struct fixture {
	char folder[32];
	struct identity *identities[3];
	struct envelope *a, *b, *c;
};

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	(void)info, (void)type, (void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	memcpy(f->folder, "/tmp/envelope-XXXXXX", 21);
	assert_non_null(mkdtemp(f->folder));
	for (int i = 0; i < 3; i++) {
		char path[64];
		snprintf(path, sizeof(path), "%s/%d", f->folder, i);
		assert_int_equal(identity_open(path, &f->identities[i], NULL), 0);
	}
	assert_int_equal(envelope_new(f->identities[0], 11, &limits, &f->a), 0);
	assert_int_equal(envelope_new(f->identities[1], 22, &limits, &f->b), 0);
	assert_int_equal(envelope_new(f->identities[2], 33, &limits, &f->c), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	envelope_free(f->a);
	envelope_free(f->b);
	envelope_free(f->c);
	for (int i = 0; i < 3; i++)
		identity_free(f->identities[i]);
	nftw(f->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static int seal(struct fixture *f, const char *text, uint8_t *out)
{
	int n = envelope_seal(
	        f->a, 0, identity_public_key(f->identities[1]), (const uint8_t *)text, strlen(text), out);
	assert_true(n > 0);
	return n;
}

static int open_at(struct envelope *e, const uint8_t *bytes, int n)
{
	uint8_t out[ENVELOPE_MAX], key[GOSSIP_KEY];
	uint64_t instance;
	return envelope_open(e, 0, bytes, (size_t)n, out, key, &instance);
}

static void the_addressee_reads_who_sent_what(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[ENVELOPE_MAX], out[ENVELOPE_MAX], key[GOSSIP_KEY];
	uint64_t instance;
	int n = seal(f, "hello", bytes);
	assert_int_equal(n, 5 + ENVELOPE_OVERHEAD);
	assert_null(memmem(bytes, (size_t)n, "hello", 5));
	assert_int_equal(envelope_open(f->b, 0, bytes, (size_t)n, out, key, &instance), 5);
	assert_memory_equal(out, "hello", 5);
	assert_memory_equal(key, identity_public_key(f->identities[0]), GOSSIP_KEY);
	assert_int_equal(instance, 11);
	uint8_t id[GOSSIP_ID];
	char text[NODE_ID_LEN + 1];
	envelope_identify(f->b, key, id);
	node_id_format(id, text);
	assert_string_equal(text, identity_node_id(f->identities[0]));
}

static void others_and_forgers_get_nothing(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[ENVELOPE_MAX], copy[ENVELOPE_MAX];
	int n = seal(f, "hello", bytes);
	assert_int_equal(open_at(f->b, copy, seal(f, "known", copy)), 5);
	assert_int_equal(open_at(f->c, bytes, n), -EBADMSG);
	for (int i = 4 + GOSSIP_KEY; i < n; i++) {
		memcpy(copy, bytes, (size_t)n);
		copy[i] ^= 1;
		assert_true(open_at(f->b, copy, n) < 0);
	}
	for (int i = 0; i < n; i++)
		assert_true(open_at(f->b, bytes, i) < 0);
	/* who puts another's key on it */
	memcpy(copy, bytes, (size_t)n);
	memcpy(copy + 4, identity_public_key(f->identities[2]), GOSSIP_KEY);
	assert_int_equal(open_at(f->b, copy, n), -EBADMSG);
	assert_int_equal(open_at(f->b, bytes, n), 5);
}

static void nothing_is_taken_twice(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[300][ENVELOPE_MAX];
	int n = 0;
	for (int i = 0; i < 300; i++)
		n = seal(f, "x", bytes[i]);
	for (int i = 1; i < 100; i += 2)
		assert_int_equal(open_at(f->b, bytes[i], n), 1);
	for (int i = 98; i >= 0; i -= 2)
		assert_int_equal(open_at(f->b, bytes[i], n), 1);
	for (int i = 0; i < 100; i++)
		assert_int_equal(open_at(f->b, bytes[i], n), -EALREADY);
	assert_int_equal(open_at(f->b, bytes[299], n), 1);
	assert_int_equal(open_at(f->b, bytes[171], n), -EALREADY); /* too old to tell */
	assert_int_equal(open_at(f->b, bytes[172], n), 1);
	assert_int_equal(open_at(f->b, bytes[172], n), -EALREADY);
	assert_int_equal(open_at(f->b, bytes[298], n), 1);
}

static void replays_of_former_lives_do_not_touch_the_present_window(void **state)
{
	struct fixture *f = *state;
	uint8_t present[ENVELOPE_MAX], former[8][ENVELOPE_MAX];
	int n = seal(f, "x", present);
	for (unsigned i = 0; i < 8; i++) {
		struct envelope *life;
		assert_int_equal(envelope_new(f->identities[0], 100 + i, &limits, &life), 0);
		assert_int_equal(envelope_seal(life, 0, identity_public_key(f->identities[1]),
		                         (const uint8_t *)"x", 1, former[i]),
		        n);
		envelope_free(life);
	}
	assert_int_equal(open_at(f->b, present, n), 1);
	envelope_keep(f->b, identity_public_key(f->identities[0]), 11);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(open_at(f->b, former[i], n), 1);
	assert_int_equal(open_at(f->b, present, n), -EALREADY);
}

/* There is no key of all that a removed node would take with it, and a restart makes new ones: the same text, from the same
 * node to the same node, with the same number. */
static void each_process_has_keys_of_its_own(void **state)
{
	struct fixture *f = *state;
	uint8_t first[ENVELOPE_MAX], second[ENVELOPE_MAX], to_other[ENVELOPE_MAX];
	const size_t at_instance = 4 + GOSSIP_KEY;
	struct envelope *life;
	assert_int_equal(envelope_new(f->identities[0], 12, &limits, &life), 0);
	const uint8_t *text = (const uint8_t *)"the same text";
	int n = envelope_seal(f->a, 0, identity_public_key(f->identities[1]), text, 13, first);
	assert_int_equal(envelope_seal(life, 0, identity_public_key(f->identities[1]), text, 13, second), n);
	assert_memory_equal(first + at_instance + 8, second + at_instance + 8, 8);
	assert_memory_not_equal(first + ENVELOPE_HEAD, second + ENVELOPE_HEAD, 13);
	envelope_free(life);
	/* to another node, too */
	assert_int_equal(envelope_new(f->identities[0], 11, &limits, &life), 0);
	assert_int_equal(
	        envelope_seal(life, 0, identity_public_key(f->identities[2]), text, 13, to_other), n);
	assert_memory_not_equal(first + ENVELOPE_HEAD, to_other + ENVELOPE_HEAD, 13);
	envelope_free(life);
	/* what one process sealed is not taken as another's */
	memcpy(second + at_instance, first + at_instance, 8);
	assert_int_equal(open_at(f->b, second, n), -EBADMSG);
	assert_int_equal(open_at(f->b, first, n), 13);
}

static void strangers_are_rationed(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[ENVELOPE_MAX];
	int n = seal(f, "x", bytes);
	unsigned limited = 0;
	for (int i = 0; i < 100; i++) {
		bytes[4 + 5] = (uint8_t)i; /* some of these are points of the curve */
		limited += open_at(f->b, bytes, n) == -EBUSY;
	}
	assert_int_equal(limited, 60);
	uint8_t out[ENVELOPE_MAX], key[GOSSIP_KEY];
	uint64_t instance;
	n = seal(f, "x", bytes);
	assert_int_equal(envelope_open(f->b, 1000, bytes, (size_t)n, out, key, &instance), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_addressee_reads_who_sent_what, setup, teardown),
		cmocka_unit_test_setup_teardown(others_and_forgers_get_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_taken_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(
		        replays_of_former_lives_do_not_touch_the_present_window, setup, teardown),
		cmocka_unit_test_setup_teardown(each_process_has_keys_of_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers_are_rationed, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

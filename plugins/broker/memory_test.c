/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The n-th allocation fails, for each n that there is from the start of the broker to its stop: nobody is told that it was
 * his fault, what was acknowledged is there afterwards, and nothing leaks.
 */
#include <sys/random.h>

#include "fake_disk.h"
#include "heap.h"
#include "rig_test.h"

/* Instead of libc's: the hashes, and with them who lives on which loop, are the same in each run. */
ssize_t getrandom(void *buffer, size_t n, unsigned flags)
{
	(void)flags;
	memset(buffer, 7, n);
	return (ssize_t)n;
}

struct client {
	struct fake_peer *peer;
	bool joined, present;
	uint8_t codes[16]; /* last reason by packet type */
	unsigned got;      /* bits: the n-th message of published[] */
};

/* What one run has promised. */
static struct promises {
	bool subscribed;
	unsigned acknowledged; /* bits of messages that "keeper" has to get */
	bool retained;
} promises;

static const struct {
	uint8_t qos;
	bool retain;
} published[] = { { 1, false }, { 2, false }, { 1, true }, { 1, false }, { 2, false } };
enum { MESSAGES = sizeof(published) / sizeof(published[0]) };

static struct client keeper, talker;
static long current; /* which allocation fails */

/* --- words ----------------------------------------------------------------------------------------------------------------- */

static void say(struct client *c, const void *bytes, size_t n)
{
	if (c->peer && !fake_closed(c->peer))
		fake_send(c->peer, bytes, n, 0);
}

/* What a server may say when it lacks memory. */
static void judge(uint8_t type, uint8_t reason)
{
	static const uint8_t fine[] = { 0, 1, 2, REASON_NO_MATCH, REASON_NO_SUBSCRIPTION, REASON_UNSPECIFIED,
		REASON_QUOTA, REASON_UNAVAILABLE, REASON_ID_NOT_FOUND, REASON_SHUTTING_DOWN };
	for (size_t i = 0; i < sizeof(fine); i++)
		if (reason == fine[i])
			return;
	fail_msg("packet type %u with reason 0x%02x", type, reason);
}

static void answer(struct client *c, uint8_t first, const uint8_t *id)
{
	const uint8_t bytes[] = { first, 2, id[0], id[1] };
	say(c, bytes, sizeof(bytes));
}

static void on_message(struct client *c, const struct frame *f)
{
	struct publish p;
	assert_int_equal(parse_publish(f, MQTT_5, 10, &p), 0);
	const uint8_t id[] = { (uint8_t)(p.id >> 8), (uint8_t)p.id };
	if (p.payload.len == 1 && p.payload.ptr[0] < MESSAGES)
		c->got |= 1u << p.payload.ptr[0];
	if (p.qos)
		answer(c, p.qos == 1 ? 0x40 : 0x50, id);
}

static void on_packet(struct client *c, const struct frame *f)
{
	uint8_t reason = f->len > 2 ? f->body[2] : 0;
	switch (f->type) {
	case CONNACK:
		reason = f->body[1];
		c->joined = reason == 0;
		c->present = f->body[0];
		break;
	case PUBLISH:
		on_message(c, f);
		return;
	case SUBACK:
	case UNSUBACK:
		reason = f->body[f->len - 1];
		break;
	case PUBREL:
		answer(c, 0x70, f->body);
		break;
	case DISCONNECT:
		reason = f->len ? f->body[0] : 0;
		break;
	default:
		break;
	}
	judge(f->type, reason);
	c->codes[f->type] = reason;
}

static void listen_to(struct client *c)
{
	struct edged_slice got;
	while (c->peer && (got = fake_take(c->peer)).len) {
		struct frame f;
		size_t used = 0;
		heap_spare(true);
		uint8_t *bytes = fake_copy(got.ptr, got.len);
		heap_spare(false);
		while (frame_read(bytes + used, got.len - used, VARINT_MAX, &f) == 0) {
			on_packet(c, &f);
			used += f.size;
		}
		assert_int_equal(used, got.len);
		free(bytes);
	}
	if (c->peer && fake_closed(c->peer))
		c->peer = NULL;
}

/* One packet type's reason after that was said; 0xff: no answer. */
static uint8_t ask(struct client *c, uint8_t type, const void *bytes, size_t n)
{
	c->codes[type] = 0xff;
	say(c, bytes, n);
	listen_to(c);
	return c->codes[type];
}
#define ASK(c, type, bytes) ask(c, type, bytes, sizeof(bytes) - 1)

static bool enter(struct client *c, unsigned loop, const void *hello, size_t n)
{
	c->joined = false;
	c->peer = fake_connect(host, loop, true);
	return ask(c, CONNACK, hello, n) == 0;
}

#define KEEPER "\x10\x27\0\4MQTT\5\4\0\0\5\x11\0\0\x0e\x10\0\6keeper\0\0\6will/k\0\4gone"
#define TALKER "\x10\x13\0\4MQTT\5\2\0\0\0\0\6talker"

static void tell(unsigned n)
{
	uint8_t bytes[] = { (uint8_t)(0x30 | published[n].qos << 1 | published[n].retain), 8, 0, 2, 'm', '/',
		0, (uint8_t)(n + 1), 0, (uint8_t)n };
	uint8_t type = published[n].qos == 1 ? PUBACK : PUBREC;
	bool taken = ask(&talker, type, bytes, sizeof(bytes)) < 0x80;
	if (taken && promises.subscribed)
		promises.acknowledged |= 1u << n;
	if (taken && published[n].retain)
		promises.retained = true;
	const uint8_t release[] = { 0x62, 2, 0, (uint8_t)(n + 1) };
	if (taken && type == PUBREC)
		(void)ask(&talker, PUBCOMP, release, sizeof(release));
}

/* --- one run --------------------------------------------------------------------------------------------------------------- */

static void use(void)
{
	fake_auto_commit(host, true);
	if (enter(&keeper, 0, KEEPER, sizeof(KEEPER) - 1))
		promises.subscribed = ASK(&keeper, SUBACK, "\x82\x08\0\1\0\0\2m/\2") < 0x80;
	(void)ASK(&keeper, SUBACK, "\x82\x12\0\2\0\0\x0c$share/g/+/x\1");
	if (!enter(&talker, 1, TALKER, sizeof(TALKER) - 1))
		return;
	(void)ASK(&talker, SUBACK, "\x82\7\0\1\0\0\1#\1");
	for (unsigned n = 0; n < 3; n++)
		tell(n);
	listen_to(&keeper);
	if (keeper.peer)
		fake_hang_up(keeper.peer);
	listen_to(&keeper);
	keeper.peer = NULL;
	for (unsigned n = 3; n < MESSAGES; n++)
		tell(n);
	(void)ASK(&talker, UNSUBACK, "\xa2\6\0\3\0\0\1#");
	say(&talker, "\x30\x05\0\2m/\0", 7);
	say(&talker, "\xe0\0", 2);
	talker.peer = NULL;
}

/* With memory again: what was promised. */
static void check(void)
{
	boot(2, NULL);
	fake_auto_commit(host, true);
	assert_true(enter(&keeper, 0, KEEPER, sizeof(KEEPER) - 1));
	if (promises.subscribed)
		assert_true(keeper.present);
	if ((keeper.got & promises.acknowledged) != promises.acknowledged)
		fail_msg("at %ld: got 0x%x of 0x%x", current, keeper.got, promises.acknowledged);
	if (promises.retained)
		assert_true(fake_disk_rows(disk, "retained") == 1);
	assert_true(enter(&talker, 1, TALKER, sizeof(TALKER) - 1));
	assert_int_equal(ASK(&talker, SUBACK, "\x82\x08\0\1\0\0\2m/\1"), 1);
	talker.got = 0;
	tell(0);
	assert_int_equal(talker.got & 1, 1);
	fake_host_free(host, true);
	host = NULL;
}

/* Whether there was an n-th allocation. */
static bool run(long n)
{
	keeper = talker = (struct client){ 0 };
	promises = (struct promises){ 0 };
	disk = fake_disk_new();
	current = n;
	heap_fail_at(n);
	host = fake_host_new(&edged_plugin_v1, disk, 2, NULL);
	if (host)
		use();
	if (host)
		fake_host_free(host, n & 1);
	bool failed = heap_failed();
	heap_fail_at(-1);
	check();
	fake_disk_free(disk);
	return failed;
}

/* What libraries keep, they keep once; what leaks is missing again after each run. */
static bool leaks(long n)
{
	enum { RUNS = 8 };
	for (int i = 0; i < RUNS; i++) {
		long before = heap_live();
		(void)run(n);
		if (heap_live() <= before)
			return false;
	}
	return true;
}

static void any_allocation_may_fail(void **state)
{
	(void)state;
	if (!heap_can_fail())
		skip();
	(void)run(-1);
	assert_true(
	        promises.subscribed && promises.acknowledged == (1u << MESSAGES) - 1 && promises.retained);
	(void)run(-1);
	long n = 0;
	for (; run(n); n++)
		if (leaks(n))
			fail_msg("bytes leak when allocation %ld fails", n);
	printf("%ld allocations\n", n);
	assert_true(n > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(any_allocation_may_fail) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

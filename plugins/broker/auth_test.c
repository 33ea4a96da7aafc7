/* SPDX-License-Identifier: Apache-2.0 */
/* Who may come in: passwords in the clear and by SCRAM, and what becomes of those who try. */
#include "rig_test.h"

#include "auth.h"
#include "fake_disk.h"
#include "scram_client_test.h"
#include "shard.h"

#define GRANTED "\x21\0\x64\x27\0\4\0\0\x22\0\x0a\x2a\1"

/* Users are rows of the store, as REST writes them. */
static void add_user(const char *name, const char *password)
{
	struct credential c = { .has_scram = true };
	uint8_t row[USER_ROW_MAX];
	assert_int_equal(password_hash(edged_str(password), c.hash), 0);
	assert_int_equal(verifier_make(edged_str(password), &c.scram), 0);
	struct edged_slice value = edged_slice(row, user_row(&c, row));
	fake_apply(&disk->rows, "users", edged_str(name), &value);
}

static void boot_with_users(unsigned loops)
{
	add_user("ann", "secret");
	add_user("bob", "other");
	boot(loops, NULL);
}

/* CONNECT from outside; the text goes behind the client id, or into the properties. */
static struct fake_peer *dial(
        uint8_t version, const char *id, uint8_t flags, struct edged_slice props, struct edged_slice tail)
{
	struct fake_peer *peer = fake_connect(host, 0, false);
	uint8_t bytes[1000];
	struct writer w = writer(bytes, sizeof(bytes));
	size_t n = 10 + (version == 5 ? varint_size((uint32_t)props.len) + props.len : 0) + 2 + strlen(id) +
	           tail.len;
	write_u8(&w, 0x10);
	write_varint(&w, (uint32_t)n);
	write_binary(&w, edged_str("MQTT"));
	write_u8(&w, version);
	write_u8(&w, flags);
	write_u16(&w, 60);
	if (version == 5) {
		write_varint(&w, (uint32_t)props.len);
		write_bytes(&w, props.ptr, props.len);
	}
	write_binary(&w, edged_str(id));
	write_bytes(&w, tail.ptr, tail.len);
	assert_false(w.failed);
	fake_send(peer, bytes, (size_t)(w.at - bytes), 0);
	return peer;
}

static struct fake_peer *login(uint8_t version, const char *user, const char *password)
{
	uint8_t tail[600];
	struct writer w = writer(tail, sizeof(tail));
	if (user)
		write_binary(&w, edged_str(user));
	if (password)
		write_binary(&w, edged_str(password));
	uint8_t flags = (uint8_t)(2 | (user ? 0x80 : 0) | (password ? 0x40 : 0));
	return dial(version, "id", flags, edged_slice(NULL, 0), edged_slice(tail, (size_t)(w.at - tail)));
}

static void a_password_lets_in(void **state)
{
	(void)state;
	boot_with_users(1);
	struct fake_peer *p = login(4, "ann", "secret");
	EXPECT(p, "\x20\2\0\0");
	p = login(5, "bob", "other");
	EXPECT(p, "\x20\x10\0\0\x0d" GRANTED);
	static const struct {
		const char *user, *password;
		uint8_t old, new;
	} rows[] = {
		{ "ann", "other", 4, 0x86 },
		{ "ann", "", 4, 0x86 },
		{ "ann", NULL, 4, 0x86 },
		{ "Ann", "secret", 4, 0x86 },
		{ "nobody", "secret", 4, 0x86 },
		{ "", "", 4, 0x86 },
		{ NULL, NULL, 5, 0x87 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		p = login(4, rows[i].user, rows[i].password);
		REFUSED(p, rows[i].old);
		p = login(5, rows[i].user, rows[i].password);
		REFUSED(p, rows[i].new);
		pass(4000000);
	}
	p = join(4, "trusted", CLEAN); /* a trusted listener asks nobody */
	assert_int_equal(fake_figure(host, "broker_login_failures_total", NULL), 12);
}

static void without_users_a_password_lets_nobody_in(void **state)
{
	(void)state;
	boot(1, NULL);
	struct fake_peer *p = login(4, "ann", "secret");
	REFUSED(p, 5);
	p = login(4, "", "");
	REFUSED(p, 5);
	fake_host_free(host, false);
	struct edged_slice damaged = edged_str("\1\0\0");
	fake_apply(&disk->rows, "users", edged_str("ann"), &damaged);
	boot(1, NULL);
	p = login(4, "ann", "");
	REFUSED(p, 5);
}

static void who_fails_again_and_again_waits(void **state)
{
	(void)state;
	boot_with_users(1);
	struct fake_peer *p;
	for (int i = 0; i < 5; i++) {
		p = login(5, "ann", "guess");
		REFUSED(p, 0x86);
	}
	p = login(5, "ann", "secret"); /* right, but too soon */
	REFUSED(p, 0x9f);
	pass(2000);
	p = login(5, "ann", "guess");
	REFUSED(p, 0x86);
	pass(1000);
	p = login(5, "ann", "guess"); /* two seconds now */
	REFUSED(p, 0x9f);
	pass(2000);
	p = login(5, "ann", "secret");
	EXPECT(p, "\x20\x10\0\0\x0d" GRANTED);
	p = login(5, "ann", "guess"); /* forgotten */
	REFUSED(p, 0x86);
}

/* --- SCRAM -------------------------------------------------------------------------------------------------------------------- */

static void method(struct writer *w, const char *name, const char *data)
{
	write_u8(w, PROP_AUTH_METHOD);
	write_binary(w, edged_str(name));
	if (data) {
		write_u8(w, PROP_AUTH_DATA);
		write_binary(w, edged_str(data));
	}
}

static struct fake_peer *scram_connect(const char *id, const char *first)
{
	uint8_t props[400];
	struct writer w = writer(props, sizeof(props));
	method(&w, "SCRAM-SHA-256", first);
	return dial(5, id, 2, edged_slice(props, (size_t)(w.at - props)), edged_slice(NULL, 0));
}

static void say_auth(struct fake_peer *p, uint8_t reason, const char *name, const char *data)
{
	uint8_t props[1200], bytes[1300];
	struct writer v = writer(props, sizeof(props)), w = writer(bytes, sizeof(bytes));
	method(&v, name, data);
	uint32_t n = (uint32_t)(v.at - props);
	write_u8(&w, 0xf0);
	write_varint(&w, 1 + (uint32_t)varint_size(n) + n);
	write_u8(&w, reason);
	write_varint(&w, n);
	write_bytes(&w, props, n);
	fake_send(p, bytes, (size_t)(w.at - bytes), 0);
}

/* AUTH (or CONNACK) with that reason and our method; its data. */
static struct edged_slice hear_auth(struct fake_peer *p, uint8_t type, uint8_t reason, char *out)
{
	struct edged_slice got = fake_take(p);
	struct frame f;
	struct props props;
	assert_int_equal(frame_read((const uint8_t *)got.ptr, got.len, 5000, &f), 0);
	assert_int_equal(f.type, type);
	assert_int_equal(f.size, got.len);
	struct reader r = reader(f.body, f.len);
	if (type == CONNACK)
		(void)read_u8(&r);
	assert_int_equal(read_u8(&r), reason);
	assert_int_equal(props_read(&r, type, 0, &props), 0);
	assert_true(edged_slice_is(props.auth_method, "SCRAM-SHA-256"));
	memcpy(out, props.auth_data.ptr, props.auth_data.len);
	return edged_slice(out, props.auth_data.len);
}

static void scram_lets_in_who_knows_the_password(void **state)
{
	(void)state;
	boot_with_users(3);
	for (int i = 0; i < 6; i++) { /* on every loop */
		struct scram_client client;
		char text[1500], id[16];
		snprintf(id, sizeof(id), "id%d", i);
		struct fake_peer *p = scram_connect(id, scram_client_first(&client, "ann"));
		scram_client_challenge(&client, hear_auth(p, AUTH, 0x18, text));
		say_auth(p, 0x18, "SCRAM-SHA-256", scram_client_last(&client, "secret"));
		assert_true(scram_client_verify(&client, hear_auth(p, CONNACK, 0, text)));
		SEND(p, "\xc0\0");
		EXPECT(p, "\xd0\0");
	}
	assert_int_equal(fake_figure(host, "broker_connections", NULL), 6);
}

static void scram_refuses_who_does_not(void **state)
{
	(void)state;
	static const struct {
		const char *user, *password;
	} rows[] = { { "ann", "other" }, { "nobody", "secret" }, { "bob", "secret" } };
	boot_with_users(1);
	struct fake_peer *p;
	char text[1500];
	struct scram_client client;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		p = scram_connect("id", scram_client_first(&client, rows[i].user));
		scram_client_challenge(&client, hear_auth(p, AUTH, 0x18, text)); /* the same for all */
		say_auth(p, 0x18, "SCRAM-SHA-256", scram_client_last(&client, rows[i].password));
		REFUSED(p, 0x87);
	}
	pass(4000000);
	p = scram_connect("id", "nonsense");
	REFUSED(p, 0x87);
	p = scram_connect("id", NULL);
	REFUSED(p, 0x87);
	/* Only AUTH comes now, with 0x18 and the same method. */
	static const struct {
		uint8_t reason, answer;
		const char *method;
	} wrong[] = { { 0x19, 0x82, "SCRAM-SHA-256" }, { 0x18, 0x82, "SCRAM-SHA-1" },
		{ 0, 0x82, "SCRAM-SHA-256" } };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		p = scram_connect("id", scram_client_first(&client, "ann"));
		(void)hear_auth(p, AUTH, 0x18, text);
		say_auth(p, wrong[i].reason, wrong[i].method, "x");
		REFUSED(p, wrong[i].answer);
	}
	p = scram_connect("id", scram_client_first(&client, "ann"));
	(void)hear_auth(p, AUTH, 0x18, text);
	SEND(p, "\x30\5\0\1t\0x");
	REFUSED(p, 0x82);
	p = scram_connect("id", scram_client_first(&client, "ann"));
	(void)hear_auth(p, AUTH, 0x18, text);
	pass(6000); /* and in time */
	assert_true(fake_closed(p));
	p = scram_connect("id", scram_client_first(&client, "ann"));
	fake_hang_up(p);
	assert_int_equal(fake_figure(host, "broker_sessions", NULL), 0);
}

static struct fake_peer *logged_in(struct scram_client *client)
{
	char text[1500];
	struct fake_peer *p = scram_connect("id", scram_client_first(client, "ann"));
	scram_client_challenge(client, hear_auth(p, AUTH, 0x18, text));
	say_auth(p, 0x18, "SCRAM-SHA-256", scram_client_last(client, "secret"));
	(void)hear_auth(p, CONNACK, 0, text);
	return p;
}

static void scram_asks_again_when_told_to(void **state)
{
	(void)state;
	boot_with_users(1);
	struct scram_client client;
	char text[1500];
	struct fake_peer *p = logged_in(&client);
	say_auth(p, 0x19, "SCRAM-SHA-256", scram_client_first(&client, "ann"));
	scram_client_challenge(&client, hear_auth(p, AUTH, 0x18, text));
	SEND(p, "\xc0\0"); /* meanwhile all goes on */
	EXPECT(p, "\xd0\0");
	say_auth(p, 0x18, "SCRAM-SHA-256", scram_client_last(&client, "secret"));
	assert_true(scram_client_verify(&client, hear_auth(p, AUTH, 0, text)));
	say_auth(p, 0x19, "SCRAM-SHA-256", scram_client_first(&client, "bob")); /* somebody else */
	scram_client_challenge(&client, hear_auth(p, AUTH, 0x18, text));
	say_auth(p, 0x18, "SCRAM-SHA-256", scram_client_last(&client, "other"));
	BYE(p, 0x87);
	p = logged_in(&client);
	say_auth(p, 0x19, "SCRAM-SHA-256", scram_client_first(&client, "ann"));
	scram_client_challenge(&client, hear_auth(p, AUTH, 0x18, text));
	say_auth(p, 0x18, "SCRAM-SHA-256", scram_client_last(&client, "wrong"));
	BYE(p, 0x87);
}

static void codes_of_auth_are_judged(void **state)
{
	(void)state;
	static const struct {
		uint8_t reason;
		const char *method;
	} rows[] = { { 0x18, "SCRAM-SHA-256" }, { 0x19, "SCRAM-SHA-1" }, { 0, "SCRAM-SHA-256" },
		{ 0x17, "SCRAM-SHA-256" } };
	boot_with_users(1);
	struct scram_client client;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_peer *p = logged_in(&client);
		say_auth(p, rows[i].reason, rows[i].method, "x");
		BYE(p, 0x82);
	}
	struct fake_peer *p = login(5, "ann", "secret");
	quiet(p);
	say_auth(p, 0x19, "SCRAM-SHA-256", scram_client_first(&client, "ann")); /* CONNECT named no method */
	BYE(p, 0x82);
}

static void a_user_who_goes_loses_its_connections(void **state)
{
	(void)state;
	boot_with_users(1);
	struct fake_peer *p = login(5, "ann", "secret"), *q = join(5, "trusted", CLEAN);
	quiet(p);
	const struct broker *broker = fake_self(host);
	auth_drop(broker->shards[0], edged_str("bob"));
	fake_run(host);
	assert_false(fake_closed(p));
	auth_drop(broker->shards[0], edged_str("ann"));
	fake_run(host);
	BYE(p, 0x87);
	assert_false(fake_closed(q));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_password_lets_in),
		T(without_users_a_password_lets_nobody_in),
		T(who_fails_again_and_again_waits),
		T(scram_lets_in_who_knows_the_password),
		T(scram_refuses_who_does_not),
		T(scram_asks_again_when_told_to),
		T(codes_of_auth_are_judged),
		T(a_user_who_goes_loses_its_connections),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

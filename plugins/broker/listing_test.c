/* SPDX-License-Identifier: Apache-2.0 */
/* Lists over REST: what is in them, in which order, and that walking through pages shows each line once. */
#include <jansson.h>

#include "edged/cap_session.h"
#include "fake_disk.h"
#include "fake_http.h"
#include "rig_test.h"

#include "auth.h"
#include "password.h"
#include "users.h"

/* --- the world that is listed -------------------------------------------------------------------------------------------- */

/* A row of the store, as REST writes it; the password is the name. */
static void add_user(const char *name)
{
	struct credential c = { .has_scram = false };
	uint8_t row[USER_ROW_MAX];
	assert_int_equal(password_hash(edged_str(name), c.hash), 0);
	struct edged_slice value = edged_slice(row, user_row(&c, row));
	fake_apply(&disk->rows, "users", edged_str(name), &value);
}

static struct fake_peer *come(
        const char *address, uint8_t version, const char *id, const char *user, bool clean)
{
	const struct edged_peer peer = {
		.address = address, .listener = "mqtt=*:1883", .uid = -1, .trusted = !user
	};
	struct fake_peer *p = fake_connect_as(host, 0, &peer, 0);
	uint8_t bytes[200], body[180];
	struct writer b = writer(body, sizeof(body));
	write_binary(&b, edged_str(version == 3 ? "MQIsdp" : "MQTT"));
	write_u8(&b, version);
	write_u8(&b, (uint8_t)((user ? 0xc0 : 0) | (clean ? 2 : 0)));
	write_u16(&b, 60);
	if (version == 5)
		write_bytes(&b, clean ? "\0" : "\5\x11\0\0\xff\xff", clean ? 1 : 6);
	write_binary(&b, edged_str(id));
	for (int i = 0; user && i < 2; i++)
		write_binary(&b, edged_str(user));
	struct writer w = writer(bytes, sizeof(bytes));
	write_u8(&w, 0x10);
	write_u8(&w, (uint8_t)(b.at - body));
	write_bytes(&w, body, (size_t)(b.at - body));
	fake_send(p, bytes, (size_t)(w.at - bytes), 0);
	struct edged_slice got = fake_take(p);
	assert_true(got.len >= 4 && got.ptr[0] == 0x20 && got.ptr[3] == 0);
	return p;
}

/* SUBSCRIBE of any version. */
static void take(struct fake_peer *p, uint8_t version, const char *filter, uint8_t options)
{
	uint8_t bytes[128];
	struct writer w = writer(bytes, sizeof(bytes));
	write_u8(&w, 0x82);
	write_u8(&w, (uint8_t)(2 + (version == 5) + 2 + strlen(filter) + 1));
	write_u16(&w, 1);
	if (version == 5)
		write_u8(&w, 0);
	write_binary(&w, edged_str(filter));
	write_u8(&w, options);
	fake_send(p, bytes, (size_t)(w.at - bytes), 0);
}

/* The session of a plugin that is attached: it is in no list of clients. */
static void come_inside(void)
{
	edged_handle handle;
	const struct edged_session_1 *sessions = open_inside("test", 10, 10000, &handle);
	assert_int_equal(sessions->attach(sessions->ctx, handle, 10, false), 0);
	fake_run(host);
}

static void populate(unsigned loops)
{
	add_user("ann");
	add_user("bob");
	add_user("cid");
	boot(loops, NULL);
	fake_auto_commit(host, true);
	struct fake_peer *p = come("192.0.2.1:1", 5, "alpha", "ann", true);
	take(p, 5, "t/a", 1 | 4 | 8); /* no local, retain as published */
	p = come("192.0.2.10:5", 4, "alpine", "ann", true);
	take(p, 4, "t/+", 0);
	take(p, 4, "x", 2);
	p = come("[2001:db8::1]:1", 3, "beta", "bob", true);
	take(p, 3, "$share/g/t/#", 0);
	p = come("192.0.2.1:2", 4, "b/c +\"", NULL, true);
	SEND(p, "\x31\6\0\3r/1x\x31\7\0\3r/2xy\x33\6\0\1s\0\1z");
	SEND(come("192.0.2.1:3", 5, "delta", NULL, true),
	        "\x31\x0c\0\3r/3\5\2\0\0\0\1x"); /* expires in a second */
	for (char i = '0'; i < '8'; i++) {       /* away, and behind all others in the order of names */
		const char id[] = { 'z', i, '\0' };
		p = come("192.0.2.7:1", 4, id, i == '0' ? "cid" : NULL, false);
		take(p, 4, "t/b", 1);
		fake_hang_up(p);
	}
	SEND(come("192.0.2.7:9", 4, "pub", NULL, true), "\x32\7\0\3t/b\0\1"
	                                                "\x32\7\0\3t/b\0\2");
	come_inside();
	pass(1500);
}

static int end(void **state)
{
	(void)state;
	int r = teardown(state);
	fake_http_reset();
	return r;
}

/* --- what is said -------------------------------------------------------------------------------------------------------- */

static json_t *body_of(const struct fake_answer *a, const char *what)
{
	json_t *json = a->len ? json_loadb(a->body, a->len, 0, NULL) : NULL;
	if (a->status != 200 || a->answers != 1 || !json)
		fail_msg("%s: %d %s %s, %u answers", what, a->status, a->type, a->text, a->answers);
	return json;
}

/* "a b c" of a list's lines; of subscriptions "a=filter". */
static void name_lines(const json_t *list, char *out, size_t size)
{
	size_t i, n = 0;
	const json_t *line;
	*out = '\0';
	json_array_foreach(list, i, line)
	{
		const char *id = json_string_value(json_object_get(line, "clientId")),
		           *filter = json_string_value(json_object_get(line, "filter")),
		           *topic = json_string_value(json_object_get(line, "topic"));
		n += (size_t)snprintf(out + n, size - n, "%s%s%s%s", i ? " " : "", id ? id : topic,
		        filter ? "=" : "", filter ? filter : "");
		assert_true(n < size);
	}
}

#define AWAY      "z0 z1 z2 z3 z4 z5 z6 z7"
#define CLIENTS   "alpha alpine b/c +\" beta delta pub"
#define WITH_AWAY "z0=t/b z1=t/b z2=t/b z3=t/b z4=t/b z5=t/b z6=t/b z7=t/b"

static const struct {
	const char *request, *lines;
	const char *cursor; /* NULL: this is the last page */
} rows[] = {
	{ "/pubsub/v1/clients", CLIENTS, NULL },
	{ "/pubsub/v1/clients?limit=1000", CLIENTS, NULL },
	{ "/pubsub/v1/clients?limit=6", CLIENTS, NULL },
	{ "/pubsub/v1/clients?limit=5", "alpha alpine b/c +\" beta delta", "delta" },
	{ "/pubsub/v1/clients?limit=1&cursor=beta", "delta", "delta" },
	{ "/pubsub/v1/clients?limit=1&cursor=delta", "pub", NULL },
	{ "/pubsub/v1/clients?cursor=pub", "", NULL },
	{ "/pubsub/v1/clients?cursor=bet", "beta delta pub", NULL }, /* it need not be there */
	{ "/pubsub/v1/clients?cursor=", CLIENTS, NULL },
	{ "/pubsub/v1/clients?clientId=al", "alpha alpine", NULL },
	{ "/pubsub/v1/clients?clientId=alpha", "alpha", NULL },
	{ "/pubsub/v1/clients?clientId=alphas", "", NULL },
	{ "/pubsub/v1/clients?clientId=", CLIENTS, NULL },
	{ "/pubsub/v1/clients?clientId=b%2Fc", "b/c +\"", NULL },
	{ "/pubsub/v1/clients?clientId=%24plugin", "", NULL },
	{ "/pubsub/v1/clients?user=ann", "alpha alpine", NULL },
	{ "/pubsub/v1/clients?user=an", "", NULL }, /* the whole name */
	{ "/pubsub/v1/clients?address=192.0.2.1", "alpha alpine b/c +\" delta", NULL },
	{ "/pubsub/v1/clients?address=192.0.2.1:", "alpha b/c +\" delta", NULL },
	{ "/pubsub/v1/clients?address=%5B2001:db8:", "beta", NULL },
	{ "/pubsub/v1/clients?topic=t/a", "alpha alpine beta", NULL },
	{ "/pubsub/v1/clients?topic=t/a/b", "beta", NULL },
	{ "/pubsub/v1/clients?topic=nothing", "", NULL },
	{ "/pubsub/v1/clients?topic=t/a&user=ann&clientId=alp&address=192.0.2.10", "alpine", NULL },
	{ "/pubsub/v1/sessions?connected=false", AWAY, NULL },
	{ "/pubsub/v1/sessions?connected=true", "$plugin/test " CLIENTS, NULL },
	{ "/pubsub/v1/sessions", "$plugin/test " CLIENTS " " AWAY, NULL },
	{ "/pubsub/v1/sessions?connected=false&limit=3", "z0 z1 z2", "z2" },
	{ "/pubsub/v1/sessions?connected=false&limit=3&cursor=z4", "z5 z6 z7", NULL },
	{ "/pubsub/v1/sessions?user=cid", "", NULL }, /* who is away is logged in as nobody */
	{ "/pubsub/v1/sessions?topic=t/b&connected=false", AWAY, NULL },
	{ "/pubsub/v1/subscriptions", "alpha=t/a alpine=t/+ alpine=x beta=$share/g/t/# " WITH_AWAY, NULL },
	{ "/pubsub/v1/subscriptions?limit=2", "alpha=t/a alpine=t/+", "alpine\nt/+" },
	{ "/pubsub/v1/subscriptions?limit=2&cursor=alpine%0At/%2B", "alpine=x beta=$share/g/t/#",
	        "beta\n$share/g/t/#" },
	{ "/pubsub/v1/subscriptions?clientId=alpine", "alpine=t/+ alpine=x", NULL },
	{ "/pubsub/v1/subscriptions?topic=t/a", "alpha=t/a alpine=t/+ beta=$share/g/t/#", NULL },
	{ "/pubsub/v1/subscriptions?topic=x", "alpine=x", NULL }, /* not the other of that client */
	{ "/pubsub/v1/subscriptions?connected=false&topic=t/b", WITH_AWAY, NULL },
	{ "/pubsub/v1/subscriptions?user=bob", "beta=$share/g/t/#", NULL },
	{ "/pubsub/v1/retained", "r/1 r/2 s", NULL }, /* what has expired is not there */
	{ "/pubsub/v1/retained?limit=1", "r/1", "r/1" },
	{ "/pubsub/v1/retained?limit=2&cursor=r/1", "r/2 s", NULL },
	{ "/pubsub/v1/retained?filter=r/%23", "r/1 r/2", NULL },
	{ "/pubsub/v1/retained?filter=r/%2B&limit=1&cursor=r/1", "r/2", NULL },
	{ "/pubsub/v1/retained?filter=q", "", NULL },
	{ "/retainedMessage", "r/1 r/2 s", NULL },
	{ "/retainedMessage?maxResults=2", "r/1 r/2", "r/2" },
	{ "/retainedMessage?maxResults=2&nextToken=r/2", "s", NULL },
};

static struct fake_answer *get(const char *path)
{
	char request[400];
	snprintf(request, sizeof(request), "GET %s", path);
	return fake_ask(host, &edged_plugin_v1, request);
}

static void lists_show_what_fits(void **state)
{
	(void)state;
	for (unsigned loops = 1; loops <= 3; loops += 2) {
		populate(loops);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			char lines[1000];
			bool aws = rows[i].request[1] == 'r';
			json_t *body = body_of(get(rows[i].request), rows[i].request);
			name_lines(
			        json_object_get(body, aws ? "retainedTopics" : "data"), lines, sizeof(lines));
			const char *cursor =
			        json_string_value(json_object_get(body, aws ? "nextToken" : "cursor"));
			if (strcmp(lines, rows[i].lines) != 0)
				fail_msg("%u loops, %s: %s", loops, rows[i].request, lines);
			if (cursor ? !rows[i].cursor || strcmp(cursor, rows[i].cursor) != 0
			           : rows[i].cursor != NULL)
				fail_msg("%u loops, %s: the cursor is %s", loops, rows[i].request,
				        cursor ? cursor : "not there");
			json_decref(body);
		}
		end(state);
		setup(state);
	}
	populate(1);
}

static void encode(const char *text, char *out)
{
	for (; *text; text++, out += 3)
		snprintf(out, 4, "%%%02x", (uint8_t)*text);
	*out = '\0';
}

/* Whatever the size of the pages, and also with the last page full. */
static void pages_show_each_line_once(void **state)
{
	(void)state;
	static const char *const lists[] = { "clients", "sessions", "subscriptions", "retained" };
	populate(3);
	for (size_t list = 0; list < 4; list++) {
		char path[300], all[1000], walked[1000], cursor[200] = "";
		snprintf(path, sizeof(path), "/pubsub/v1/%s", lists[list]);
		json_t *body = body_of(get(path), path);
		size_t count = json_array_size(json_object_get(body, "data"));
		name_lines(json_object_get(body, "data"), all, sizeof(all));
		json_decref(body);
		for (size_t limit = 1; limit <= count; limit++) {
			bool more = true;
			*walked = *cursor = '\0';
			for (size_t pages = 1; more; pages++) {
				snprintf(path, sizeof(path), "/pubsub/v1/%s?limit=%zu&cursor=%s", lists[list],
				        limit, cursor);
				body = body_of(get(path), path);
				size_t n = strlen(walked);
				if (n)
					walked[n++] = ' ';
				name_lines(json_object_get(body, "data"), walked + n, sizeof(walked) - n);
				const char *next = json_string_value(json_object_get(body, "cursor"));
				more = next != NULL;
				if (more)
					encode(next, cursor);
				json_decref(body);
				assert_int_equal(more, pages * limit < count);
			}
			assert_string_equal(walked, all);
			fake_http_reset();
		}
	}
}

static const struct {
	const char *request;
	const char *says;
} bad[] = {
	{ "/pubsub/v1/clients?limit=0", "\"limit\" is a number from 1 to 1000" },
	{ "/pubsub/v1/clients?limit=1001", "\"limit\" is a number from 1 to 1000" },
	{ "/pubsub/v1/clients?limit=-1", "\"limit\" is a number" },
	{ "/pubsub/v1/clients?limit=", "\"limit\" is a number" },
	{ "/pubsub/v1/clients?limit=99999999999999999999", "\"limit\" is a number" },
	{ "/retainedMessage?maxResults=201", "\"maxResults\" is a number from 1 to 200" },
	{ "/pubsub/v1/sessions?connected=yes", "connected is true or false" },
	{ "/pubsub/v1/sessions?connected=", "connected is true or false" },
	{ "/pubsub/v1/clients?topic=t/%2B", "topic is a topic name" },
	{ "/pubsub/v1/clients?topic=", "topic is a topic name" },
	{ "/pubsub/v1/retained?filter=a%23", "filter is an MQTT topic filter" },
	{ "/pubsub/v1/retained?filter=", "filter is an MQTT topic filter" },
	{ "/pubsub/v1/retained?filter=%24share/g/r", "filter is an MQTT topic filter" },
};

static void what_makes_no_sense_is_refused(void **state)
{
	(void)state;
	populate(1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct fake_answer *a = get(bad[i].request);
		if (a->status != 400 || a->answers != 1 || strcmp(a->type, "bad-parameter") != 0 ||
		        !strstr(a->text, bad[i].says))
			fail_msg("%s: %d %s %s", bad[i].request, a->status, a->type, a->text);
	}
}

static void expect_line(const char *request, const char *text)
{
	json_t *body = body_of(get(request), request), *want = json_loads(text, 0, NULL),
	       *line = json_array_get(json_object_get(body, "data"), 0);
	assert_non_null(want);
	(void)json_object_del(line, "lastModifiedTime");
	char *got = json_dumps(line, JSON_COMPACT);
	if (!json_equal(line, want))
		fail_msg("%s: %s", request, got);
	free(got);
	json_decref(want);
	json_decref(body);
}

static void lines_say_all(void **state)
{
	(void)state;
	populate(3);
	expect_line("/pubsub/v1/clients?clientId=alpha",
	        "{\"clientId\":\"alpha\",\"address\":\"192.0.2.1:1\",\"listener\":\"mqtt=*:1883\","
	        "\"version\":\"5.0\","
	        "\"tls\":false,\"websocket\":false,\"keepAlive\":60,\"subscriptions\":1,\"user\":\"ann\"}");
	expect_line("/pubsub/v1/clients?clientId=b/c",
	        "{\"clientId\":\"b/c +\\\"\",\"address\":\"192.0.2.1:2\",\"listener\":\"mqtt=*:1883\","
	        "\"version\":\"3.1.1\",\"tls\":false,\"websocket\":false,\"keepAlive\":60,\"subscriptions\":"
	        "0}");
	expect_line("/pubsub/v1/sessions?clientId=z3",
	        "{\"clientId\":\"z3\",\"connected\":false,\"durable\":true,\"version\":\"3.1.1\","
	        "\"expirySeconds\":604800,\"subscriptions\":1,\"queued\":2,\"queuedBytes\":6}");
	expect_line("/pubsub/v1/sessions?clientId=beta",
	        "{\"clientId\":\"beta\",\"connected\":true,\"durable\":false,\"version\":\"3.1\","
	        "\"expirySeconds\":0,\"subscriptions\":1,\"queued\":0,\"queuedBytes\":0}");
	expect_line("/pubsub/v1/subscriptions?clientId=alpha",
	        "{\"clientId\":\"alpha\",\"filter\":\"t/"
	        "a\",\"qos\":1,\"noLocal\":true,\"retainAsPublished\":true}");
	expect_line("/pubsub/v1/subscriptions?topic=x", "{\"clientId\":\"alpine\",\"filter\":\"x\",\"qos\":2,"
	                                                "\"noLocal\":false,\"retainAsPublished\":false}");
	expect_line("/pubsub/v1/retained?filter=r/2", "{\"topic\":\"r/2\",\"payloadSize\":2,\"qos\":0}");
	expect_line("/pubsub/v1/retained?filter=s", "{\"topic\":\"s\",\"payloadSize\":1,\"qos\":1}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, end)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(lists_show_what_fits), TEST(pages_show_each_line_once),
		TEST(what_makes_no_sense_is_refused), TEST(lines_say_all) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

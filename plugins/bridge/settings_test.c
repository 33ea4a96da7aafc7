/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration of bridges may say, and which topics become which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../broker/codec.h"
#include "edged/plugin.h"
#include "mapping.h"

extern const struct edged_plugin edged_plugin_v1;

static char why[600];

/* "'" stands for a quotation mark. */
static int parse(const char *json, struct bridges_settings *ret)
{
	char text[2000];
	snprintf(text, sizeof(text), "%s", json);
	for (char *at = text; *at; at++)
		if (*at == '\'')
			*at = '"';
	return settings_parse(edged_str(text), ret, why, sizeof(why));
}

static void refused(const char *rest, const char *sentence, int line)
{
	struct bridges_settings all;
	char json[1500];
	snprintf(json, sizeof(json), "{'b': {%s}}", rest);
	int r = parse(json, &all);
	settings_free(&all);
	if (r != -22 || !strstr(why, sentence))
		fail_msg("line %d: %d, \"%s\"", line, r, why);
}
#define TOPICS                       "'topics': [{'filter': 'a', 'direction': 'out'}]"
#define REFUSED(rest, sentence)      refused(rest, sentence, __LINE__)
#define RULE_REFUSED(rule, sentence) REFUSED("'address': 'h', 'topics': [{" rule "}]", sentence)

static void all_keys(void **state)
{
	(void)state;
	struct bridges_settings all;
	assert_int_equal(
	        parse("{'b-1': {'address': '[2001:db8::7]:443', 'tls': {'ca': '/ca', 'certificate': '/c', "
	              "'key': '/k',"
	              "'alpn': 'x-amzn-mqtt-ca', 'server_name': 'n'}, 'mqtt': '3.1.1', 'bridge_bit': false, "
	              "'user': 'u',"
	              "'password_file': '/p', 'client_id': 'id', 'keep_alive': '20s', 'session_expiry': '1h',"
	              "'backoff_min': 500, 'backoff_max': '2m', 'timeout': '5s', 'in_flight': 7, 'packet': "
	              "'1M',"
	              "'paused': true, 'loop_guard': '3s',"
	              "'queue': {'messages': 5, 'bytes': '2M', 'when_full': 'drop-old'},"
	              "'topics': [{'filter': 's/#', 'direction': 'both', 'qos': 2, 'local_prefix': 'l/', "
	              "'remote_prefix': "
	              "'r/'}]}}",
	                &all),
	        0);
	const struct bridge_settings *b = all.all;
	assert_int_equal(all.count, 1);
	assert_string_equal(b->name, "b-1");
	assert_string_equal(b->host, "2001:db8::7");
	assert_int_equal(b->port, 443);
	assert_true(b->tls && b->paused && b->drop_oldest && !b->bridge_bit);
	assert_string_equal(b->alpn, "x-amzn-mqtt-ca");
	assert_string_equal(b->server_name, "n");
	assert_int_equal(b->version, MQTT_3_1_1);
	assert_int_equal(b->keep_alive, 20);
	assert_int_equal(b->session_expiry, 3600);
	assert_int_equal(b->backoff_min, 500);
	assert_int_equal(b->backoff_max, 120000);
	assert_int_equal(b->timeout, 5000);
	assert_int_equal(b->loop_guard, 3000);
	assert_int_equal(b->in_flight, 7);
	assert_int_equal(b->packet, 1048576);
	assert_int_equal(b->queue_messages, 5);
	assert_int_equal(b->queue_bytes, 2097152);
	assert_string_equal(b->rules[0].local_filter, "l/s/#");
	assert_string_equal(b->rules[0].remote_filter, "r/s/#");
	assert_int_equal(b->rules[0].ways, WAY_IN | WAY_OUT);
	assert_int_equal(b->rules[0].qos, 2);
	settings_free(&all);
}

static void defaults(void **state)
{
	(void)state;
	struct bridges_settings all;
	assert_int_equal(
	        parse("{'a': {'address': 'h', " TOPICS "}, 'b': {'address': 'h', 'tls': true, " TOPICS "}}",
	                &all),
	        0);
	assert_int_equal(all.count, 2);
	assert_int_equal(all.all[0].port, 1883);
	assert_int_equal(all.all[1].port, 8883);
	assert_int_equal(all.all[0].version, MQTT_5);
	assert_int_equal(all.all[0].rules[0].qos, 1);
	assert_int_equal(all.all[0].rules[0].ways, WAY_OUT);
	settings_free(&all);
	assert_int_equal(parse("{}", &all), 0);
	assert_int_equal(all.count, 0);
	settings_free(&all);
}

static void what_is_wrong_is_said(void **state)
{
	(void)state;
	REFUSED(TOPICS, "bridges.b.address: is missing");
	REFUSED("'address': 'h:0', " TOPICS, "bridges.b.address");
	REFUSED("'address': 'h:99999', " TOPICS, "bridges.b.address");
	REFUSED("'address': 'mqtt://h', " TOPICS, "bridges.b.address");
	REFUSED("'address': '[::1]x', " TOPICS, "bridges.b.address");
	REFUSED("'address': 7, " TOPICS, "bridges.b.address: must be text");
	REFUSED("'address': 'h'", "bridges.b.topics: must be a list");
	REFUSED("'address': 'h', 'topics': []", "bridges.b.topics: must be a list");
	REFUSED("'address': 'h', 'colour': 1, " TOPICS, "bridges.b.colour: there is no such key");
	REFUSED("'address': 'h', 'mqtt': '4', " TOPICS, "must be one of \"5\", \"3.1.1\"");
	REFUSED("'address': 'h', 'keep_alive': '1s', " TOPICS, "bridges.b.keep_alive");
	REFUSED("'address': 'h', 'backoff_min': '2m', " TOPICS, "must not be above backoff_max");
	REFUSED("'address': 'h', 'in_flight': 0, " TOPICS, "bridges.b.in_flight");
	REFUSED("'address': 'h', 'in_flight': 1.5, " TOPICS, "bridges.b.in_flight");
	REFUSED("'address': 'h', 'packet': '1T', " TOPICS, "bridges.b.packet");
	REFUSED("'address': 'h', 'paused': 1, " TOPICS, "bridges.b.paused: must be true or false");
	REFUSED("'address': 'h', 'queue': {'messages': 0}, " TOPICS, "bridges.b.queue.messages");
	REFUSED("'address': 'h', 'queue': {'when_full': 'x'}, " TOPICS, "\"drop-new\", \"drop-old\"");
	/* What would not be safe */
	REFUSED("'address': 'h', 'tls': {'insecure': true}, " TOPICS, "always verified");
	REFUSED("'address': 'h', 'tls': {'key': '/k'}, " TOPICS, "bridges.b.tls.certificate: is missing");
	REFUSED("'address': 'h', 'user': 'u', 'password': 's', " TOPICS, "a file of mode 0600");
	REFUSED("'address': 'h', 'user': 'u', 'password_file': '/p', " TOPICS, "for everybody to read");
	REFUSED("'address': 'h', 'tls': true, 'password_file': '/p', " TOPICS, "bridges.b.user: is missing");
	RULE_REFUSED("'direction': 'in'", "bridges.b.topics[0].filter: is missing");
	RULE_REFUSED("'filter': 'a'", "bridges.b.topics[0].direction");
	RULE_REFUSED("'filter': 'a', 'direction': 'up'", "bridges.b.topics[0].direction");
	RULE_REFUSED("'filter': 'a/#/b', 'direction': 'in'", "bridges.b.topics[0].filter");
	RULE_REFUSED("'filter': '#', 'direction': 'in', 'local_prefix': 'x'", "bridges.b.topics[0].filter");
	RULE_REFUSED("'filter': '$share/g/a', 'direction': 'in'", "bridges.b.topics[0].filter");
	RULE_REFUSED("'filter': 'a', 'direction': 'in', 'remote_prefix': '+/'", "must not have wildcards");
	RULE_REFUSED(
	        "'filter': 'a', 'direction': 'in', 'qos': 3", "bridges.b.topics[0].qos: must be 0, 1 or 2");
	struct bridges_settings all;
	assert_int_equal(parse("{'a b': {}}", &all), -22);
	settings_free(&all);
	assert_non_null(strstr(why, "a bridge's name"));
	assert_int_equal(parse("[]", &all), -22);
	settings_free(&all);
	/* The plugin judges its section in the same way. */
	static const char good[] = "{\"bridges\": {}}", bad[] = "{\"bridges\": {\"x\": 1}}";
	assert_int_equal(edged_plugin_v1.check(edged_str(good), why, sizeof(why)), 0);
	assert_int_equal(edged_plugin_v1.check(edged_str(bad), why, sizeof(why)), -22);
}

static void mapped(
        const struct bridge_settings *b, uint8_t way, const char *topic, const char *expected, int line)
{
	char out[TOPIC_MOST];
	struct edged_slice to = edged_slice(NULL, 0);
	const struct rule *rule = map_topic(b, way, edged_str(topic), out, &to);
	if (!expected ? rule != NULL : !rule || !edged_slice_is(to, expected))
		fail_msg("line %d: %s became %.*s", line, topic, EDGED_SLICE_FMT(to));
}
#define OUT(topic, expected) mapped(all.all, WAY_OUT, topic, expected, __LINE__)
#define IN(topic, expected)  mapped(all.all, WAY_IN, topic, expected, __LINE__)

static void topics_are_mapped(void **state)
{
	(void)state;
	struct bridges_settings all;
	assert_int_equal(
	        parse("{'b': {'address': 'h', 'topics': ["
	              "{'filter': 's/+', 'direction': 'out', 'remote_prefix': 'site/'},"
	              "{'filter': '#', 'direction': 'both', 'local_prefix': 'l/', 'remote_prefix': 'r/'},"
	              "{'filter': 'cmd', 'direction': 'in', 'local_prefix': 'from-'}]}}",
	                &all),
	        0);
	OUT("s/a", "site/s/a");
	OUT("s/a/b", NULL);
	OUT("l/a/b", "r/a/b");
	OUT("cmd", NULL);
	IN("site/s/a", NULL);
	IN("r/x", "l/x");
	IN("r/", "l/");
	IN("cmd", "from-cmd");
	IN("$SYS/x", NULL);
	char topic[TOPIC_MOST + 1];
	memset(topic, 'x', sizeof(topic));
	memcpy(topic, "s/", 2);
	topic[TOPIC_MOST - 2] = '\0';
	OUT(topic, NULL); /* too long with its prefix */
	settings_free(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_keys),
		cmocka_unit_test(defaults),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(topics_are_mapped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

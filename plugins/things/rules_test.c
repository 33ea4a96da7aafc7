/* SPDX-License-Identifier: Apache-2.0 */
/* What policies allow and deny. */
#include "plain_match_test.h"
#include "policy_rig_test.h"

static const struct someone lamp = { .client = "lamp",
	.ip = "192.168.1.7",
	.domain = "gate.local",
	.thing = "lamp",
	.type = "light",
	.attached = "true",
	.certificate = "c0ffee",
	.serial = "1234",
	.tls = "true",
	.attribute_key = "room",
	.attribute = "kitchen",
	.subject = { "lamp-1", "lamp-2" },
	.issuer = "Acme",
	.dns = { "lamp.local", "lamp.example" } };
static const struct someone nobody = { 0 };

struct row {
	const char *document;
	enum edged_action action;
	const char *resource;
	enum verdict verdict;
};

static void check(const struct someone *who, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct policy_request request = asks(rows[i].action, rows[i].resource);
		enum verdict verdict = judged(who, rows[i].document, &request);
		if (verdict != rows[i].verdict)
			fail_msg("row %zu: %d instead of %d for %s on %s", i, verdict, rows[i].verdict,
			        rows[i].document, rows[i].resource);
	}
}
#define CHECK(who, rows) check(who, rows, sizeof(rows) / sizeof((rows)[0]))

#define ALLOW(action, name) POLICY(STATEMENT("Allow", action, ON(name)))
#define TOPIC(name)         ALLOW("iot:Publish", "topic/" name)

static void actions_mean_what_aws_says(void **state)
{
	static const struct row rows[] = {
		{ ALLOW("iot:Publish", "topic/a"), EDGED_PUBLISH, "topic/a", VERDICT_ALLOW },
		{ ALLOW("iot:Publish", "topic/a"), EDGED_RETAIN_PUBLISH, "topic/a", VERDICT_NONE },
		{ ALLOW("iot:Publish", "topic/a"), EDGED_RECEIVE, "topic/a", VERDICT_NONE },
		{ ALLOW("IOT:publish", "topic/a"), EDGED_PUBLISH, "topic/a", VERDICT_ALLOW },
		{ ALLOW("iot:*Publish", "topic/a"), EDGED_RETAIN_PUBLISH, "topic/a", VERDICT_ALLOW },
		{ ALLOW("iot:Re?eive", "topic/a"), EDGED_RECEIVE, "topic/a", VERDICT_ALLOW },
		{ ALLOW("iot:Get*", "*"), EDGED_GET_SHADOW, "thing/a", VERDICT_ALLOW },
		{ ALLOW("iot:Get*", "*"), EDGED_GET_RETAINED, "topic/a", VERDICT_ALLOW },
		{ ALLOW("iot:Get*", "*"), EDGED_UPDATE_SHADOW, "thing/a", VERDICT_NONE },
		{ ALLOW("iot:*", "*"), EDGED_DISCOVER, "thing/a", VERDICT_NONE },
		{ ALLOW("greengrass:*", "*"), EDGED_DISCOVER, "thing/a", VERDICT_ALLOW },
		{ ALLOW("iotjobsdata:*", "thing/a"), EDGED_UPDATE_JOB, "thing/a", VERDICT_ALLOW },
		{ ALLOW("iot:UpdateJobExecution", "thing/a"), EDGED_UPDATE_JOB, "thing/a", VERDICT_ALLOW },
		{ ALLOW("iot:ListRetainedMessages", "*"), EDGED_LIST_RETAINED, "*", VERDICT_ALLOW },
		{ ALLOW("iot:ListRetainedMessages", "topic/*"), EDGED_LIST_RETAINED, "*", VERDICT_NONE },
		{ ALLOW("iot:AssumeRoleWithCertificate", "*"), EDGED_CONNECT, "client/a", VERDICT_NONE },
		{ POLICY("{\"Effect\":\"Allow\",\"NotAction\":\"iot:Publish\",\"Resource\":\"*\"}"),
		        EDGED_PUBLISH, "topic/a", VERDICT_NONE },
		{ POLICY("{\"Effect\":\"Allow\",\"NotAction\":\"iot:Publish\",\"Resource\":\"*\"}"),
		        EDGED_RECEIVE, "topic/a", VERDICT_ALLOW },
	};
	(void)state;
	CHECK(&lamp, rows);
}

static void resources_match_as_text_with_wildcards(void **state)
{
	static const struct row rows[] = {
		{ TOPIC("a/*"), EDGED_PUBLISH, "topic/a/b/c", VERDICT_ALLOW },
		{ TOPIC("a/*"), EDGED_PUBLISH, "topic/a/", VERDICT_ALLOW },
		{ TOPIC("a/*"), EDGED_PUBLISH, "topic/a", VERDICT_NONE },
		{ TOPIC("a/?"), EDGED_PUBLISH, "topic/a/b", VERDICT_ALLOW },
		{ TOPIC("a/?"), EDGED_PUBLISH, "topic/a/bc", VERDICT_NONE },
		{ TOPIC("a/?"), EDGED_PUBLISH, "topic/a/\xc3\xa9", VERDICT_ALLOW },
		{ TOPIC("a/??"), EDGED_PUBLISH, "topic/a/\xc3\xa9", VERDICT_NONE },
		{ TOPIC("a"), EDGED_PUBLISH, "topic/A", VERDICT_NONE },
		{ TOPIC("*/b"), EDGED_PUBLISH, "topic/a/b/b", VERDICT_ALLOW },
		{ TOPIC("*/b"), EDGED_PUBLISH, "topic/a/b/c", VERDICT_NONE },
		{ TOPIC("a*b*c"), EDGED_PUBLISH, "topic/abcbc", VERDICT_ALLOW },
		{ TOPIC("a*b*c"), EDGED_PUBLISH, "topic/acb", VERDICT_NONE },
		{ TOPIC("a*bc"), EDGED_PUBLISH, "topic/abcbc", VERDICT_ALLOW },
		{ TOPIC("a*b?d"), EDGED_PUBLISH, "topic/abxbcd", VERDICT_ALLOW },
		{ TOPIC("*?a"), EDGED_PUBLISH, "topic/a", VERDICT_NONE },
		{ TOPIC("*?a"), EDGED_PUBLISH, "topic/ba", VERDICT_ALLOW },
		{ TOPIC("a**b"), EDGED_PUBLISH, "topic/ab", VERDICT_ALLOW },
		{ TOPIC("*"), EDGED_PUBLISH, "topic/", VERDICT_ALLOW },
		{ TOPIC("a:b"), EDGED_PUBLISH, "topic/a:b", VERDICT_ALLOW },
		/* the wildcards of MQTT are text */
		{ TOPIC("a/+"), EDGED_PUBLISH, "topic/a/b", VERDICT_NONE },
		{ ALLOW("iot:Subscribe", "topicfilter/a/#"), EDGED_SUBSCRIBE, "topicfilter/a/#",
		        VERDICT_ALLOW },
		{ ALLOW("iot:Subscribe", "topicfilter/a/#"), EDGED_SUBSCRIBE, "topicfilter/a/b",
		        VERDICT_NONE },
		{ ALLOW("iot:Subscribe", "topicfilter/a/+/c"), EDGED_SUBSCRIBE, "topicfilter/a/+/c",
		        VERDICT_ALLOW },
		{ ALLOW("iot:Subscribe", "topicfilter/a/*"), EDGED_SUBSCRIBE, "topicfilter/a/#",
		        VERDICT_ALLOW },
		{ ALLOW("iot:Subscribe", "topicfilter/$share/*"), EDGED_SUBSCRIBE, "topicfilter/$share/g/a",
		        VERDICT_ALLOW },
		{ ALLOW("iot:Subscribe", "topic/a"), EDGED_SUBSCRIBE, "topicfilter/a", VERDICT_NONE },
		/* escapes */
		{ TOPIC("a${*}b"), EDGED_PUBLISH, "topic/a*b", VERDICT_ALLOW },
		{ TOPIC("a${*}b"), EDGED_PUBLISH, "topic/axb", VERDICT_NONE },
		{ TOPIC("${$}aws/${?}"), EDGED_PUBLISH, "topic/$aws/?", VERDICT_ALLOW },
		{ TOPIC("$aws/$x"), EDGED_PUBLISH, "topic/$aws/$x", VERDICT_ALLOW },
		/* ARNs */
		{ POLICY(STATEMENT("Allow", "iot:Publish", "\"Resource\":\"arn:aws-cn:iot:*:*:topic/a\"")),
		        EDGED_PUBLISH, "topic/a", VERDICT_ALLOW },
		{ POLICY(STATEMENT("Allow", "iot:Publish", "\"Resource\":\"arn:aws:iot:::topic/a\"")),
		        EDGED_PUBLISH, "topic/a", VERDICT_ALLOW },
		{ POLICY(STATEMENT("Allow", "iot:Publish", "\"Resource\":\"arn:aws:s3:::topic/a\"")),
		        EDGED_PUBLISH, "topic/a", VERDICT_NONE },
		{ POLICY(STATEMENT("Allow", "iot:Publish", "\"Resource\":\"arn:aws:iot:*\"")), EDGED_PUBLISH,
		        "topic/a", VERDICT_ALLOW },
		{ POLICY(STATEMENT("Allow", "iot:Publish", "\"Resource\":\"*\"")), EDGED_PUBLISH, "topic/a",
		        VERDICT_ALLOW },
		/* the kind of resource under a wildcard */
		{ ALLOW("iot:*", "topic*"), EDGED_PUBLISH, "topic/a", VERDICT_ALLOW },
		{ ALLOW("iot:*", "topic*"), EDGED_SUBSCRIBE, "topicfilter/a", VERDICT_ALLOW },
		{ ALLOW("iot:*", "topic*"), EDGED_CONNECT, "client/a", VERDICT_NONE },
		{ ALLOW("iot:*", "t?pic/a"), EDGED_PUBLISH, "topic/a", VERDICT_ALLOW },
		{ ALLOW("iot:*", "t?pic/a"), EDGED_PUBLISH, "topic/b", VERDICT_NONE },
		{ ALLOW("iot:*", "*/lamp"), EDGED_GET_SHADOW, "thing/lamp", VERDICT_ALLOW },
		{ ALLOW("iot:*", "*/lamp"), EDGED_GET_SHADOW, "thing/x/lamp", VERDICT_ALLOW },
		{ ALLOW("iot:*", "*/lamp"), EDGED_GET_SHADOW, "thing/lamp2", VERDICT_NONE },
		{ ALLOW("iot:*", "*c/lamp"), EDGED_PUBLISH, "topic/lamp", VERDICT_ALLOW },
		{ ALLOW("iot:*", "*c/lamp"), EDGED_PUBLISH, "topic/c/lamp", VERDICT_ALLOW },
		{ ALLOW("iot:*", "*c/lamp"), EDGED_GET_SHADOW, "thing/lamp", VERDICT_NONE },
		{ ALLOW("iot:*", "*t*i*c*"), EDGED_PUBLISH, "topic/x", VERDICT_ALLOW },
		{ ALLOW("iot:*", "cert/a"), EDGED_CONNECT, "client/a", VERDICT_NONE },
		{ ALLOW("iot:*", "topic"), EDGED_PUBLISH, "topic/", VERDICT_NONE },
	};
	(void)state;
	CHECK(&lamp, rows);
}

static void variables_take_the_values_of_the_connection(void **state)
{
	static const struct row rows[] = {
		{ TOPIC("${iot:ClientId}/x"), EDGED_PUBLISH, "topic/lamp/x", VERDICT_ALLOW },
		{ TOPIC("${iot:ClientId}/x"), EDGED_PUBLISH, "topic/lump/x", VERDICT_NONE },
		{ TOPIC("a/${IOT:CLIENTID}/*"), EDGED_PUBLISH, "topic/a/lamp/b/c", VERDICT_ALLOW },
		{ ALLOW("iot:Connect", "client/${iot:Connection.Thing.ThingName}"), EDGED_CONNECT,
		        "client/lamp", VERDICT_ALLOW },
		{ TOPIC("${iot:Connection.Thing.ThingTypeName}/${iot:Connection.Thing.Attributes[room]}"),
		        EDGED_PUBLISH, "topic/light/kitchen", VERDICT_ALLOW },
		{ TOPIC("${iot:Connection.Thing.Attributes[floor]}"), EDGED_PUBLISH,
		        "topic/${iot:Connection.Thing.Attributes[floor]}", VERDICT_NONE },
		{ TOPIC("${iot:Certificate.Subject.CommonName}"), EDGED_PUBLISH, "topic/lamp-1",
		        VERDICT_ALLOW },
		{ TOPIC("${iot:Certificate.Subject.CommonName.1}"), EDGED_PUBLISH, "topic/lamp-2",
		        VERDICT_ALLOW },
		{ TOPIC("${iot:Certificate.Subject.CommonName.2}"), EDGED_PUBLISH, "topic/", VERDICT_NONE },
		{ TOPIC("${iot:Certificate.Issuer.Organization}"), EDGED_PUBLISH, "topic/Acme",
		        VERDICT_ALLOW },
		{ TOPIC("${iot:Certificate.Subject.AlternativeName.DNSName.1}"), EDGED_PUBLISH,
		        "topic/lamp.example", VERDICT_ALLOW },
		{ TOPIC("${iot:CertificateId}/${iot:Certificate.SerialNumber}"), EDGED_PUBLISH,
		        "topic/c0ffee/1234", VERDICT_ALLOW },
		{ TOPIC("${aws:SourceIp}/${iot:DomainName}"), EDGED_PUBLISH, "topic/192.168.1.7/gate.local",
		        VERDICT_ALLOW },
		{ TOPIC("*${iot:ClientId}"), EDGED_PUBLISH, "topic/x/lamp", VERDICT_ALLOW },
		{ ALLOW("iot:Connect", "*/${iot:ClientId}"), EDGED_CONNECT, "client/lamp", VERDICT_ALLOW },
	};
	(void)state;
	CHECK(&lamp, rows);
}

static void what_is_not_known_allows_nothing(void **state)
{
	static const struct row rows[] = {
		{ TOPIC("${iot:ClientId}"), EDGED_PUBLISH, "topic/", VERDICT_NONE },
		{ TOPIC("${iot:ClientId}"), EDGED_PUBLISH, "topic/${iot:ClientId}", VERDICT_NONE },
		{ TOPIC("a${iot:ClientId}*"), EDGED_PUBLISH, "topic/a", VERDICT_NONE },
		{ POLICY("{\"Effect\":\"Allow\",\"Action\":\"*\",\"NotResource\":\"" ARN(
		          "topic/${iot:ClientId}") "\"}"),
		        EDGED_PUBLISH, "topic/b", VERDICT_NONE },
		{ POLICY("{\"Effect\":\"Deny\",\"Action\":\"*\",\"NotResource\":\"" ARN(
		          "topic/${iot:ClientId}") "\"}"),
		        EDGED_PUBLISH, "topic/b", VERDICT_DENY },
		{ POLICY(STATEMENT("Deny", "*", ON("topic/${iot:ClientId}"))), EDGED_PUBLISH, "topic/b",
		        VERDICT_NONE },
	};
	(void)state;
	CHECK(&nobody, rows);
}

static void patterns_match_what_a_plain_matcher_says(void **state)
{
	(void)state;
	uint64_t seed = 1;
	for (int i = 0; i < 200000; i++) {
		char bytes[32];
		for (size_t k = 0; k < sizeof(bytes); k++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
			bytes[k] = (char)(seed >> 56);
		}
		if (!matchers_agree(edged_slice(bytes + 2, (size_t)(bytes[0] & 15)),
		            edged_slice(bytes + 17, (size_t)(bytes[1] & 15))))
			fail_msg("number %d", i);
	}
}

/* A client chooses its id: it must not come to mean more than itself (the wildcard client ids of 2017). */
static void values_are_never_patterns_or_filters(void **state)
{
	char lengthy[2000];
	memset(lengthy, 'x', sizeof(lengthy) - 1);
	lengthy[sizeof(lengthy) - 1] = '\0';
	const char *const ids[] = { "+", "#", "a/#", "*", "?", "la*", "", "a\nb", "\x7f", lengthy };
	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		const struct someone who = { .client = ids[i] };
		char filter[2100];
		snprintf(filter, sizeof(filter), "topicfilter/my/%s/x", ids[i]);
		const struct row rows[] = {
			{ ALLOW("iot:Subscribe", "topicfilter/my/${iot:ClientId}/x"), EDGED_SUBSCRIBE, filter,
			        VERDICT_NONE },
			{ ALLOW("iot:*", "topic*/my/${iot:ClientId}/x"), EDGED_SUBSCRIBE, filter,
			        VERDICT_NONE },
			{ TOPIC("my/${iot:ClientId}/x"), EDGED_PUBLISH, "topic/my/lamp/x", VERDICT_NONE },
			{ POLICY("{\"Effect\":\"Deny\",\"Action\":\"*\",\"NotResource\":\"" ARN(
			          "topicfilter/my/${iot:ClientId}/x") "\"}"),
			        EDGED_SUBSCRIBE, filter, VERDICT_DENY },
		};
		CHECK(&who, rows);
		/* a Deny with the same text holds */
		struct policy_request request = asks(EDGED_SUBSCRIBE, filter);
		enum verdict verdict = judged(&who,
		        POLICY(STATEMENT("Deny", "*", ON("topicfilter/my/${iot:ClientId}/x"))), &request);
		assert_int_equal(verdict, ids[i] == lengthy ? VERDICT_NONE : VERDICT_DENY);
	}
}

static void a_deny_wins_over_every_allow(void **state)
{
	static const char *const two[] = { POLICY(STATEMENT("Allow", "*", "\"Resource\":\"*\"")),
		POLICY(STATEMENT("Allow", "iot:Publish", ON("topic/a")) "," STATEMENT(
		        "Deny", "iot:Publish", ON("topic/a"))) };
	struct policy_request a = asks(EDGED_PUBLISH, "topic/a"), b = asks(EDGED_PUBLISH, "topic/b"),
	                      receive = asks(EDGED_RECEIVE, "topic/a");
	(void)state;
	struct rules *rules = bound(&lamp, two, 2);
	assert_int_equal(rules_judge(rules, &a), VERDICT_DENY);
	assert_int_equal(rules_judge(rules, &b), VERDICT_ALLOW);
	assert_int_equal(rules_judge(rules, &receive), VERDICT_ALLOW);
	rules_unref(rules);
	rules = bound(&lamp, NULL, 0);
	assert_int_equal(rules_judge(rules, &b), VERDICT_NONE);
	rules_unref(rules);
}

#define IF(condition) POLICY(STATEMENT("Allow", "*", "\"Resource\":\"*\",\"Condition\":{" condition "}"))

static void conditions_hold_or_not(void **state)
{
	static const struct {
		const char *condition;
		bool lamp, nobody;
	} rows[] = {
		{ IF("\"StringEquals\":{\"iot:ClientId\":\"lamp\"}"), true, false },
		{ IF("\"StringEquals\":{\"iot:ClientId\":[\"x\",\"lamp\"]}"), true, false },
		{ IF("\"StringEquals\":{\"iot:ClientId\":\"l*\"}"), false, false },
		{ IF("\"StringEquals\":{\"iot:ClientId\":\"LAMP\"}"), false, false },
		{ IF("\"StringEqualsIgnoreCase\":{\"iot:ClientId\":\"LAMP\"}"), true, false },
		{ IF("\"StringNotEquals\":{\"iot:ClientId\":\"lamp\"}"), false, true },
		{ IF("\"StringNotEquals\":{\"iot:ClientId\":[\"x\",\"lamp\"]}"), false, true },
		{ IF("\"StringNotEquals\":{\"iot:ClientId\":\"x\"}"), true, true },
		{ IF("\"StringLike\":{\"iot:ClientId\":\"l?m*\"}"), true, false },
		{ IF("\"StringNotLike\":{\"iot:ClientId\":\"l?m*\"}"), false, true },
		{ IF("\"StringEqualsIfExists\":{\"iot:ClientId\":\"x\"}"), false, true },
		{ IF("\"StringEquals\":{\"iot:Connection.Thing.ThingName\":\"${iot:ClientId}\"}"), true,
		        false },
		{ IF("\"StringNotEquals\":{\"iot:ClientId\":\"${iot:Connection.Thing.Attributes[floor]}\"}"),
		        false, true },
		{ IF("\"Bool\":{\"iot:Connection.Thing.IsAttached\":\"true\"}"), true, false },
		{ IF("\"Bool\":{\"iot:Connection.Thing.IsAttached\":[\"false\"]}"), false, false },
		{ IF("\"Bool\":{\"aws:SecureTransport\":true}"), true, false },
		{ IF("\"Null\":{\"iot:Certificate.Subject.CommonName\":\"true\"}"), false, true },
		{ IF("\"Null\":{\"iot:Certificate.Subject.CommonName\":\"false\"}"), true, false },
		{ IF("\"IpAddress\":{\"aws:SourceIp\":\"192.168.0.0/16\"}"), true, false },
		{ IF("\"IpAddress\":{\"aws:SourceIp\":[\"10.0.0.0/8\",\"192.168.1.6/31\"]}"), true, false },
		{ IF("\"IpAddress\":{\"aws:SourceIp\":\"192.168.1.8/29\"}"), false, false },
		{ IF("\"IpAddress\":{\"aws:SourceIp\":\"::/0\"}"), true, false },
		{ IF("\"NotIpAddress\":{\"aws:SourceIp\":\"192.168.0.0/16\"}"), false, true },
		{ IF("\"NumericGreaterThan\":{\"iot:Certificate.SerialNumber\":1000}"), true, false },
		{ IF("\"NumericLessThanEquals\":{\"iot:Certificate.SerialNumber\":\"1233\"}"), false, false },
		{ IF("\"NumericNotEquals\":{\"iot:Certificate.SerialNumber\":1234}"), false, true },
		{ IF("\"ForAnyValue:StringEquals\":{\"iot:Certificate.Subject.CommonName.List\":\"lamp-2\"}"),
		        true, false },
		{ IF("\"ForAllValues:StringEquals\":{\"iot:Certificate.Subject.CommonName.List\":\"lamp-"
		     "2\"}"),
		        false, true },
		{ IF("\"ForAllValues:StringLike\":{\"iot:Certificate.Subject.CommonName.List\":\"lamp-?\"}"),
		        true, true },
		{ IF("\"ForAnyValue:StringNotEquals\":{\"iot:Certificate.Subject.CommonName.List\":\"lamp-"
		     "2\"}"),
		        true, false },
		/* all of them must hold */
		{ IF("\"StringEquals\":{\"iot:ClientId\":\"lamp\",\"iot:Connection.Thing.ThingName\":\"x\"}"),
		        false, false },
		{ IF("\"StringEquals\":{\"iot:ClientId\":\"lamp\"},\"IpAddress\":{\"aws:SourceIp\":\"10.0.0."
		     "0/8\"}"),
		        false, false },
	};
	struct policy_request request = asks(EDGED_PUBLISH, "topic/a");
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum verdict first = judged(&lamp, rows[i].condition, &request),
		             second = judged(&nobody, rows[i].condition, &request);
		if ((first == VERDICT_ALLOW) != rows[i].lamp || (second == VERDICT_ALLOW) != rows[i].nobody)
			fail_msg("row %zu: %d %d: %s", i, first, second, rows[i].condition);
	}
}

static void a_deny_holds_where_its_operand_is_not_known(void **state)
{
	struct policy_request request = asks(EDGED_CONNECT, "client/a");
	const struct someone who = { .client = "a" };
	(void)state;
	assert_int_equal(judged(&who,
	                         POLICY(STATEMENT("Deny", "*",
	                                 "\"Resource\":\"*\",\"Condition\":{\"StringNotEquals\":{\"iot:"
	                                 "ClientId\":\"${iot:"
	                                 "Connection.Thing.ThingName}\"}}")),
	                         &request),
	        VERDICT_DENY);
}

static void connect_attributes_are_judged_at_connect(void **state)
{
	static const struct {
		const char *condition;
		bool with[4]; /* nothing, persistent, will, both */
		bool other;
	} rows[] = {
		{ IF("\"ForAnyValue:StringEquals\":{\"iot:ConnectAttributes\":\"PersistentConnect\"}"),
		        { false, true, false, true }, false },
		{ IF("\"ForAllValues:StringEquals\":{\"iot:ConnectAttributes\":\"PersistentConnect\"}"),
		        { true, true, false, false }, true },
		{ IF("\"ForAllValues:StringEquals\":{\"iot:ConnectAttributes\":[\"PersistentConnect\","
		     "\"LastWill\"]}"),
		        { true, true, true, true }, true },
		{ IF("\"ForAllValues:StringNotEquals\":{\"iot:ConnectAttributes\":[\"LastWill\"]}"),
		        { true, true, false, false }, true },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rules *rules = bound(&lamp, &rows[i].condition, 1);
		struct policy_request request = asks(EDGED_CONNECT, "client/lamp");
		for (uint8_t set = 0; set < 4; set++) {
			request.attributes = set;
			assert_int_equal(rules_judge(rules, &request) == VERDICT_ALLOW, rows[i].with[set]);
		}
		request = asks(EDGED_PUBLISH, "topic/a");
		assert_int_equal(rules_judge(rules, &request) == VERDICT_ALLOW, rows[i].other);
		rules_unref(rules);
	}
}

static void times_are_judged_at_the_request(void **state)
{
	static const char *const documents[] = {
		IF("\"DateGreaterThan\":{\"aws:CurrentTime\":\"2026-01-01T00:00:00Z\"},\"DateLessThan\":{"
		   "\"aws:CurrentTime\":"
		   "\"2026-01-01T01:00:00+00:30\"}"),
		IF("\"NumericGreaterThan\":{\"aws:EpochTime\":1767225600},\"NumericLessThan\":{\"aws:"
		   "EpochTime\":\"1767227400\"}"),
	};
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct rules *rules = bound(&lamp, &documents[i], 1);
		struct policy_request request = asks(EDGED_PUBLISH, "topic/a");
		assert_true(rules_timed(rules));
		static const struct {
			int64_t now;
			enum verdict verdict;
		} rows[] = { { 1767225600, VERDICT_NONE }, { 1767225601, VERDICT_ALLOW },
			{ 1767227399, VERDICT_ALLOW }, { 1767227400, VERDICT_NONE } };
		for (size_t k = 0; k < 4; k++) {
			request.now_s = rows[k].now;
			assert_int_equal(rules_judge(rules, &request), rows[k].verdict);
		}
		rules_unref(rules);
	}
	struct rules *rules = bound(&lamp, (const char *[]){ TOPIC("a") }, 1);
	assert_false(rules_timed(rules));
	rules_unref(rules);
}

static void a_constant_policy_says_so(void **state)
{
	static const struct {
		const char *document;
		bool constant;
	} rows[] = { { TOPIC("a/*"), true }, { TOPIC("${iot:ClientId}"), false },
		{ IF("\"Bool\":{\"aws:SecureTransport\":true}"), false } };
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct policy *policy = compiled(rows[i].document);
		assert_int_equal(policy_constant(policy), rows[i].constant);
		policy_unref(policy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(actions_mean_what_aws_says),
		cmocka_unit_test(resources_match_as_text_with_wildcards),
		cmocka_unit_test(patterns_match_what_a_plain_matcher_says),
		cmocka_unit_test(variables_take_the_values_of_the_connection),
		cmocka_unit_test(what_is_not_known_allows_nothing),
		cmocka_unit_test(values_are_never_patterns_or_filters),
		cmocka_unit_test(a_deny_wins_over_every_allow),
		cmocka_unit_test(conditions_hold_or_not),
		cmocka_unit_test(a_deny_holds_where_its_operand_is_not_known),
		cmocka_unit_test(connect_attributes_are_judged_at_connect),
		cmocka_unit_test(times_are_judged_at_the_request),
		cmocka_unit_test(a_constant_policy_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

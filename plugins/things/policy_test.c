/* SPDX-License-Identifier: Apache-2.0 */
/* Documents: what is read, and what is refused with its place and reason. */
#include "policy_rig_test.h"

static void documents_in_all_their_forms_are_read(void **state)
{
	static const char *const good[] = {
		POLICY(STATEMENT("Allow", "iot:*", "\"Resource\":\"*\"")),
		"{\"Version\":\"2012-10-17\",\"Id\":\"x\",\"Statement\":" STATEMENT(
		        "Deny", "iot:Connect", ON("client/a")) "}",
		POLICY("{\"Sid\":\"1\",\"Effect\":\"Allow\",\"Action\":[\"iot:Publish\",\"iot:get*\"],"
		       "\"Resource\":[\"" ARN("topic/a") "\",\"*\"]}"),
		POLICY("{\"Effect\":\"Allow\",\"NotAction\":\"iot:Publish\",\"NotResource\":\"" ARN(
		        "topic/a") "\"}"),
		"{\"Statement\":[" STATEMENT("Allow", "iot:Publish", ON("topic/${*}")) "]}",
		POLICY(STATEMENT(
		        "Allow", "greengrass:Discover", ON("thing/${iot:Connection.Thing.ThingName}"))),
		POLICY(STATEMENT("Allow", "*", "\"Resource\":\"arn:aws:iot:*\"")),
		POLICY(STATEMENT("Allow", "iot:AssumeRoleWithCertificate", "\"Resource\":\"*\"")),
		POLICY(STATEMENT("Allow", "iot:Connect",
		        "\"Resource\":\"*\",\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":[\"10.0.0.0/"
		        "8\",\"fe80::/"
		        "10\"]},\"Bool\":{\"aws:SecureTransport\":true},\"NumericLessThan\":{\"aws:"
		        "EpochTime\":4e9}}")),
	};
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		policy_unref(compiled(good[i]));
}

static void errors_name_their_place_and_reason(void **state)
{
	static const struct {
		const char *document, *path, *reason;
	} rows[] = {
		{ "", "", "no valid JSON" },
		{ "[]", "", "a policy is an object" },
		{ "{\"Version\":\"2012-10-17\"", "", "no valid JSON" },
		{ "{\"Version\":\"2012-10-17\",\"Version\":\"2012-10-17\",\"Statement\":[]}", "",
		        "no valid JSON" },
		{ "{\"Version\":\"2015-10-17\",\"Statement\":[]}", "Version", "2012-10-17" },
		{ "{\"Version\":2012,\"Statement\":[]}", "Version", "2012-10-17" },
		{ POLICY(""), "Statement", "no statement" },
		{ "{\"Version\":\"2012-10-17\"}", "Statement", "no statement" },
		{ "{\"version\":\"2012-10-17\"}", "version", "no such member" },
		{ POLICY("7"), "Statement[0]", "object" },
		{ POLICY("{\"Effect\":\"Allow\",\"Principal\":\"*\"}"), "Statement[0].Principal",
		        "no such member" },
		{ POLICY(STATEMENT("allow", "iot:Publish", "\"Resource\":\"*\"")), "Statement[0]", "Effect" },
		{ POLICY("{\"Effect\":\"Allow\",\"Resource\":\"*\"}"), "Statement[0]", "Action" },
		{ POLICY("{\"Effect\":\"Allow\",\"Action\":\"*\",\"NotAction\":\"*\",\"Resource\":\"*\"}"),
		        "Statement[0]", "Action" },
		{ POLICY("{\"Effect\":\"Allow\",\"Action\":\"*\"}"), "Statement[0]", "Resource" },
		{ POLICY(STATEMENT("Allow", "iot:Publsh", "\"Resource\":\"*\"")), "Statement[0].Action",
		        "no action" },
		{ POLICY(STATEMENT("Allow", "s3:*", "\"Resource\":\"*\"")), "Statement[0].Action",
		        "no action" },
		{ POLICY("{\"Effect\":\"Allow\",\"Action\":[\"iot:Publish\",3],\"Resource\":\"*\"}"),
		        "Statement[0].Action[1]", "string" },
		{ POLICY("{\"Effect\":\"Allow\",\"Action\":[],\"Resource\":\"*\"}"), "Statement[0].Action",
		        "empty" },
		{ POLICY(STATEMENT("Allow", "iot:Publish", "\"Resource\":\"*\"") "," STATEMENT(
		          "Deny", "iot:Publish", "\"Resource\":[\"*\",\"topic/a\"]")),
		        "Statement[1].Resource[1]", "ARN" },
		{ POLICY(STATEMENT("Allow", "iot:Publish", "\"Resource\":\"arn:aws:iot:r:a\"")),
		        "Statement[0].Resource", "ARN" },
		{ POLICY(STATEMENT("Allow", "iot:Publish", ON("topic/${iot:ClientID2}"))),
		        "Statement[0].Resource", "no such policy variable" },
		{ POLICY(STATEMENT("Allow", "iot:Publish", ON("topic/${iot:ClientId"))),
		        "Statement[0].Resource", "no \"}\"" },
		{ POLICY(STATEMENT(
		          "Allow", "iot:Publish", ON("topic/${iot:Certificate.Subject.Country.List}"))),
		        "Statement[0].Resource", "Condition" },
		{ POLICY(STATEMENT("Allow", "iot:Publish", ON("topic/${aws:CurrentTime}"))),
		        "Statement[0].Resource", "Condition" },
		{ "{\"Statement\":" STATEMENT("Allow", "iot:Publish", ON("topic/${iot:ClientId}")) "}",
		        "Statement.Resource", "Version" },
		{ POLICY(STATEMENT("Allow", "*", "\"Resource\":\"*\",\"Condition\":[]")),
		        "Statement[0].Condition", "object" },
		{ POLICY(STATEMENT("Allow", "*",
		          "\"Resource\":\"*\",\"Condition\":{\"Equals\":{\"iot:ClientId\":\"a\"}}")),
		        "Statement[0].Condition.Equals.iot:ClientId", "no such operator" },
		{ POLICY(STATEMENT("Allow", "*",
		          "\"Resource\":\"*\",\"Condition\":{\"StringEquals\":{\"iot:Client\":\"a\"}}")),
		        "Statement[0].Condition.StringEquals.iot:Client", "no such condition key" },
		{ POLICY(STATEMENT("Allow", "*",
		          "\"Resource\":\"*\",\"Condition\":{\"StringEquals\":{\"iot:ClientId\":[]}}")),
		        "Statement[0].Condition.StringEquals.iot:ClientId", "value" },
		{ POLICY(STATEMENT("Allow", "*",
		          "\"Resource\":\"*\",\"Condition\":{\"StringEquals\":{\"iot:ClientId\":null}}")),
		        "Statement[0].Condition.StringEquals.iot:ClientId", "strings" },
		{ POLICY(STATEMENT("Allow", "*",
		          "\"Resource\":\"*\",\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/"
		          "33\"}}")),
		        "Statement[0].Condition.IpAddress.aws:SourceIp", "network" },
		{ POLICY(STATEMENT("Allow", "*",
		          "\"Resource\":\"*\",\"Condition\":{\"DateLessThan\":{\"aws:CurrentTime\":"
		          "\"tomorrow\"}}")),
		        "Statement[0].Condition.DateLessThan.aws:CurrentTime", "time" },
		{ POLICY(STATEMENT("Allow", "*",
		          "\"Resource\":\"*\",\"Condition\":{\"StringEquals\":{\"iot:ConnectAttributes\":"
		          "\"LastWill\"}}")),
		        "Statement[0].Condition.StringEquals.iot:ConnectAttributes", "ForAnyValue" },
		{ POLICY(STATEMENT("Allow", "*",
		          "\"Resource\":\"*\",\"Condition\":{\"StringEquals\":{\"aws:CurrentTime\":\"2026-01-"
		          "01\"}}")),
		        "Statement[0].Condition.StringEquals.aws:CurrentTime", "Date" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy *policy = NULL;
		struct policy_error error;
		assert_int_equal(policy_compile(edged_str(rows[i].document), 2048, &policy, &error), -EINVAL);
		assert_null(policy);
		assert_string_equal(error.path, rows[i].path);
		if (!strstr(error.reason, rows[i].reason))
			fail_msg("row %zu: %s", i, error.reason);
	}
}

static void size_is_counted_without_white_space(void **state)
{
	char text[3000];
	struct policy *policy = NULL;
	struct policy_error error;
	(void)state;
	int n = snprintf(
	        text, sizeof(text), "%1000s%s", "", POLICY(STATEMENT("Allow", "*", "\"Resource\":\"*\"")));
	size_t compact = (size_t)n - 1000;
	assert_int_equal(policy_compile(edged_slice(text, (size_t)n), compact, &policy, &error),
	        -EINVAL); /* 8 times that */
	assert_int_equal(
	        policy_compile(edged_slice(text + 900, (size_t)n - 900), compact, &policy, &error), 0);
	policy_unref(policy);
	assert_int_equal(
	        policy_compile(edged_slice(text + 900, (size_t)n - 900), compact - 1, &policy, &error),
	        -EINVAL);
	assert_non_null(strstr(error.reason, "white space"));
}

static void names_in_errors_are_printable(void **state)
{
	struct policy *policy = NULL;
	struct policy_error error;
	(void)state;
	assert_int_equal(
	        policy_compile(edged_str("{\"\\u001b[31m\\u00e9\":1}"), 2048, &policy, &error), -EINVAL);
	assert_string_equal(error.path, "?[31m??");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_in_all_their_forms_are_read),
		cmocka_unit_test(errors_name_their_place_and_reason),
		cmocka_unit_test(size_is_counted_without_white_space),
		cmocka_unit_test(names_in_errors_are_printable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

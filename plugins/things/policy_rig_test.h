/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of policies: a subject made of a short text, and judging in one line. */
#ifndef THINGS_POLICY_RIG_TEST_H
#define THINGS_POLICY_RIG_TEST_H

#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "rules.h"

/* Values by variable; index counts within fields of a certificate. NULL: it has none. */
struct someone {
	const char *client, *ip, *domain, *thing, *type, *attached, *certificate, *serial, *tls;
	const char *attribute_key, *attribute;
	const char *subject[4]; /* common names */
	const char *issuer;     /* organization */
	const char *dns[3];
};

static inline bool someone_value(
        const void *arg, const struct variable *v, unsigned index, struct edged_slice *ret)
{
	const struct someone *who = arg;
	const char *text = NULL;
	const char *const single[] = { [VARIABLE_CLIENT_ID] = who->client,
		[VARIABLE_SOURCE_IP] = who->ip,
		[VARIABLE_DOMAIN] = who->domain,
		[VARIABLE_THING] = who->thing,
		[VARIABLE_THING_TYPE] = who->type,
		[VARIABLE_ATTACHED] = who->attached,
		[VARIABLE_CERTIFICATE_ID] = who->certificate,
		[VARIABLE_CERTIFICATE_SERIAL] = who->serial,
		[VARIABLE_TLS] = who->tls };
	if (v->id == VARIABLE_THING_ATTRIBUTE)
		text = who->attribute_key && edged_slice_is(v->key, who->attribute_key) && index == 0
		               ? who->attribute
		               : NULL;
	else if (v->id == VARIABLE_SUBJECT)
		text = v->field == FIELD_COMMON_NAME && index < 4 ? who->subject[index] : NULL;
	else if (v->id == VARIABLE_ISSUER)
		text = v->field == FIELD_ORGANIZATION && index == 0 ? who->issuer : NULL;
	else if (v->id == VARIABLE_ALTERNATIVE)
		text = v->field == ALTERNATIVE_DNS && index < 3 ? who->dns[index] : NULL;
	else if (index == 0)
		text = single[v->id];
	*ret = edged_str(text);
	return text != NULL;
}

static inline struct policy *compiled(const char *document)
{
	struct policy *policy = NULL;
	struct policy_error error;
	if (policy_compile(edged_str(document), 2048, &policy, &error))
		fail_msg("%s: %s\n%s", error.path, error.reason, document);
	return policy;
}

static inline struct rules *bound(const struct someone *who, const char *const *documents, size_t count)
{
	struct policy *policies[10] = { 0 };
	struct rules *rules = NULL;
	const struct subject subject = { someone_value, who };
	for (size_t i = 0; i < count; i++)
		policies[i] = compiled(documents[i]);
	assert_int_equal(rules_bind(policies, count, &subject, &rules), 0);
	for (size_t i = 0; i < count; i++)
		policy_unref(policies[i]);
	return rules;
}

static inline struct policy_request asks(enum edged_action action, const char *resource)
{
	struct policy_request request = {
		.action = (uint8_t)action, .resource = RESOURCE_NONE, .attributes = ATTRIBUTES_NONE
	};
	for (int i = 0; i < RESOURCE_NONE; i++)
		if (edged_slice_starts(edged_str(resource), resource_prefix(i).ptr)) {
			request.resource = (uint8_t)i;
			request.name = edged_str(resource + resource_prefix(i).len);
		}
	if (action == EDGED_CONNECT)
		request.attributes = 0;
	return request;
}

/* One document, one request. */
static inline enum verdict judged(
        const struct someone *who, const char *document, const struct policy_request *request)
{
	struct rules *rules = bound(who, &document, 1);
	enum verdict verdict = rules_judge(rules, request);
	rules_unref(rules);
	return verdict;
}

#define STATEMENT(effect, action, members) "{\"Effect\":\"" effect "\",\"Action\":\"" action "\"," members "}"
#define POLICY(statements)                 "{\"Version\":\"2012-10-17\",\"Statement\":[" statements "]}"
#define ARN(name)                          "arn:aws:iot:eu-central-1:123456789012:" name
#define ON(name)                           "\"Resource\":\"" ARN(name) "\""

#endif

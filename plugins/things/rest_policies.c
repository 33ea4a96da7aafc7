/* SPDX-License-Identifier: Apache-2.0 */
#include "rest_policies.h"

#include <errno.h>
#include <stdio.h>
#include "doc.h"
#include "rest_common.h"
#include "routes.h"

int put_policy(void *self, edged_handle request)
{
	struct things *t = self;
	struct edged_slice name = t->http->param(t->host, request, "policy"),
	                   text = t->http->body(t->host, request);
	struct policy *policy = NULL;
	struct policy_error error;
	char detail[sizeof(error.path) + sizeof(error.reason) + 8];
	int r = rest_name(t, request, name, KIND_POLICY);
	if (!r)
		r = policy_compile(text, t->policy_bytes, &policy, &error);
	policy_unref(policy);
	if (r == -EINVAL) {
		snprintf(detail, sizeof(detail), "%s%s%s.", error.path, error.path[0] ? ": " : "",
		        error.reason);
		r = rest_problem(t, request, 400, "bad-policy", "The policy document is not valid", detail);
	}
	if (!r) {
		json_t *document = json_loadb(text.ptr, text.len, 0, NULL);
		r = rest_put(t, request, KIND_POLICY, name, json_pack("{s:o}", "document", document));
	}
	return rest_done(r);
}

int put_group(void *self, edged_handle request)
{
	struct things *t = self;
	struct edged_slice name = t->http->param(t->host, request, "group");
	json_t *body = NULL;
	char why[DOC_WHY_MAX];
	int r = rest_name(t, request, name, KIND_GROUP);
	if (!r)
		r = rest_body(t, request, true, &body);
	if (!r && doc_check(t->registry, KIND_GROUP, body, why))
		r = rest_problem(t, request, 400, "bad-member", "The group is not valid", why);
	if (!r)
		r = rest_put(t, request, KIND_GROUP, name, json_incref(body));
	json_decref(body);
	return rest_done(r);
}

/* --- targets ----------------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *word;
	enum kind kind;
} kinds[] = { { "things", KIND_THING }, { "groups", KIND_GROUP }, { "certificates", KIND_CERTIFICATE },
	{ "users", KIND_USER }, { "keys", KIND_KEY } };

static int find_target(struct things *t, edged_handle request, enum kind *ret_kind, const struct record **ret)
{
	struct edged_slice word = t->http->param(t->host, request, "kind");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (edged_slice_is(word, kinds[i].word)) {
			*ret_kind = kinds[i].kind;
			return rest_record(t, request, "name", kinds[i].kind, ret);
		}
	return rest_problem(t, request, 404, "no-such-kind", "Policies are not attached to such a thing",
	        "They are attached to things, groups, certificates, users and keys.");
}

static int set_target(void *self, edged_handle request, bool in)
{
	struct things *t = self;
	enum kind kind = KIND_THING;
	const struct record *policy, *target;
	int r = rest_record(t, request, "policy", KIND_POLICY, &policy);
	if (!r)
		r = find_target(t, request, &kind, &target);
	json_t *doc = r ? NULL : record_json(target);
	if (!r)
		r = doc ? doc_list_set(doc, "policies", policy->name, in) : -ENOMEM;
	if (!r && json_array_size(json_object_get(doc, "policies")) > POLICIES_MAX)
		r = rest_problem(t, request, 409, "too-many-policies", "It has 10 policies already",
		        "Put statements together into fewer policies.");
	if (r == -EALREADY)
		r = rest_reply(t, request, 200, doc_public(target, kind, true));
	else if (!r) {
		const struct change change = { kind, t->http->param(t->host, request, "name"), doc };
		r = rest_write(t, request, &change, 1, 200, NULL);
	}
	json_decref(doc);
	return rest_done(r);
}

int attach_policy(void *self, edged_handle request)
{
	return set_target(self, request, true);
}

int detach_policy(void *self, edged_handle request)
{
	return set_target(self, request, false);
}

enum { TARGETS_MAX = 1000 };

int list_targets(void *self, edged_handle request)
{
	struct things *t = self;
	const struct record *policy;
	int r = rest_record(t, request, "policy", KIND_POLICY, &policy);
	if (r)
		return rest_done(r);
	json_t *list = json_array();
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct table *table = registry_table(t->registry, kinds[i].kind);
		for (size_t k = 0; k < table->count && json_array_size(list) < TARGETS_MAX; k++) {
			if (!record_mentions(table->list[k], edged_str(policy->name)))
				continue;
			json_t *doc = record_json(table->list[k]);
			if (doc_lists(doc, "policies", policy->name))
				json_array_append_new(list, json_pack("{s:s,s:s}", "kind", kinds[i].word,
				                                    "name", table->list[k]->name));
			json_decref(doc);
		}
	}
	return rest_done(rest_reply(t, request, 200, json_pack("{s:o}", "data", list)));
}

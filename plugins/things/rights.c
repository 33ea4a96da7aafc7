/* SPDX-License-Identifier: Apache-2.0 */
#include "rights.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "rules.h"
#include "who.h"
#include "x509.h"

struct rights {
	struct rules *rules;
	uint8_t attributes; /* of a client that connects */
};

enum { POLICY_COUNT_MAX = POLICIES_MAX * (2 + GROUPS_MAX) };

/* --- principals --------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *prefix;
	enum kind kind;
} principals[] = { { "cert:", KIND_CERTIFICATE }, { "user:", KIND_USER }, { "key:", KIND_KEY } };

void principal_write(enum kind kind, struct edged_slice name, char ret[PRINCIPAL_MAX])
{
	for (size_t i = 0; i < sizeof(principals) / sizeof(principals[0]); i++)
		if (principals[i].kind == kind)
			snprintf(ret, PRINCIPAL_MAX, "%s%.*s", principals[i].prefix, EDGED_SLICE_FMT(name));
}

enum kind principal_read(const char *principal, struct edged_slice *ret_name)
{
	for (size_t i = 0; i < sizeof(principals) / sizeof(principals[0]); i++)
		if (edged_slice_starts(edged_str(principal), principals[i].prefix)) {
			*ret_name = edged_str(principal + strlen(principals[i].prefix));
			return principals[i].kind;
		}
	return KINDS;
}

/* --- flaws ------------------------------------------------------------------------------------------------------------- */

static int64_t wall_s(void)
{
	return (int64_t)time(NULL);
}

static struct edged_slice text_of(const json_t *value)
{
	return edged_slice(json_string_value(value), json_string_length(value));
}

/* To read a certificate takes OpenSSL the better part of a millisecond, on the main loop: once is enough. */
static int64_t ends_at(const struct record *record, const json_t *doc)
{
	struct record *kept = (struct record *)(uintptr_t)record;
	if (kept->ends)
		return kept->ends;
	struct x509_st *certificate = x509_read(text_of(json_object_get(doc, "pem")));
	int64_t until = certificate ? x509_until(certificate) : -1;
	x509_free(certificate);
	kept->ends = until ? until : -1;
	return kept->ends;
}

static const char *certificate_flaw(const struct record *record, const json_t *doc)
{
	const char *status = json_string_value(json_object_get(doc, "status"));
	const json_t *until = json_object_get(doc, "until");
	if (!status || strcmp(status, "ACTIVE") != 0)
		return status && strcmp(status, "REVOKED") == 0 ? "the certificate has been revoked"
		                                                : "the certificate is not active";
	if (until && json_integer_value(until) <= wall_s() * 1000)
		return "the certificate has been replaced by another one";
	return ends_at(record, doc) > wall_s() ? NULL : "the certificate is out of date";
}

static bool disabled(const struct record *record)
{
	json_t *doc = record_json(record);
	bool ret = !doc || json_is_false(json_object_get(doc, "enabled"));
	json_decref(doc);
	return ret;
}

const char *rights_flaw(
        const struct registry *registry, enum kind kind, const struct record *record, const json_t *doc)
{
	const char *why = kind == KIND_CERTIFICATE ? certificate_flaw(record, doc) : NULL;
	const json_t *of = json_object_get(doc, "thing");
	const struct record *thing = of ? registry_find(registry, KIND_THING, text_of(of)) : NULL;
	if (why)
		return why;
	if (json_is_false(json_object_get(doc, "enabled")))
		return kind == KIND_KEY ? "the key is disabled" : "the user is disabled";
	if (of && !thing)
		return "its thing is gone";
	return thing && disabled(thing) ? "the thing is disabled" : NULL;
}

/* --- policies ---------------------------------------------------------------------------------------------------------- */

struct policies {
	struct policy *list[POLICY_COUNT_MAX];
	size_t count;
};

/* A policy that is not there, or cannot be read, might have been a Deny. */
static int add_policies(const struct registry *registry, const json_t *doc, struct policies *to)
{
	size_t i;
	const json_t *name;
	json_array_foreach(json_object_get(doc, "policies"), i, name)
	{
		const struct record *record = registry_find(registry, KIND_POLICY,
		        edged_slice(json_string_value(name), json_string_length(name)));
		if (!record || !record->policy || to->count == POLICY_COUNT_MAX)
			return -ENOENT;
		to->list[to->count++] = record->policy;
	}
	return 0;
}

static int add_groups(const struct registry *registry, const json_t *thing, struct policies *to)
{
	size_t i;
	const json_t *name;
	int r = 0;
	json_array_foreach(json_object_get(thing, "groups"), i, name)
	{
		const struct record *record = registry_find(
		        registry, KIND_GROUP, edged_slice(json_string_value(name), json_string_length(name)));
		json_t *doc = record ? record_json(record) : NULL;
		r = doc ? add_policies(registry, doc, to) : -ENOENT;
		json_decref(doc);
		if (r)
			return r;
	}
	return 0;
}

static int bind_rules(struct things *t, const json_t *doc, struct who *who, struct rules **ret)
{
	struct policies policies = { .count = 0 };
	const struct record *thing =
	        who->thing ? registry_find(t->registry, KIND_THING, edged_str(who->thing)) : NULL;
	json_t *thing_doc = thing ? record_json(thing) : NULL;
	who->thing_doc = thing_doc;
	const struct subject subject = who_subject(who);
	int r = add_policies(t->registry, doc, &policies);
	if (!r && thing_doc)
		r = add_policies(t->registry, thing_doc, &policies);
	if (!r && thing_doc)
		r = add_groups(t->registry, thing_doc, &policies);
	if (!r)
		r = rules_bind(policies.list, policies.count, &subject, ret);
	json_decref(thing_doc);
	return r;
}

static int bind_record(struct things *t, const struct edged_door *door, enum kind kind,
        const struct record *record, struct rules **ret)
{
	json_t *doc = record_json(record);
	const char *why = doc ? rights_flaw(t->registry, kind, record, doc) : "no memory";
	struct who who = { .client_id = door->client_id,
		.address = door->peer ? door->peer->address : NULL,
		.domain = door->peer && EDGED_HAS(door->peer, server_name) ? door->peer->server_name : NULL,
		.connected = door->peer != NULL,
		.tls = door->peer && door->peer->tls,
		.thing = json_string_value(json_object_get(doc, "thing")) };
	if (kind == KIND_CERTIFICATE) {
		who.certificate_id = record->name;
		who.pem = text_of(json_object_get(doc, "pem"));
	}
	int r = why ? -EACCES : bind_rules(t, doc, &who, ret);
	if (r == -ENOENT)
		t->log->log(t->host, EDGED_ERROR,
		        "%s %s: a policy or group of it is missing or not valid, so it may do nothing",
		        kind_word(kind), record->name);
	who_fini(&who);
	json_decref(doc);
	return r;
}

/* --- rights ------------------------------------------------------------------------------------------------------------ */

int rights_bind(struct things *t, const struct edged_door *door, const char *principal, struct rights **ret)
{
	struct edged_slice name;
	enum kind kind = principal_read(principal, &name);
	const struct record *record = kind == KINDS ? NULL : registry_find(t->registry, kind, name);
	struct rights *rights = record ? calloc(1, sizeof(*rights)) : NULL;
	if (!rights)
		return record ? -ENOMEM : -ENOENT;
	rights->attributes =
	        (uint8_t)((door->persistent ? ATTRIBUTE_PERSISTENT : 0) | (door->will ? ATTRIBUTE_WILL : 0));
	int r = bind_record(t, door, kind, record, &rights->rules);
	if (r)
		free(rights);
	else
		*ret = rights;
	return r;
}

void rights_free(struct rights *rights)
{
	rules_unref(rights->rules);
	free(rights);
}

bool rights_allow(const struct rights *rights, enum edged_action action, struct edged_slice resource)
{
	if (action >= EDGED_ACTION_COUNT)
		return false;
	enum resource kind = action_resource(action);
	const struct policy_request request = { .action = (uint8_t)action,
		.resource = (uint8_t)kind,
		.attributes = action == EDGED_CONNECT ? rights->attributes : ATTRIBUTES_NONE,
		.name = kind == RESOURCE_NONE ? edged_slice(NULL, 0) : resource,
		.now_s = rules_timed(rights->rules) ? wall_s() : 0 };
	return rules_judge(rights->rules, &request) == VERDICT_ALLOW;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "decider.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "rest_certificates.h"
#include "rules.h"
#include "who.h"
#include "x509.h"

struct decider {
	struct things *things;
	const struct edged_auth_1 *auth;
	struct edged_timer *timer; /* the next certificate ends */
	bool started;
	int64_t *refused, *logins;
};

struct rights {
	struct rules *rules;
	uint8_t attributes; /* of a client that connects */
};

enum { POLICY_COUNT_MAX = POLICIES_MAX * (2 + GROUPS_MAX) };

static const char prefix[] = "cert:";

/* --- who is it ------------------------------------------------------------------------------------------------------------ */

static int64_t wall_s(void)
{
	return (int64_t)time(NULL);
}

/* Why this certificate admits nobody just now; NULL: it does. */
static const char *flaw(const struct registry *registry, const json_t *doc, const struct x509_st *certificate)
{
	const char *status = json_string_value(json_object_get(doc, "status"));
	const json_t *until = json_object_get(doc, "until"), *of = json_object_get(doc, "thing");
	if (!status || strcmp(status, "ACTIVE") != 0)
		return status && strcmp(status, "REVOKED") == 0 ? "the certificate has been revoked"
		                                                : "the certificate is not active";
	if (until && json_integer_value(until) <= wall_s() * 1000)
		return "the certificate has been replaced by another one";
	if (!certificate || x509_until(certificate) <= wall_s())
		return "the certificate is out of date";
	const struct record *thing = of ? registry_find(registry, KIND_THING,
	                                          edged_slice(json_string_value(of), json_string_length(of)))
	                                : NULL;
	if (of && !thing)
		return "its thing is gone";
	json_t *thing_doc = thing ? record_json(thing) : NULL;
	bool disabled = thing && (!thing_doc || json_is_false(json_object_get(thing_doc, "enabled")));
	json_decref(thing_doc);
	return disabled ? "the thing is disabled" : NULL;
}

static const struct record *find(const struct decider *d, const char *fingerprint)
{
	return fingerprint ? registry_find(d->things->registry, KIND_CERTIFICATE, edged_str(fingerprint))
	                   : NULL;
}

static struct x509_st *certificate_of(const json_t *doc)
{
	const json_t *pem = json_object_get(doc, "pem");
	return x509_read(edged_slice(json_string_value(pem), json_string_length(pem)));
}

static void login(void *self, const struct edged_door *door, edged_handle handle)
{
	struct decider *d = self;
	const struct record *record = door->peer && door->peer->tls ? find(d, door->peer->fingerprint) : NULL;
	char principal[sizeof(prefix) + FINGERPRINT_LEN];
	if (!record) {
		(void)d->auth->answer(d->things->host, handle, EDGED_LOGIN_UNKNOWN, NULL);
		return;
	}
	json_t *doc = record_json(record);
	struct x509_st *certificate = certificate_of(doc);
	const char *why = flaw(d->things->registry, doc, certificate);
	x509_free(certificate);
	json_decref(doc);
	edged_metric_add(why ? d->refused : d->logins, 1);
	snprintf(principal, sizeof(principal), "%s%s", prefix, record->name);
	(void)d->auth->answer(d->things->host, handle, why ? EDGED_LOGIN_REFUSED : EDGED_LOGIN_KNOWN,
	        why ? why : principal);
}

/* --- rights --------------------------------------------------------------------------------------------------------------- */

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

static int bind_rules(struct decider *d, const json_t *doc, struct who *who, struct rules **ret)
{
	const struct registry *registry = d->things->registry;
	struct policies policies = { .count = 0 };
	const struct record *thing =
	        who->thing ? registry_find(registry, KIND_THING, edged_str(who->thing)) : NULL;
	json_t *thing_doc = thing ? record_json(thing) : NULL;
	who->thing_doc = thing_doc;
	const struct subject subject = who_subject(who);
	int r = add_policies(registry, doc, &policies);
	if (!r && thing_doc)
		r = add_policies(registry, thing_doc, &policies);
	if (!r && thing_doc)
		r = add_groups(registry, thing_doc, &policies);
	if (r)
		d->things->log->log(d->things->host, EDGED_ERROR,
		        "certificate %s: a policy of it is missing or not valid, so it may do nothing",
		        who->certificate_id);
	else
		r = rules_bind(policies.list, policies.count, &subject, ret);
	json_decref(thing_doc);
	return r;
}

static int bind_certificate(
        struct decider *d, const struct edged_door *door, const struct record *record, struct rules **ret)
{
	json_t *doc = record_json(record);
	struct x509_st *certificate = certificate_of(doc);
	struct who who = { .client_id = door->client_id,
		.address = door->peer ? door->peer->address : NULL,
		.connected = door->peer != NULL,
		.tls = door->peer && door->peer->tls,
		.thing = json_string_value(json_object_get(doc, "thing")),
		.certificate_id = record->name,
		.certificate = certificate };
	int r = flaw(d->things->registry, doc, certificate) ? -EACCES : bind_rules(d, doc, &who, ret);
	who_fini(&who);
	x509_free(certificate);
	json_decref(doc);
	return r;
}

static int bind_rights(void *self, const struct edged_door *door, const char *principal, void **ret_rights)
{
	struct decider *d = self;
	const struct record *record =
	        strncmp(principal, prefix, strlen(prefix)) == 0 ? find(d, principal + strlen(prefix)) : NULL;
	struct rights *rights = record ? calloc(1, sizeof(*rights)) : NULL;
	if (!rights)
		return record ? -ENOMEM : -ENOENT;
	rights->attributes =
	        (uint8_t)((door->persistent ? ATTRIBUTE_PERSISTENT : 0) | (door->will ? ATTRIBUTE_WILL : 0));
	int r = bind_certificate(d, door, record, &rights->rules);
	if (r)
		free(rights);
	else
		*ret_rights = rights;
	return r;
}

static void unbind(void *self, void *arg)
{
	struct rights *rights = arg;
	(void)self;
	rules_unref(rights->rules);
	free(rights);
}

static bool allow(const void *arg, enum edged_action action, struct edged_slice resource)
{
	const struct rights *rights = arg;
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

/* --- changes -------------------------------------------------------------------------------------------------------------- */

/* The earliest moment after now at which a certificate ends; 0: none does. */
static int64_t next_end(const struct registry *registry)
{
	const struct table *table = registry_table(registry, KIND_CERTIFICATE);
	int64_t now = wall_s() * 1000, next = 0;
	for (size_t i = 0; i < table->count; i++) {
		if (!record_mentions(table->list[i], edged_str("\"until\":")))
			continue;
		json_t *doc = record_json(table->list[i]);
		int64_t until = json_integer_value(json_object_get(doc, "until"));
		json_decref(doc);
		if (until > now && (next == 0 || until < next))
			next = until;
	}
	return next;
}

enum { WAIT_MAX_MS = 3600 * 1000 }; /* clocks are set meanwhile */

static void set_timer(struct decider *d)
{
	if (!d->timer)
		return;
	int64_t next = next_end(d->things->registry), left = next - wall_s() * 1000;
	if (next == 0)
		d->things->loop->timer_cancel(d->timer);
	else
		d->things->loop->timer_set(d->timer, (uint64_t)(left > WAIT_MAX_MS ? WAIT_MAX_MS
		                                                : left < 0         ? 0
		                                                                   : left));
}

static void tell(struct decider *d, const char *principal)
{
	int r = d->started ? d->auth->changed(d->things->host, principal) : 0;
	if (r)
		d->things->log->log(
		        d->things->host, EDGED_ERROR, "a change of rights is not in force: %s", strerror(-r));
}

static void ended(void *arg)
{
	struct decider *d = arg;
	tell(d, NULL);
	set_timer(d);
}

static void tell_certificate(struct decider *d, struct edged_slice name)
{
	char principal[sizeof(prefix) + FINGERPRINT_LEN];
	snprintf(principal, sizeof(principal), "%s%.*s", prefix, EDGED_SLICE_FMT(name));
	tell(d, principal);
}

void decider_changed(struct decider *d, enum kind kind, const char *name)
{
	struct change certificates[CHANGES_MAX];
	size_t n = kind == KIND_THING ? certificates_of(d->things->registry, name, certificates, CHANGES_MAX)
	                              : 0;
	if (kind == KIND_CERTIFICATE)
		tell_certificate(d, edged_str(name));
	else if (kind != KIND_THING || n == CHANGES_MAX)
		tell(d, NULL);
	else
		for (size_t i = 0; i < n; i++)
			tell_certificate(d, certificates[i].name);
	if (kind == KIND_CERTIFICATE || kind == KINDS)
		set_timer(d);
}

/* --- life ------------------------------------------------------------------------------------------------------------------ */

static const struct edged_decider decider_table = { .struct_size = sizeof(decider_table),
	.login = login,
	.bind = bind_rights,
	.unbind = unbind,
	.allow = allow };

int decider_new(struct things *things, struct decider **ret)
{
	struct decider *d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	const struct edged_metrics_1 *metrics = edged_cap(things->host, EDGED_METRICS_1);
	d->things = things;
	d->auth = edged_cap(things->host, EDGED_AUTH_1);
	d->logins = metrics->figure(things->host, EDGED_COUNTER, "things_logins_total", "result=\"known\"",
	        "Clients that came with a certificate of the registry");
	d->refused = metrics->figure(things->host, EDGED_COUNTER, "things_logins_total", "result=\"refused\"",
	        "Clients that came with a certificate of the registry");
	d->timer = things->loop->timer_new(things->host, ended, d);
	if (!d->timer) {
		free(d);
		return -ENOMEM;
	}
	*ret = d;
	return 0;
}

void decider_stop(struct decider *d)
{
	if (!d)
		return;
	d->started = false;
	d->things->loop->timer_free(d->timer);
	d->timer = NULL;
}

void decider_free(struct decider *d)
{
	decider_stop(d);
	free(d);
}

int decider_start(struct decider *d)
{
	int r = d->auth->decide(d->things->host, &decider_table, d);
	if (r)
		return r;
	d->started = true;
	set_timer(d);
	return 0;
}

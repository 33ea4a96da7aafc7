/* SPDX-License-Identifier: Apache-2.0 */
#include "rest_certificates.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "doc.h"
#include "routes.h"
#include "x509.h"

enum { DAYS_MAX = 36500, OVERLAP_DEFAULT_S = 86400, OVERLAP_MAX_S = 90 * 86400 };

/* A whole number from 0 to `most`, or the default. */
static int read_number(struct things *t, edged_handle request, const json_t *wish, const char *name,
        json_int_t most, json_int_t def, json_int_t *ret)
{
	const json_t *value = json_object_get(wish, name);
	char detail[100];
	*ret = value ? json_integer_value(value) : def;
	if (!value || (json_is_integer(value) && *ret >= 0 && *ret <= most))
		return 0;
	snprintf(detail, sizeof(detail), "%s is a whole number from 0 to %" JSON_INTEGER_FORMAT ".", name,
	        most);
	return rest_problem(t, request, 400, "bad-member", "The certificate cannot be made so", detail);
}

static int only_members(struct things *t, edged_handle request, const json_t *wish, const char *const *known)
{
	const char *name;
	json_t *value;
	char detail[120];
	json_object_foreach((json_t *)(uintptr_t)wish, name, value)
	{
		size_t i = 0;
		while (known[i] && strcmp(known[i], name) != 0)
			i++;
		if (known[i])
			continue;
		snprintf(detail, sizeof(detail), "There is no member %.60s here.", name);
		return rest_problem(
		        t, request, 400, "bad-member", "The certificate cannot be made so", detail);
	}
	return 0;
}

/* --- issuing ----------------------------------------------------------------------------------------------------------------- */

void certificate_change_fini(struct change *change)
{
	free((char *)(uintptr_t)change->name.ptr);
	json_decref(change->doc);
	*change = (struct change){ 0 };
}

static int to_change(struct edged_slice thing, const struct issued *issued, const json_t *policies,
        struct change *ret_change, json_t **ret_once)
{
	json_t *doc = json_pack("{s:s,s:s,s:s%,s:O?}", "pem", issued->certificate, "status", "ACTIVE",
	        "thing", thing.ptr, thing.len, "policies", policies);
	json_t *once = json_pack("{s:s*}", "privateKey", issued->key);
	char *name = strdup(issued->fingerprint);
	if (doc && !policies)
		json_object_del(doc, "policies");
	if (!doc || !once || !name) {
		json_decref(doc);
		json_decref(once);
		free(name);
		return -ENOMEM;
	}
	*ret_change = (struct change){ KIND_CERTIFICATE, edged_str(name), doc };
	*ret_once = once;
	return 0;
}

int certificate_issue(struct things *t, edged_handle request, struct edged_slice thing, const json_t *wish,
        struct change *ret_change, json_t **ret_once)
{
	const json_t *csr = json_object_get(wish, "csr"), *policies = json_object_get(wish, "policies");
	struct issued issued;
	char why[WHY_MAX], check[DOC_WHY_MAX];
	json_int_t days;
	int r = read_number(t, request, wish, "days", DAYS_MAX, 0, &days);
	if (!r && csr && !json_is_string(csr))
		r = rest_problem(t, request, 400, "bad-request", "The certificate request cannot be used",
		        "csr is PEM text.");
	json_t *members = json_pack("{s:O*}", "policies", policies);
	if (!r && doc_check(t->registry, KIND_CERTIFICATE, members, check))
		r = rest_problem(t, request, 400, "bad-member", "The certificate cannot be made so", check);
	json_decref(members);
	if (r)
		return r;
	r = authority_issue(t->authority, thing, edged_slice(json_string_value(csr), json_string_length(csr)),
	        (unsigned)days, &issued, why);
	if (r == -EINVAL)
		return rest_problem(
		        t, request, 400, "bad-request", "The certificate request cannot be used", why);
	if (!r)
		r = to_change(thing, &issued, policies, ret_change, ret_once);
	issued_fini(&issued);
	return r;
}

int issue_certificate(void *self, edged_handle request)
{
	static const char *const known[] = { "csr", "days", "policies", NULL };
	struct things *t = self;
	const struct record *thing;
	struct change change = { 0 };
	json_t *wish = NULL, *once = NULL;
	int r = rest_record(t, request, "thing", KIND_THING, &thing);
	if (!r)
		r = rest_body(t, request, true, &wish);
	if (!r)
		r = only_members(t, request, wish, known);
	if (!r)
		r = certificate_issue(t, request, edged_str(thing->name), wish, &change, &once);
	if (!r)
		r = rest_write(t, request, &change, 1, 201, once);
	certificate_change_fini(&change);
	json_decref(wish);
	return rest_done(r);
}

/* --- rotating ---------------------------------------------------------------------------------------------------------------- */

size_t certificates_of(
        const struct registry *registry, const char *thing, struct change *changes, size_t most)
{
	const struct table *table = registry_table(registry, KIND_CERTIFICATE);
	size_t n = 0;
	for (size_t i = 0; i < table->count && n < most; i++) {
		if (!record_mentions(table->list[i], edged_str(thing)))
			continue;
		json_t *doc = record_json(table->list[i]);
		const char *of = json_string_value(json_object_get(doc, "thing"));
		if (of && strcmp(of, thing) == 0)
			changes[n++] =
			        (struct change){ KIND_CERTIFICATE, edged_str(table->list[i]->name), NULL };
		json_decref(doc);
	}
	return n;
}

/* The active ones end `until`, and the new one gets all their policies. Returns how many changes there are. */
static size_t retire(
        struct things *t, const char *thing, json_int_t until, struct change *changes, json_t *policies)
{
	size_t n = certificates_of(t->registry, thing, changes, CHANGES_MAX - 1), kept = 0;
	for (size_t i = 0; i < n; i++) {
		json_t *doc = record_json(registry_find(t->registry, KIND_CERTIFICATE, changes[i].name)),
		       *item;
		const char *status = json_string_value(json_object_get(doc, "status"));
		json_int_t before = json_integer_value(json_object_get(doc, "until"));
		size_t k;
		if (!status || strcmp(status, "ACTIVE") != 0) {
			json_decref(doc);
			continue;
		}
		json_array_foreach(json_object_get(doc, "policies"), k, item)(void)
		        json_array_append(policies, item);
		if (!before || before > until)
			json_object_set_new(doc, "until", json_integer(until));
		changes[kept] = changes[i];
		changes[kept++].doc = doc;
	}
	return kept;
}

static void drop_twice(json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		for (size_t k = json_array_size(list) - 1; k > i; k--)
			if (json_equal(json_array_get(list, i), json_array_get(list, k)))
				json_array_remove(list, k);
}

static int rotate(struct things *t, edged_handle request, const char *thing, json_t *wish)
{
	struct change changes[CHANGES_MAX] = { { 0 } };
	json_t *once = NULL, *policies = json_array();
	json_int_t overlap;
	int r = read_number(t, request, wish, "overlapSeconds", OVERLAP_MAX_S, OVERLAP_DEFAULT_S, &overlap);
	size_t n = r ? 0 : retire(t, thing, ((json_int_t)time(NULL) + overlap) * 1000, changes + 1, policies);
	drop_twice(policies);
	if (json_array_size(policies) && !json_object_get(wish, "policies"))
		(void)json_object_set(wish, "policies", policies);
	if (!r)
		r = certificate_issue(t, request, edged_str(thing), wish, &changes[0], &once);
	if (!r)
		r = rest_write(t, request, changes, n + 1, 201, once);
	certificate_change_fini(&changes[0]);
	for (size_t i = 1; i <= n; i++)
		json_decref(changes[i].doc);
	json_decref(policies);
	return r;
}

int rotate_certificate(void *self, edged_handle request)
{
	static const char *const known[] = { "csr", "days", "policies", "overlapSeconds", NULL };
	struct things *t = self;
	const struct record *thing;
	json_t *wish = NULL;
	int r = rest_record(t, request, "thing", KIND_THING, &thing);
	if (!r)
		r = rest_body(t, request, true, &wish);
	if (!r)
		r = only_members(t, request, wish, known);
	if (!r)
		r = rotate(t, request, thing->name, wish);
	json_decref(wish);
	return rest_done(r);
}

/* --- certificates of others --------------------------------------------------------------------------------------------------- */

static int write_foreign(struct things *t, edged_handle request, struct x509_st *certificate, json_t *body)
{
	char fingerprint[65], why[DOC_WHY_MAX];
	json_object_del(body, "certificate");
	if (doc_check(t->registry, KIND_CERTIFICATE, body, why))
		return rest_problem(
		        t, request, 400, "bad-member", "The certificate cannot be registered so", why);
	char *pem = x509_text(certificate);
	if (!pem || !x509_fingerprint(certificate, fingerprint)) {
		free(pem);
		return -ENOMEM;
	}
	const struct change change = { KIND_CERTIFICATE, edged_str(fingerprint), body };
	int r = json_object_set_new(body, "pem", json_string(pem)) ? -ENOMEM : 0;
	free(pem);
	if (!r && !json_object_get(body, "status"))
		r = json_object_set_new(body, "status", json_string("ACTIVE")) ? -ENOMEM : 0;
	if (!r && registry_find(t->registry, KIND_CERTIFICATE, change.name))
		r = rest_problem(t, request, 409, "exists", "This certificate is registered already",
		        "Change it with PATCH /things/v1/certificates/{id}.");
	return r ? r : rest_write(t, request, &change, 1, 201, NULL);
}

int register_certificate(void *self, edged_handle request)
{
	struct things *t = self;
	json_t *body = NULL;
	int r = rest_body(t, request, false, &body);
	if (r)
		return rest_done(r);
	const json_t *pem = json_object_get(body, "certificate");
	struct x509_st *certificate = x509_read(edged_slice(json_string_value(pem), json_string_length(pem)));
	if (!certificate)
		r = rest_problem(t, request, 400, "bad-certificate", "There is no certificate",
		        "The member certificate is an X.509 certificate in PEM, as the device shows it.");
	else
		r = write_foreign(t, request, certificate, body);
	x509_free(certificate);
	json_decref(body);
	return rest_done(r);
}

int get_authority(void *self, edged_handle request)
{
	struct things *t = self;
	return rest_done(
	        rest_reply(t, request, 200, json_pack("{s:s}", "certificate", authority_pem(t->authority))));
}

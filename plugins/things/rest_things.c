/* SPDX-License-Identifier: Apache-2.0 */
#include "rest_things.h"

#include <errno.h>
#include <stdio.h>
#include "doc.h"
#include "rest_certificates.h"
#include "routes.h"

/* --- making ------------------------------------------------------------------------------------------------------------------ */

static int write_thing(
        struct things *t, edged_handle request, struct edged_slice name, json_t *doc, const json_t *wish)
{
	struct change changes[2] = { { KIND_THING, name, doc } };
	json_t *once = NULL;
	int r = wish ? certificate_issue(t, request, name, wish, &changes[1], &once) : 0;
	if (!r && wish) {
		(void)json_object_set_new(once, "id", json_stringn(changes[1].name.ptr, changes[1].name.len));
		(void)json_object_set(once, "certificate", json_object_get(changes[1].doc, "pem"));
		once = json_pack("{s:o}", "certificate", once);
	}
	if (!r)
		r = rest_write(t, request, changes, wish ? 2 : 1, 201, once);
	certificate_change_fini(&changes[1]);
	return r;
}

int create_thing(void *self, edged_handle request)
{
	struct things *t = self;
	char why[DOC_WHY_MAX];
	json_t *body = NULL;
	int r = rest_body(t, request, false, &body);
	if (r)
		return rest_done(r);
	json_t *name = json_incref(json_object_get(body, "name")),
	       *wish = json_incref(json_object_get(body, "certificate"));
	struct edged_slice text = edged_slice(json_string_value(name), json_string_length(name));
	json_object_del(body, "name");
	json_object_del(body, "certificate");
	r = rest_name(t, request, text, KIND_THING);
	if (!r && registry_find(t->registry, KIND_THING, text))
		r = rest_problem(t, request, 409, "exists", "There is a thing of this name",
		        "Change it with PATCH /things/v1/things/{thing}, or take another name.");
	if (!r && wish && !json_is_object(wish))
		r = rest_problem(t, request, 400, "bad-member", "The thing is not valid",
		        "certificate is an object, which may be empty.");
	if (!r && doc_check(t->registry, KIND_THING, body, why))
		r = rest_problem(t, request, 400, "bad-member", "The thing is not valid", why);
	if (!r)
		r = write_thing(t, request, text, body, wish);
	json_decref(name);
	json_decref(wish);
	json_decref(body);
	return rest_done(r);
}

/* --- reading and removing ------------------------------------------------------------------------------------------------------ */

int get_thing(void *self, edged_handle request)
{
	struct things *t = self;
	const struct record *thing;
	struct change certificates[CHANGES_MAX];
	int r = rest_record(t, request, "thing", KIND_THING, &thing);
	if (r)
		return rest_done(r);
	size_t n = certificates_of(t->registry, thing->name, certificates, CHANGES_MAX);
	json_t *body = doc_public(thing, KIND_THING, true), *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(
		        list, doc_public(registry_find(t->registry, KIND_CERTIFICATE, certificates[i].name),
		                      KIND_CERTIFICATE, false));
	if (!body || json_object_set_new(body, "certificates", list))
		return -ENOMEM;
	return rest_done(rest_reply(t, request, 200, body));
}

/* With its certificates: a device without a thing is nobody. */
int delete_thing(void *self, edged_handle request)
{
	struct things *t = self;
	const struct record *thing;
	struct change changes[CHANGES_MAX];
	int r = rest_record(t, request, "thing", KIND_THING, &thing);
	if (!r)
		r = rest_match(t, request, thing);
	if (r)
		return rest_done(r);
	size_t n = certificates_of(t->registry, thing->name, changes + 1, CHANGES_MAX);
	if (n >= CHANGES_MAX - 1)
		return rest_done(rest_problem(t, request, 409, "too-many",
		        "The thing has too many certificates to go at once", "Delete some of them first."));
	changes[0] = (struct change){ KIND_THING, t->http->param(t->host, request, "thing"), NULL };
	/* names point into records that go one by one: copies */
	char names[CHANGES_MAX][FINGERPRINT_LEN + 1];
	for (size_t i = 1; i <= n; i++) {
		snprintf(names[i], sizeof(names[i]), "%.*s", EDGED_SLICE_FMT(changes[i].name));
		changes[i].name = edged_str(names[i]);
	}
	return rest_done(rest_write(t, request, changes, n + 1, 204, NULL));
}

/* --- groups ------------------------------------------------------------------------------------------------------------------------ */

static int set_group(void *self, edged_handle request, bool in)
{
	struct things *t = self;
	const struct record *group, *thing;
	int r = rest_record(t, request, "group", KIND_GROUP, &group);
	if (!r)
		r = rest_record(t, request, "thing", KIND_THING, &thing);
	json_t *doc = r ? NULL : record_json(thing);
	if (!r)
		r = doc ? doc_list_set(doc, "groups", group->name, in) : -ENOMEM;
	if (!r && json_array_size(json_object_get(doc, "groups")) > GROUPS_MAX)
		r = rest_problem(t, request, 409, "too-many-groups", "It is in 10 groups already",
		        "Take it out of one first.");
	if (r == -EALREADY)
		r = rest_reply(t, request, 200, doc_public(thing, KIND_THING, true));
	else if (!r) {
		const struct change change = { KIND_THING, t->http->param(t->host, request, "thing"), doc };
		r = rest_write(t, request, &change, 1, 200, NULL);
	}
	json_decref(doc);
	return rest_done(r);
}

int join_group(void *self, edged_handle request)
{
	return set_group(self, request, true);
}

int leave_group(void *self, edged_handle request)
{
	return set_group(self, request, false);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "rest_common.h"

#include <errno.h>
#include <stdio.h>
#include "doc.h"
#include "routes.h"

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000 };

/* --- lists --------------------------------------------------------------------------------------------------------------- */

struct page {
	size_t limit;
	struct edged_slice cursor;
	/* only records with this value in this member, a text or a list of texts */
	const char *member;
	struct edged_slice value;
};

static bool read_limit(struct edged_slice text, size_t *ret)
{
	size_t n = 0;
	*ret = PAGE_DEFAULT;
	if (!text.ptr)
		return true;
	if (text.len == 0 || text.len > 4)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		n = n * 10 + (size_t)(text.ptr[i] - '0');
	}
	*ret = n;
	return n >= 1 && n <= PAGE_MAX;
}

static bool holds(const json_t *doc, const struct page *page)
{
	if (!page->member)
		return true;
	const json_t *value = json_object_get(doc, page->member);
	char name[1000];
	if (page->value.len >= sizeof(name))
		return false;
	memcpy(name, page->value.ptr, page->value.len);
	name[page->value.len] = '\0';
	if (json_is_string(value))
		return strcmp(json_string_value(value), name) == 0;
	return doc_lists(doc, page->member, name);
}

/* One page: {"data": [...], "cursor": "..."}; the cursor is the last name, and there when there is more. */
static json_t *collect(const struct table *table, enum kind kind, const struct page *page)
{
	json_t *list = json_array();
	const char *last = NULL;
	size_t i = table_after(table, page->cursor);
	for (; i < table->count && json_array_size(list) < page->limit; i++) {
		const struct record *record = table->list[i];
		if (page->member && !record_mentions(record, page->value))
			continue;
		json_t *doc = doc_public(record, kind, false);
		if (!doc || !holds(doc, page)) {
			json_decref(doc);
			continue;
		}
		json_array_append_new(list, doc);
		last = record->name;
	}
	json_t *body = json_pack("{s:o}", "data", list);
	if (i < table->count && last)
		json_object_set_new(body, "cursor", json_string(last));
	return body;
}

static int list(void *self, edged_handle request, enum kind kind)
{
	static const char *const filters[] = { "group", "type", "thing", "status", "policy" };
	static const char *const members[] = { "groups", "type", "thing", "status", "policies" };
	struct things *t = self;
	struct page page = { .cursor = t->http->query(t->host, request, "cursor") };
	if (!read_limit(t->http->query(t->host, request, "limit"), &page.limit))
		return rest_done(rest_problem(t, request, 400, "bad-limit", "This cannot be a limit",
		        "It is a number from 1 to 1000."));
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		struct edged_slice value = t->http->query(t->host, request, filters[i]);
		if (value.ptr && page.member)
			return rest_done(rest_problem(t, request, 400, "bad-filter",
			        "There is more than one filter",
			        "A list is filtered by one of group, type, thing, status or policy."));
		if (value.ptr) {
			page.member = members[i];
			page.value = value;
		}
	}
	return rest_done(
	        rest_reply(t, request, 200, collect(registry_table(t->registry, kind), kind, &page)));
}

int list_things(void *self, edged_handle request)
{
	return list(self, request, KIND_THING);
}

int list_groups(void *self, edged_handle request)
{
	return list(self, request, KIND_GROUP);
}

int list_policies(void *self, edged_handle request)
{
	return list(self, request, KIND_POLICY);
}

int list_users(void *self, edged_handle request)
{
	return list(self, request, KIND_USER);
}

int list_keys(void *self, edged_handle request)
{
	return list(self, request, KIND_KEY);
}

int list_certificates(void *self, edged_handle request)
{
	return list(self, request, KIND_CERTIFICATE);
}

/* --- one record ------------------------------------------------------------------------------------------------------------ */

static int get(void *self, edged_handle request, enum kind kind)
{
	struct things *t = self;
	const struct record *record;
	int r = rest_record(t, request, kind_word(kind), kind, &record);
	return rest_done(r ? r : rest_reply(t, request, 200, doc_public(record, kind, true)));
}

int get_group(void *self, edged_handle request)
{
	return get(self, request, KIND_GROUP);
}

int get_policy(void *self, edged_handle request)
{
	return get(self, request, KIND_POLICY);
}

int get_user(void *self, edged_handle request)
{
	return get(self, request, KIND_USER);
}

int get_key(void *self, edged_handle request)
{
	return get(self, request, KIND_KEY);
}

int get_certificate(void *self, edged_handle request)
{
	return get(self, request, KIND_CERTIFICATE);
}

/* A certificate that was revoked stays so: its key may be in other hands. */
static bool comes_back(const struct record *record, enum kind kind, const json_t *patch)
{
	const char *status = json_string_value(json_object_get(patch, "status"));
	json_t *doc =
	        kind == KIND_CERTIFICATE && json_object_get(patch, "status") ? record_json(record) : NULL;
	const char *now = json_string_value(json_object_get(doc, "status"));
	bool ret = now && strcmp(now, "REVOKED") == 0 && (!status || strcmp(status, "REVOKED") != 0);
	json_decref(doc);
	return ret;
}

/* What the patched record has in the members that the patch names; null where it has nothing now. */
static json_t *named_members(const json_t *doc, const json_t *patch)
{
	const char *name;
	json_t *value, *ret = json_object();
	json_object_foreach((json_t *)(uintptr_t)patch, name, value)
	{
		json_t *now = json_object_get(doc, name);
		json_object_set(ret, name, now ? now : json_null());
	}
	return ret;
}

static int write_patch(struct things *t, edged_handle request, enum kind kind, const struct record *record,
        const json_t *patch)
{
	char why[DOC_WHY_MAX];
	json_t *doc = record_json(record), *members = NULL;
	int r = doc ? doc_merge(doc, patch) : -ENOMEM;
	if (!r)
		members = named_members(doc, patch);
	if (!r && doc_check(t->registry, kind, members, why))
		r = rest_problem(t, request, 400, "bad-member", "The change is not valid", why);
	else if (!r && comes_back(record, kind, patch))
		r = rest_problem(t, request, 409, "revoked", "The certificate has been revoked",
		        "It cannot be made active again. Issue a new one.");
	if (!r) {
		const struct change change = { kind, edged_str(record->name), doc };
		r = rest_write(t, request, &change, 1, 200, NULL);
	}
	json_decref(members);
	json_decref(doc);
	return r;
}

static int patch(void *self, edged_handle request, enum kind kind)
{
	struct things *t = self;
	const struct record *record;
	json_t *body = NULL;
	int r = rest_record(t, request, kind_word(kind), kind, &record);
	if (!r)
		r = rest_match(t, request, record);
	if (!r)
		r = rest_body(t, request, false, &body);
	if (!r)
		r = write_patch(t, request, kind, record, body);
	json_decref(body);
	return rest_done(r);
}

int patch_thing(void *self, edged_handle request)
{
	return patch(self, request, KIND_THING);
}

int patch_group(void *self, edged_handle request)
{
	return patch(self, request, KIND_GROUP);
}

int patch_user(void *self, edged_handle request)
{
	return patch(self, request, KIND_USER);
}

int patch_key(void *self, edged_handle request)
{
	return patch(self, request, KIND_KEY);
}

int patch_certificate(void *self, edged_handle request)
{
	return patch(self, request, KIND_CERTIFICATE);
}

/* --- PUT ------------------------------------------------------------------------------------------------------------------- */

/* If-Match and If-None-Match of a PUT (RFC 9110 sections 13.1.1 and 13.1.2). */
static int match_put(struct things *t, edged_handle request, const struct record *before)
{
	struct edged_slice none = t->http->header(t->host, request, "If-None-Match");
	if (before && edged_slice_is(none, "*"))
		return rest_problem(t, request, 412, "exists", "It exists already",
		        "If-None-Match: * says that it must not.");
	if (before)
		return rest_match(t, request, before);
	if (t->http->header(t->host, request, "If-Match").ptr)
		return rest_problem(t, request, 412, "version-conflict", "It does not exist",
		        "If-Match says that it must.");
	return 0;
}

int rest_put(struct things *t, edged_handle request, enum kind kind, struct edged_slice name, json_t *doc)
{
	const struct record *before = registry_find(t->registry, kind, name);
	int r = match_put(t, request, before);
	json_t *old = !r && before ? record_json(before) : NULL;
	if (old)
		(void)json_object_set(doc, "created", json_object_get(old, "created"));
	if (!r) {
		const struct change change = { kind, name, doc };
		r = rest_write(t, request, &change, 1, before ? 200 : 201, NULL);
	}
	json_decref(old);
	json_decref(doc);
	return r;
}

/* --- removing -------------------------------------------------------------------------------------------------------------- */

const char *named_by(const struct registry *registry, enum kind kind, const char *member, const char *name)
{
	const struct table *table = registry_table(registry, kind);
	const char *found = NULL;
	for (size_t i = 0; i < table->count && !found; i++) {
		if (!record_mentions(table->list[i], edged_str(name)))
			continue;
		json_t *doc = record_json(table->list[i]);
		if (!doc || doc_lists(doc, member, name))
			found = table->list[i]->name;
		json_decref(doc);
	}
	return found;
}

static int refuse_use(struct things *t, edged_handle request, enum kind kind, const char *user)
{
	char detail[300];
	snprintf(detail, sizeof(detail), "The %s %.128s has it. Take it away there first.", kind_word(kind),
	        user);
	return rest_problem(t, request, 409, "in-use", "It is in use", detail);
}

static int check_unused(struct things *t, edged_handle request, enum kind kind, const char *name)
{
	static const enum kind users[] = { KIND_THING, KIND_GROUP, KIND_CERTIFICATE, KIND_USER, KIND_KEY };
	const char *user = kind == KIND_GROUP ? named_by(t->registry, KIND_THING, "groups", name) : NULL;
	if (user)
		return refuse_use(t, request, KIND_THING, user);
	for (size_t i = 0; kind == KIND_POLICY && i < sizeof(users) / sizeof(users[0]); i++) {
		user = named_by(t->registry, users[i], "policies", name);
		if (user)
			return refuse_use(t, request, users[i], user);
	}
	return 0;
}

static int delete (void *self, edged_handle request, enum kind kind)
{
	struct things *t = self;
	const struct record *record;
	int r = rest_record(t, request, kind_word(kind), kind, &record);
	if (!r)
		r = rest_match(t, request, record);
	if (!r)
		r = check_unused(t, request, kind, record->name);
	if (!r) {
		const struct change change = { kind, t->http->param(t->host, request, kind_word(kind)),
			NULL };
		r = rest_write(t, request, &change, 1, 204, NULL);
	}
	return rest_done(r);
}

int delete_group(void *self, edged_handle request)
{
	return delete (self, request, KIND_GROUP);
}

int delete_policy(void *self, edged_handle request)
{
	return delete (self, request, KIND_POLICY);
}

int delete_user(void *self, edged_handle request)
{
	return delete (self, request, KIND_USER);
}

int delete_key(void *self, edged_handle request)
{
	return delete (self, request, KIND_KEY);
}

int delete_certificate(void *self, edged_handle request)
{
	return delete (self, request, KIND_CERTIFICATE);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "doc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include "plugin.h"

struct check {
	const struct registry *registry;
	const json_t *value;
	char *why;
};

__attribute__((format(printf, 2, 3))) static int wrong(const struct check *c, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(c->why, DOC_WHY_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

static struct edged_slice text_of(const json_t *value)
{
	return edged_slice(json_string_value(value), json_string_length(value));
}

/* --- one function for each member ------------------------------------------------------------------------------------ */

static int check_enabled(const struct check *c)
{
	return json_is_boolean(c->value) ? 0 : wrong(c, "enabled is true or false");
}

static int check_type(const struct check *c)
{
	return name_valid(KIND_THING, text_of(c->value))
	               ? 0
	               : wrong(c, "type is a name of 1 to 128 characters of a-z, A-Z, 0-9, ':', '_', '-'");
}

static int check_description(const struct check *c)
{
	return json_is_string(c->value) && json_string_length(c->value) <= 2028
	               ? 0
	               : wrong(c, "description is a string of at most 2,028 bytes");
}

static bool printable(struct edged_slice text, size_t most)
{
	if (text.len > most)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if ((uint8_t)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
			return false;
	return true;
}

static int check_attributes(const struct check *c)
{
	const char *name;
	json_t *value;
	if (!json_is_object(c->value) || json_object_size(c->value) > ATTRIBUTES_MAX)
		return wrong(c, "attributes is an object of at most %d strings", ATTRIBUTES_MAX);
	json_object_foreach((json_t *)(uintptr_t)c->value, name, value)
	{
		if (!name[0] || strcspn(name, "[]") < strlen(name) || !printable(edged_str(name), 128))
			return wrong(c, "the name of an attribute has 1 to 128 bytes, without '[', ']' and "
			                "control characters");
		if (!json_is_string(value) || !printable(text_of(value), 800))
			return wrong(c,
			        "the attribute %.100s is not a string of at most 800 bytes without control "
			        "characters",
			        name);
	}
	return 0;
}

static int check_names(const struct check *c, const char *member, enum kind kind, size_t most)
{
	size_t i;
	json_t *name;
	if (!json_is_array(c->value) || json_array_size(c->value) > most)
		return wrong(c, "%s is a list of at most %zu names", member, most);
	json_array_foreach(c->value, i, name)
	{
		if (!registry_find(c->registry, kind, text_of(name)))
			return wrong(c, "there is no %s named %.128s", kind_word(kind),
			        json_is_string(name) ? json_string_value(name) : "so");
		for (size_t k = 0; k < i; k++)
			if (json_equal(name, json_array_get(c->value, k)))
				return wrong(c, "%s names %.128s twice", member, json_string_value(name));
	}
	return 0;
}

static int check_groups(const struct check *c)
{
	return check_names(c, "groups", KIND_GROUP, GROUPS_MAX);
}

static int check_policies(const struct check *c)
{
	return check_names(c, "policies", KIND_POLICY, POLICIES_MAX);
}

static int check_thing(const struct check *c)
{
	if (registry_find(c->registry, KIND_THING, text_of(c->value)))
		return 0;
	return wrong(c, "there is no thing named %.128s",
	        json_is_string(c->value) ? json_string_value(c->value) : "so");
}

static int check_status(const struct check *c)
{
	struct edged_slice status = text_of(c->value);
	if (edged_slice_is(status, "ACTIVE") || edged_slice_is(status, "INACTIVE") ||
	        edged_slice_is(status, "REVOKED"))
		return 0;
	return wrong(c, "status is \"ACTIVE\", \"INACTIVE\" or \"REVOKED\"");
}

#define OF(kind) (1u << KIND_##kind)
static const struct member {
	const char *name;
	unsigned kinds;
	int (*check)(const struct check *c);
} members[] = {
	{ "enabled", OF(THING) | OF(USER) | OF(KEY), check_enabled },
	{ "type", OF(THING), check_type },
	{ "description", OF(GROUP) | OF(KEY), check_description },
	{ "attributes", OF(THING), check_attributes },
	{ "groups", OF(THING), check_groups },
	{ "policies", OF(THING) | OF(GROUP) | OF(CERTIFICATE) | OF(USER) | OF(KEY), check_policies },
	{ "thing", OF(CERTIFICATE) | OF(USER) | OF(KEY), check_thing },
	{ "status", OF(CERTIFICATE), check_status },
};

static const struct member *find_member(enum kind kind, const char *name)
{
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if ((members[i].kinds & 1u << kind) && strcmp(members[i].name, name) == 0)
			return &members[i];
	return NULL;
}

int doc_check(const struct registry *registry, enum kind kind, const json_t *doc, char why[DOC_WHY_MAX])
{
	const char *name;
	json_t *value;
	struct check c = { registry, NULL, why };
	json_object_foreach((json_t *)(uintptr_t)doc, name, value)
	{
		const struct member *member = find_member(kind, name);
		if (!member)
			return wrong(&c, "a %s has no member %.60s that could be set", kind_word(kind), name);
		c.value = value;
		int r = json_is_null(value) ? 0 : member->check(&c); /* null takes it away */
		if (r)
			return r;
	}
	return 0;
}

/* --- the rest ---------------------------------------------------------------------------------------------------------- */

int doc_merge(json_t *target, const json_t *patch)
{
	const char *name;
	json_t *value;
	int r = 0;
	json_object_foreach((json_t *)(uintptr_t)patch, name, value)
	{
		json_t *at = json_object_get(target, name);
		if (json_is_null(value))
			json_object_del(target, name);
		else if (json_is_object(value)) {
			json_t *into = json_is_object(at) ? json_incref(at) : json_object();
			r |= json_object_set(target, name, into) | doc_merge(into, value);
			json_decref(into);
		} else
			r |= json_object_set_new(target, name, json_deep_copy(value));
	}
	return r ? -ENOMEM : 0;
}

json_t *doc_public(const struct record *record, enum kind kind, bool whole)
{
	json_t *doc = record_json(record), *ret = json_object();
	int r = !doc || !ret ||
	        json_object_set_new(ret, kind == KIND_CERTIFICATE || kind == KIND_KEY ? "id" : "name",
	                json_string(record->name));
	json_object_del(doc, "hash");
	json_object_del(doc, "secret");
	if (!whole) {
		json_object_del(doc, "pem");
		json_object_del(doc, "document");
	}
	json_t *pem = json_object_get(doc, "pem");
	if (!r && pem)
		r = json_object_set(doc, "certificate", pem);
	json_object_del(doc, "pem");
	if (!r)
		r = json_object_update(ret, doc);
	json_decref(doc);
	if (r) {
		json_decref(ret);
		return NULL;
	}
	return ret;
}

static size_t place_in(const json_t *list, const char *name)
{
	size_t i = 0;
	while (i < json_array_size(list)) {
		const char *item = json_string_value(json_array_get(list, i));
		if (item && strcmp(item, name) == 0)
			break;
		i++;
	}
	return i;
}

bool doc_lists(const json_t *doc, const char *member, const char *name)
{
	const json_t *list = json_object_get(doc, member);
	return place_in(list, name) < json_array_size(list);
}

int doc_list_set(json_t *doc, const char *member, const char *name, bool in)
{
	json_t *list = json_object_get(doc, member);
	size_t at = place_in(list, name);
	if ((at < json_array_size(list)) == in)
		return -EALREADY;
	if (!list) {
		list = json_array();
		if (json_object_set_new(doc, member, list))
			return -ENOMEM;
	}
	int r = in ? json_array_append_new(list, json_string(name)) : json_array_remove(list, at);
	return r ? -ENOMEM : 0;
}

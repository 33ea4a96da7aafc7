/* SPDX-License-Identifier: Apache-2.0 */
#include "policy.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "statement.h"

struct reader {
	struct policy *policy;
	unsigned flags; /* PATTERN_* that this version has */
	bool variables; /* one was read */
	struct policy_error *error;
	char path[sizeof(((struct policy_error *)NULL)->path)];
};

/* --- errors with their place ------------------------------------------------------------------------------------ */

static int refuse(struct reader *reader, const char *reason)
{
	snprintf(reader->error->path, sizeof(reader->error->path), "%s", reader->path);
	snprintf(reader->error->reason, sizeof(reader->error->reason), "%s", reason);
	return -EINVAL;
}

/* Makes the path longer; leave() with what it returned. Names come from the document: only what is printable is shown. */
static size_t enter(struct reader *reader, const char *name, size_t index, bool numbered)
{
	size_t n = strlen(reader->path), from = n;
	if (numbered)
		snprintf(reader->path + n, sizeof(reader->path) - n, "[%zu]", index);
	else
		snprintf(reader->path + n, sizeof(reader->path) - n, "%s%.40s", n ? "." : "", name);
	for (; reader->path[n]; n++)
		if ((uint8_t)reader->path[n] < 0x20 || (uint8_t)reader->path[n] >= 0x7f)
			reader->path[n] = '?';
	return from;
}

static void leave(struct reader *reader, size_t from)
{
	reader->path[from] = '\0';
}

/* --- lists: one string, or an array of them --------------------------------------------------------------------- */

static size_t list_count(const json_t *value)
{
	return json_is_array(value) ? json_array_size(value) : 1;
}

static const json_t *list_item(const json_t *value, size_t i)
{
	return json_is_array(value) ? json_array_get(value, i) : value;
}

typedef int read_item(struct reader *reader, struct edged_slice text, size_t i, void *arg);

static int read_list(struct reader *reader, const char *name, const json_t *value, read_item *item, void *arg)
{
	size_t here = enter(reader, name, 0, false);
	size_t count = list_count(value);
	int r = count ? 0 : refuse(reader, "the list is empty");
	for (size_t i = 0; i < count && !r; i++) {
		const json_t *text = list_item(value, i);
		size_t inner = json_is_array(value) ? enter(reader, NULL, i, true) : strlen(reader->path);
		if (!json_is_string(text))
			r = refuse(reader, "this must be a string");
		else
			r = item(reader, edged_slice(json_string_value(text), json_string_length(text)), i,
			        arg);
		leave(reader, inner);
	}
	leave(reader, here);
	return r;
}

/* --- actions ---------------------------------------------------------------------------------------------------- */

static int read_action(struct reader *reader, struct edged_slice text, size_t i, void *arg)
{
	uint32_t *actions = arg, some = 0;
	const char *why;
	(void)i;
	if (!actions_read(text, &some, &why))
		return refuse(reader, why);
	*actions |= some;
	return 0;
}

static int read_actions(struct reader *reader, const json_t *object, struct statement *ret)
{
	const json_t *action = json_object_get(object, "Action"),
	             *other = json_object_get(object, "NotAction");
	if (!action == !other)
		return refuse(reader, "a statement has either Action or NotAction");
	int r = read_list(
	        reader, action ? "Action" : "NotAction", action ? action : other, read_action, &ret->actions);
	if (other)
		ret->actions = ~ret->actions & ((1u << EDGED_ACTION_COUNT) - 1);
	return r;
}

/* --- resources -------------------------------------------------------------------------------------------------- */

/* One part of an ARN, up to the next ":"; of variables the ":" does not count. */
static struct edged_slice arn_part(struct edged_slice *text, bool *ret_more)
{
	size_t n = 0;
	for (bool inside = false; n < text->len && (inside || text->ptr[n] != ':'); n++) {
		if (text->ptr[n] == '{' && n && text->ptr[n - 1] == '$')
			inside = true;
		else if (text->ptr[n] == '}')
			inside = false;
	}
	struct edged_slice part = edged_slice(text->ptr, n);
	*ret_more = n < text->len;
	*text = *ret_more ? edged_slice(text->ptr + n + 1, text->len - n - 1) : edged_slice(NULL, 0);
	return part;
}

int arn_read(struct edged_slice text, struct edged_slice *ret, bool *ret_never, const char **ret_why)
{
	bool more = true, open = false;
	*ret_why = "a resource is \"*\" or an ARN such as arn:aws:iot:REGION:ACCOUNT:topic/NAME";
	*ret_never = false;
	if (edged_slice_is(text, "*")) {
		*ret = text;
		return 0;
	}
	for (int i = 0; i < 5 && more; i++) {
		struct edged_slice part = arn_part(&text, &more);
		if (i == 0 && !edged_slice_is(part, "arn"))
			return -EINVAL;
		bool wild = part.len && memchr(part.ptr, '*', part.len);
		if (i == 2 && !wild && !edged_slice_is(part, "iot") && !edged_slice_is(part, "greengrass"))
			*ret_never = true;
		open = wild;
	}
	*ret = text;
	if (more)
		return text.len ? 0 : -EINVAL;
	*ret = edged_str("*"); /* "arn:aws:iot:*" */
	return open ? 0 : -EINVAL;
}

static int read_resource(struct reader *reader, struct edged_slice text, size_t i, void *arg)
{
	struct target *to = (struct target *)arg + i;
	struct edged_slice name;
	const char *why;
	int r = arn_read(text, &name, &to->never, &why);
	if (!r)
		r = pattern_read(name, reader->flags, &reader->policy->arena, &to->pattern, &why);
	for (size_t p = 0; !r && p < to->pattern.count; p++)
		reader->variables |= to->pattern.pieces[p].kind == PIECE_VARIABLE;
	return r == -EINVAL ? refuse(reader, why) : r;
}

static int read_resources(struct reader *reader, const json_t *object, struct statement *ret)
{
	const json_t *resource = json_object_get(object, "Resource"),
	             *other = json_object_get(object, "NotResource");
	if (!resource == !other)
		return refuse(reader, "a statement has either Resource or NotResource");
	const json_t *value = resource ? resource : other;
	ret->not_resource = other != NULL;
	ret->target_count = list_count(value);
	ret->targets = arena_get(&reader->policy->arena, (ret->target_count + 1) * sizeof(*ret->targets));
	if (!ret->targets)
		return -ENOMEM;
	return read_list(reader, resource ? "Resource" : "NotResource", value, read_resource, ret->targets);
}

/* --- conditions ------------------------------------------------------------------------------------------------- */

/* Strings, and what JSON writes without quotes. `room` keeps the text of numbers. */
static bool scalar(const json_t *value, char room[32], struct edged_slice *ret)
{
	if (json_is_string(value))
		*ret = edged_slice(json_string_value(value), json_string_length(value));
	else if (json_is_boolean(value))
		*ret = edged_str(json_is_true(value) ? "true" : "false");
	else if (json_is_integer(value))
		*ret = edged_slice(
		        room, (size_t)snprintf(room, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(value)));
	else if (json_is_real(value))
		*ret = edged_slice(room, (size_t)snprintf(room, 32, "%.17g", json_real_value(value)));
	else
		return false;
	return true;
}

static int read_key(struct reader *reader, const char *operator, const char * key, const json_t *value,
        struct statement *ret)
{
	const char *why = NULL;
	size_t count = list_count(value);
	struct arena *arena = &reader->policy->arena;
	struct edged_slice *values = arena_get(arena, (count + 1) * sizeof(*values));
	char(*rooms)[32] = arena_get(arena, (count + 1) * sizeof(*rooms));
	if (!values || !rooms)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (!scalar(list_item(value, i), rooms[i], &values[i]))
			return refuse(
			        reader, "the values of a condition are strings, numbers, true or false");
	int r = condition_read(edged_str(operator), edged_str(key), values, count, reader->flags,
	        ret->conditions, arena, &ret->conditions, &why);
	return r == -EINVAL ? refuse(reader, why) : r;
}

static int read_conditions(struct reader *reader, json_t *block, struct statement *ret)
{
	const char *operator, * key;
	json_t *keys, *value;
	size_t here = enter(reader, "Condition", 0, false);
	if (!json_is_object(block))
		return refuse(reader, "this must be an object: {\"OPERATOR\": {\"KEY\": \"VALUE\"}}");
	json_object_foreach(block, operator, keys)
	{
		size_t inner = enter(reader, operator, 0, false);
		if (!json_is_object(keys))
			return refuse(reader, "this must be an object: {\"KEY\": \"VALUE\"}");
		json_object_foreach(keys, key, value)
		{
			size_t innermost = enter(reader, key, 0, false);
			int r = read_key(reader, operator, key, value, ret);
			if (r)
				return r;
			leave(reader, innermost);
		}
		leave(reader, inner);
	}
	leave(reader, here);
	return 0;
}

/* --- statements ------------------------------------------------------------------------------------------------- */

static int only_members(struct reader *reader, json_t *object, const char *const *known)
{
	const char *name;
	json_t *value;
	json_object_foreach(object, name, value)
	{
		size_t i = 0;
		while (known[i] && strcmp(known[i], name) != 0)
			i++;
		if (known[i])
			continue;
		enter(reader, name, 0, false);
		return refuse(reader, "there is no such member (names are written as here: Version, "
		                      "Statement, Sid, Effect, "
		                      "Action, NotAction, Resource, NotResource, Condition)");
	}
	return 0;
}

static int read_statement(struct reader *reader, json_t *object, struct statement *ret)
{
	static const char *const known[] = { "Sid", "Effect", "Action", "NotAction", "Resource",
		"NotResource", "Condition", NULL };
	if (!json_is_object(object))
		return refuse(reader, "a statement is an object");
	int r = only_members(reader, object, known);
	const char *effect = json_string_value(json_object_get(object, "Effect"));
	if (r)
		return r;
	if (!effect || (strcmp(effect, "Allow") != 0 && strcmp(effect, "Deny") != 0))
		return refuse(reader, "Effect must be \"Allow\" or \"Deny\"");
	ret->deny = effect[0] == 'D';
	r = read_actions(reader, object, ret);
	if (!r)
		r = read_resources(reader, object, ret);
	json_t *condition = json_object_get(object, "Condition");
	if (!r && condition)
		r = read_conditions(reader, condition, ret);
	if (ret->conditions || reader->variables)
		reader->policy->constant = false;
	return r;
}

static int read_version(struct reader *reader, const json_t *version)
{
	size_t here = enter(reader, "Version", 0, false);
	const char *text = json_string_value(version);
	if (version && (!text || (strcmp(text, "2012-10-17") != 0 && strcmp(text, "2008-10-17") != 0)))
		return refuse(
		        reader, "Version must be \"2012-10-17\" (or \"2008-10-17\", which has no variables)");
	reader->flags = PATTERN_WILDCARDS | (text && text[2] == '1' ? PATTERN_VARIABLES : 0);
	leave(reader, here);
	return 0;
}

static int read_document(struct reader *reader, json_t *root)
{
	static const char *const known[] = { "Version", "Id", "Statement", NULL };
	struct policy *policy = reader->policy;
	if (!json_is_object(root))
		return refuse(
		        reader, "a policy is an object: {\"Version\": \"2012-10-17\", \"Statement\": [...]}");
	int r = only_members(reader, root, known);
	if (!r)
		r = read_version(reader, json_object_get(root, "Version"));
	if (r)
		return r;
	json_t *list = json_object_get(root, "Statement");
	enter(reader, "Statement", 0, false);
	if (!list || list_count(list) == 0)
		return refuse(reader, "there is no statement");
	policy->constant = true;
	policy->count = list_count(list);
	policy->statements = arena_get(&policy->arena, policy->count * sizeof(*policy->statements));
	if (!policy->statements)
		return -ENOMEM;
	for (size_t i = 0; i < policy->count && !r; i++) {
		size_t here = json_is_array(list) ? enter(reader, NULL, i, true) : strlen(reader->path);
		r = read_statement(
		        reader, json_is_array(list) ? json_array_get(list, i) : list, &policy->statements[i]);
		if (!r)
			leave(reader, here);
	}
	return r;
}

static int read_text(struct reader *reader, struct edged_slice document, size_t limit, json_t **ret)
{
	json_error_t error;
	char why[160];
	/* white space does not count, but it is not endless either */
	if (document.len > limit * 8)
		return refuse(reader, "the document is too long");
	json_t *root =
	        json_loadb(document.ptr ? document.ptr : "", document.len, JSON_REJECT_DUPLICATES, &error);
	if (!root) {
		snprintf(why, sizeof(why), "no valid JSON in line %d, column %d", error.line, error.column);
		return refuse(reader, why);
	}
	if (json_dumpb(root, NULL, 0, JSON_COMPACT) > limit) {
		snprintf(why, sizeof(why), "the document has more than %zu bytes without white space", limit);
		json_decref(root);
		return refuse(reader, why);
	}
	*ret = root;
	return 0;
}

int policy_compile(
        struct edged_slice document, size_t limit, struct policy **ret, struct policy_error *ret_error)
{
	json_t *root = NULL;
	struct reader reader = { .policy = calloc(1, sizeof(struct policy)), .error = ret_error };
	*ret_error = (struct policy_error){ 0 };
	if (!reader.policy)
		return -ENOMEM;
	reader.policy->refs = 1;
	int r = read_text(&reader, document, limit, &root);
	if (!r)
		r = read_document(&reader, root);
	json_decref(root);
	if (r)
		policy_unref(reader.policy);
	else
		*ret = reader.policy;
	return r;
}

struct policy *policy_ref(struct policy *policy)
{
	__atomic_fetch_add(&policy->refs, 1, __ATOMIC_RELAXED);
	return policy;
}

void policy_unref(struct policy *policy)
{
	if (!policy || __atomic_sub_fetch(&policy->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	arena_fini(&policy->arena);
	free(policy);
}

bool policy_constant(const struct policy *policy)
{
	return policy->constant;
}

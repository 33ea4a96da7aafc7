/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/key.h"

#include "ctl/policy.h"
#include "ctl/show.h"
#include "ctl/table.h"

static int no_memory(void)
{
	return ctl_say(EXIT_REFUSED, "no memory");
}

static int key_path(const struct ctl *ctl, struct buf *ret)
{
	return buf_add_str(ret, "/things/v1/keys/") ||
	                       http_add_encoded(ret, edged_str(ctl->options->arguments[1]), false)
	               ? no_memory()
	               : EXIT_DONE;
}

/* In the form in which AWS's tools take them from the environment. */
static int print(struct ctl *ctl, const json_t *key)
{
	const char *id = json_string_value(json_object_get(key, "id"));
	const char *secret = json_string_value(json_object_get(key, "secret"));
	if (!id || !secret)
		return ctl_say(EXIT_REFUSED, "edged answered without key");
	if (ctl->options->json)
		json_dumpf(key, stdout, JSON_INDENT(2));
	else
		printf("AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\n", id, secret);
	return EXIT_DONE;
}

static int create(struct ctl *ctl)
{
	const struct options *options = ctl->options;
	const char *policy = options->policy;
	json_t *key = NULL;
	int code = EXIT_DONE;
	if (!policy && !options->thing)
		return ctl_say(EXIT_USAGE,
		        "say what the key may do: --policy NAME, or --thing THING for that "
		        "thing's own topics and shadows");
	if (!policy)
		code = policy_default(ctl, &policy);
	json_t *body = code ? NULL
	                    : json_pack("{s:s,s:[s],s:s*}", "description", options->arguments[1], "policies",
	                              policy, "thing", options->thing);
	if (!code)
		code = body ? ctl_call_json(ctl, "POST", "/things/v1/keys", body, &key) : no_memory();
	if (!code)
		code = print(ctl, key);
	json_decref(body);
	json_decref(key);
	return code;
}

static const char *policies(const json_t *key, struct ctl_text *ret)
{
	const char *text = show_strings(json_object_get(key, "policies"), ret);
	return text[0] ? text : NULL;
}

static int list(struct ctl *ctl)
{
	static const struct column columns[] = { { "ID", "id", NULL }, { "NAME", "description", NULL },
		{ "STATE", NULL, show_enabled }, { "THING", "thing", NULL }, { "POLICIES", NULL, policies },
		{ 0 } };
	return show_list(ctl, "/things/v1/keys", columns, "no keys");
}

static int enable(struct ctl *ctl)
{
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	json_t *body = json_pack("{s:b}", "enabled", ctl->options->arguments[0][0] == 'e');
	int code = key_path(ctl, &path);
	if (!code)
		code = body ? ctl_call_json(ctl, "PATCH", path.ptr, body, NULL) : no_memory();
	json_decref(body);
	return code;
}

static int delete (struct ctl *ctl)
{
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	int code = key_path(ctl, &path);
	return code ? code : ctl_call_json(ctl, "DELETE", path.ptr, NULL, NULL);
}

int key_verb(struct ctl *ctl)
{
	static const struct {
		const char *name;
		int count;
		int (*run)(struct ctl *ctl);
	} actions[] = { { "create", 2, create }, { "list", 1, list }, { "enable", 2, enable },
		{ "disable", 2, enable }, { "delete", 2, delete } };
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(ctl->options->arguments[0], actions[i].name) == 0 &&
		        ctl->options->count == actions[i].count) {
			int code = actions[i].run(ctl);
			return code ? code : ctl_flush();
		}
	return ctl_say(EXIT_USAGE, "usage: edgectl key create NAME --policy POLICY|--thing THING, key list, "
	                           "key enable|disable ID, "
	                           "key delete ID");
}

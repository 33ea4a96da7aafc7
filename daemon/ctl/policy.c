/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/policy.h"

#include "ctl/show.h"

static const char default_name[] = "own-topics";
static const char default_document[] =
        "{\"Version\":\"2012-10-17\",\"Statement\":["
        "{\"Effect\":\"Allow\",\"Action\":\"iot:Connect\","
        "\"Resource\":\"arn:aws:iot:*:*:client/${iot:Connection.Thing.ThingName}\"},"
        "{\"Effect\":\"Allow\",\"Action\":[\"iot:Publish\",\"iot:RetainPublish\",\"iot:Receive\"],"
        "\"Resource\":["
        "\"arn:aws:iot:*:*:topic/${iot:Connection.Thing.ThingName}/*\","
        "\"arn:aws:iot:*:*:topic/$aws/things/${iot:Connection.Thing.ThingName}/*\"]},"
        "{\"Effect\":\"Allow\",\"Action\":\"iot:Subscribe\",\"Resource\":["
        "\"arn:aws:iot:*:*:topicfilter/${iot:Connection.Thing.ThingName}/*\","
        "\"arn:aws:iot:*:*:topicfilter/$aws/things/${iot:Connection.Thing.ThingName}/*\"]},"
        "{\"Effect\":\"Allow\",\"Action\":[\"iot:GetThingShadow\",\"iot:UpdateThingShadow\",\"iot:"
        "DeleteThingShadow\","
        "\"iot:ListNamedShadowsForThing\",\"iotjobsdata:*\",\"greengrass:Discover\"],\"Resource\":["
        "\"arn:aws:iot:*:*:thing/${iot:Connection.Thing.ThingName}\","
        "\"arn:aws:iot:*:*:thing/${iot:Connection.Thing.ThingName}/*\"]}]}";

static int no_memory(void)
{
	return ctl_say(EXIT_REFUSED, "no memory");
}

static int policy_path(const char *name, struct buf *ret)
{
	return buf_add_str(ret, "/things/v1/policies/") || http_add_encoded(ret, edged_str(name), false)
	               ? no_memory()
	               : EXIT_DONE;
}

int policy_default(struct ctl *ctl, const char **ret)
{
	CLEANUP(http_answer_fini) struct http_answer answer = { 0 };
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	struct err err = { "" };
	int code = policy_path(default_name, &path);
	if (code)
		return code;
	*ret = default_name;
	struct http_request request = { .method = "GET", .path = path.ptr };
	if (http_call(ctl->http, &request, &answer, &err))
		return ctl_say(EXIT_UNREACHABLE, "%s", err.text);
	if (answer.status == 200)
		return EXIT_DONE;
	return ctl_send(ctl, "PUT", path.ptr, edged_str(default_document), true);
}

static int create(struct ctl *ctl)
{
	CLEANUP(buf_fini) struct buf document = BUF_EMPTY;
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	int code = ctl_read_file(ctl->options->arguments[2], &document);
	if (!code)
		code = policy_path(ctl->options->arguments[1], &path);
	return code ? code : ctl_send(ctl, "PUT", path.ptr, buf_slice(&document), false);
}

static int list(struct ctl *ctl)
{
	static const struct column columns[] = { { "NAME", "name", NULL }, { "VERSION", "version", NULL },
		{ 0 } };
	return show_list(ctl, "/things/v1/policies", columns, "no policies");
}

/* The document, then what it is attached to. */
static int show(struct ctl *ctl)
{
	CLEANUP(http_answer_fini) struct http_answer answer = { 0 };
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	int code = policy_path(ctl->options->arguments[1], &path);
	if (code)
		return code;
	struct http_request request = { .method = "GET", .path = path.ptr };
	static const struct column columns[] = { { "ATTACHED TO", "kind", NULL }, { "NAME", "name", NULL },
		{ 0 } };
	code = ctl_call(ctl, &request, &answer);
	if (code)
		return code;
	ctl_print_json(ctl, &answer);
	if (ctl->options->json)
		return ctl_flush();
	return buf_add_str(&path, "/targets") ? no_memory()
	                                      : show_list(ctl, path.ptr, columns, "attached to nothing");
}

static int target_path(const char *policy, const char *target, struct buf *ret)
{
	static const struct {
		const char *prefix, *kind;
	} kinds[] = { { "thing:", "things" }, { "group:", "groups" }, { "certificate:", "certificates" },
		{ "user:", "users" }, { "key:", "keys" } };
	const char *kind = "things", *name = target;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strncmp(target, kinds[i].prefix, strlen(kinds[i].prefix)) == 0) {
			kind = kinds[i].kind;
			name = target + strlen(kinds[i].prefix);
		}
	int code = policy_path(policy, ret);
	if (!code && (buf_addf(ret, "/targets/%s/", kind) || http_add_encoded(ret, edged_str(name), false)))
		code = no_memory();
	return code;
}

static int attach(struct ctl *ctl)
{
	const char *const *arguments = (const char *const *)ctl->options->arguments;
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	int code = target_path(arguments[1], arguments[2], &path);
	return code ? code
	            : ctl_send(ctl, arguments[0][0] == 'a' ? "PUT" : "DELETE", path.ptr, edged_slice(NULL, 0),
	                      false);
}

static int delete (struct ctl *ctl)
{
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	int code = policy_path(ctl->options->arguments[1], &path);
	return code ? code : ctl_send(ctl, "DELETE", path.ptr, edged_slice(NULL, 0), false);
}

int policy_verb(struct ctl *ctl)
{
	static const struct {
		const char *name;
		int count;
		int (*run)(struct ctl *ctl);
	} actions[] = { { "create", 3, create }, { "list", 1, list }, { "show", 2, show },
		{ "attach", 3, attach }, { "detach", 3, attach }, { "delete", 2, delete } };
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(ctl->options->arguments[0], actions[i].name) == 0 &&
		        ctl->options->count == actions[i].count) {
			int code = actions[i].run(ctl);
			return code ? code : ctl_flush();
		}
	return ctl_say(EXIT_USAGE,
	        "usage: edgectl policy create NAME FILE|-, policy list, policy show NAME, policy attach NAME "
	        "TARGET, policy detach NAME TARGET, policy delete NAME");
}

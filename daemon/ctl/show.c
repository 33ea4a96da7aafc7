/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/show.h"

#include <inttypes.h>
#include <time.h>
#include "ctl/table.h"

static int no_memory(void)
{
	return ctl_say(EXIT_REFUSED, "no memory");
}

/* --- lists
 * -------------------------------------------------------------------------------------------------------------------
 */

static int fill(struct table *table, json_t *list, const struct column *columns)
{
	size_t i;
	const json_t *element;
	json_array_foreach(list, i, element) for (const struct column *column = columns; column->title;
	                                          column++)
	{
		struct ctl_text text;
		if (table_add(table, column->text ? column->text(element, &text)
		                                  : ctl_member(element, column->member, &text)))
			return no_memory();
	}
	return EXIT_DONE;
}

/* One page of the list; *ret_cursor is that of the next, malloc'ed, or NULL. */
static int add_page(struct ctl *ctl, const char *path, const char *cursor, const struct column *columns,
        struct table *table, char **ret_cursor)
{
	CLEANUP(buf_fini) struct buf full = BUF_EMPTY;
	json_t *answer = NULL;
	*ret_cursor = NULL;
	if (buf_add_str(&full, path) ||
	        (cursor && (buf_add_str(&full, strchr(path, '?') ? "&cursor=" : "?cursor=") ||
	                           http_add_encoded(&full, edged_str(cursor), false))))
		return no_memory();
	int code = ctl_get(ctl, full.ptr, &answer);
	if (code || !answer)
		return code;
	code = fill(table, ctl_list(answer), columns);
	const char *next = json_string_value(json_object_get(answer, "cursor"));
	if (!code && next)
		*ret_cursor = strdup(next);
	json_decref(answer);
	return code;
}

int show_list(struct ctl *ctl, const char *path, const struct column *columns, const char *nothing)
{
	const char *titles[TABLE_COLUMNS + 1] = { NULL };
	struct table table;
	char *cursor = NULL;
	int code;
	for (size_t i = 0; columns[i].title; i++)
		titles[i] = columns[i].title;
	table_init(&table, titles);
	do {
		char *next = NULL;
		code = add_page(ctl, path, cursor, columns, &table, &next);
		free(cursor);
		cursor = next;
	} while (!code && cursor);
	if (!code && !ctl->options->json)
		table_print(&table, nothing, stdout);
	table_fini(&table);
	return code ? code : ctl_flush();
}

int show_services(struct ctl *ctl)
{
	static const struct column columns[] = { { "NAME", "name", NULL }, { "VERSION", "version", NULL },
		{ "PATH", "self", NULL }, { "SCOPE", "scope", NULL }, { "TYPE", "serviceType", NULL },
		{ 0 } };
	return show_list(ctl, "/edge/v1/services", columns, "no services");
}

int show_plugins(struct ctl *ctl)
{
	static const struct column columns[] = { { "NAME", "name", NULL }, { "VERSION", "version", NULL },
		{ "STATE", "state", NULL }, { "FILE", "file", NULL }, { "REASON", "reason", NULL }, { 0 } };
	return show_list(ctl, "/edge/v1/plugins", columns, "no plugins");
}

int show_clients(struct ctl *ctl)
{
	static const struct column columns[] = { { "CLIENT", "clientId", NULL }, { "USER", "user", NULL },
		{ "ADDRESS", "address", NULL }, { "MQTT", "version", NULL }, { "TLS", "tls", NULL },
		{ "SUBSCRIPTIONS", "subscriptions", NULL }, { 0 } };
	return show_list(ctl, "/pubsub/v1/clients?limit=1000", columns, "no clients");
}

/* --- nodes
 * ----------------------------------------------------------------------------------------------------------------------
 */

/* The name is an attribute in a node record, or a member of it. */
static const char *node_name(const json_t *node, struct ctl_text *ret)
{
	size_t i;
	const json_t *attribute;
	json_array_foreach(json_object_get(node, "attributes"), i, attribute)
	{
		const char *name = json_string_value(json_object_get(attribute, "name"));
		if (name && strcmp(name, "name") == 0)
			return ctl_member(attribute, "value", ret);
	}
	const char *name = ctl_member(node, "name", ret);
	return name ? name : ctl_member(node, "nodeName", ret);
}

const char *show_strings(const json_t *list, struct ctl_text *ret)
{
	size_t i, n = 0;
	const json_t *item;
	ret->text[0] = '\0';
	json_array_foreach(list, i, item)
	{
		const char *text = json_is_object(item) ? json_string_value(json_object_get(item, "role"))
		                                        : json_string_value(item);
		if (text && n < sizeof(ret->text))
			n += (size_t)snprintf(
			        ret->text + n, sizeof(ret->text) - n, "%s%s", n ? "," : "", text);
	}
	return ret->text;
}

const char *show_enabled(const json_t *element, struct ctl_text *ret)
{
	snprintf(ret->text, sizeof(ret->text), "%s",
	        json_is_false(json_object_get(element, "enabled")) ? "disabled" : "enabled");
	return ret->text;
}

static const char *node_roles(const json_t *node, struct ctl_text *ret)
{
	const json_t *roles = json_object_get(node, "roles");
	return show_strings(json_is_array(roles) ? roles : json_object_get(node, "rolesInCluster"), ret);
}

static const char *node_address(const json_t *node, struct ctl_text *ret)
{
	const json_t *first = json_array_get(json_object_get(node, "addresses"), 0);
	if (json_is_string(first))
		snprintf(ret->text, sizeof(ret->text), "%s", json_string_value(first));
	else
		return ctl_member(json_object_get(first, "url"), "href", ret);
	return ret->text;
}

/* How long ago, from milliseconds since 1970 or a text. */
static const char *node_seen(const json_t *node, struct ctl_text *ret)
{
	const json_t *seen = json_object_get(node, "lastSeen");
	if (!json_is_integer(seen))
		return ctl_member(node, "lastSeen", ret);
	int64_t ago = (int64_t)time(NULL) - json_integer_value(seen) / 1000;
	if (ago < 0)
		ago = 0;
	if (ago < 120)
		snprintf(ret->text, sizeof(ret->text), "%" PRId64 "s ago", ago);
	else if (ago < 7200)
		snprintf(ret->text, sizeof(ret->text), "%" PRId64 "m ago", ago / 60);
	else
		snprintf(ret->text, sizeof(ret->text), "%" PRId64 "h ago", ago / 3600);
	return ret->text;
}

int show_nodes(struct ctl *ctl)
{
	static const struct column columns[] = { { "NAME", NULL, node_name }, { "ID", "id", NULL },
		{ "ROLES", NULL, node_roles }, { "REACHABLE", "reachable", NULL },
		{ "TRUSTED", "trusted", NULL }, { "SEEN", NULL, node_seen },
		{ "ADDRESS", NULL, node_address }, { 0 } };
	return show_list(ctl, "/mds/v1/nodes?clusters=linkLocal", columns, "no nodes");
}

/* --- one object
 * --------------------------------------------------------------------------------------------------------------------
 */

static void print_pair(const char *name, const char *value)
{
	CLEANUP(buf_fini) struct buf safe = BUF_EMPTY;
	if (text_add_safe(&safe, edged_str(value), false) == 0 && safe.len)
		printf("%-16s %s\n", name, safe.ptr);
}

/* Members one below the other: "account.id  x", "addresses  a,b". */
static void print_members(const json_t *object, const char *prefix, unsigned depth)
{
	const char *name;
	const json_t *value;
	json_object_foreach((json_t *)object, name, value)
	{
		struct ctl_text text;
		char full[200];
		snprintf(full, sizeof(full), "%s%s%s", prefix, prefix[0] ? "." : "", name);
		const char *shown =
		        json_is_array(value) ? show_strings(value, &text) : ctl_member(object, name, &text);
		if (shown)
			print_pair(full, shown);
		else if (json_is_object(value) && depth < 4)
			print_members(value, full, depth + 1);
	}
}

int show_object(struct ctl *ctl, const char *path)
{
	json_t *object = NULL;
	int code = ctl_get(ctl, path, &object);
	if (!code && object)
		print_members(object, "", 0);
	json_decref(object);
	return code ? code : ctl_flush();
}

int show_node(struct ctl *ctl)
{
	return show_object(ctl, "/edge/v1/node");
}

/* --- status
 * --------------------------------------------------------------------------------------------------------------------------
 */

/* /readyz answers 503 with the reasons while something is missing: that is no refusal here. */
static int get_ready(struct ctl *ctl, json_t **ret)
{
	CLEANUP(http_answer_fini) struct http_answer answer = { 0 };
	struct http_request request = { .method = "GET", .path = "/readyz" };
	struct err err = { "" };
	if (http_call(ctl->http, &request, &answer, &err))
		return ctl_say(EXIT_UNREACHABLE, "%s", err.text);
	if (answer.status != 200 && answer.status != 503)
		return ctl_refused(ctl, &answer);
	*ret = json_loadb(answer.body.ptr ? answer.body.ptr : "", answer.body.len, 0, NULL);
	if (!*ret)
		return ctl_say(EXIT_REFUSED, "edged answered /readyz with something that is no JSON");
	json_object_set_new(*ret, "ready", json_boolean(answer.status == 200));
	return EXIT_DONE;
}

static int get(struct ctl *ctl, const char *path, json_t **ret)
{
	struct options plain = *ctl->options;
	struct ctl quiet = { .options = &plain, .verbs = ctl->verbs, .http = ctl->http };
	plain.json = false;
	return ctl_get(&quiet, path, ret);
}

static void print_reasons(const json_t *ready, const char *name)
{
	size_t i;
	const json_t *reason;
	json_array_foreach(json_object_get(ready, name), i, reason)
	{
		char *text = json_dumps(reason, JSON_COMPACT | JSON_ENCODE_ANY);
		print_pair("  waiting for", json_is_string(reason) ? json_string_value(reason)
		                            : text                 ? text
		                                                   : "");
		free(text);
	}
}

/* "3 running, 1 failed", and a line for each that does not run. */
static void print_plugins(json_t *plugins)
{
	size_t i, running = 0, other = 0;
	const json_t *plugin;
	struct ctl_text text, reason;
	char line[600];
	json_array_foreach(ctl_list(plugins), i, plugin)
	{
		const char *state = ctl_member(plugin, "state", &text);
		bool runs = state && strcmp(state, "running") == 0;
		running += runs;
		other += !runs;
	}
	snprintf(line, sizeof(line), "%zu running%s", running, other ? "" : ", nothing else found");
	if (other)
		snprintf(line, sizeof(line), "%zu running, %zu not", running, other);
	print_pair("plugins", line);
	json_array_foreach(ctl_list(plugins), i, plugin)
	{
		const char *state = ctl_member(plugin, "state", &text);
		if (state && strcmp(state, "running") == 0)
			continue;
		const char *name = json_string_value(json_object_get(plugin, "name"));
		const char *why = ctl_member(plugin, "reason", &reason);
		snprintf(line, sizeof(line), "%s%s%s", state ? state : "?", why && why[0] ? ": " : "",
		        why ? why : "");
		char label[64];
		snprintf(label, sizeof(label), "  %.50s", name && name[0] ? name : "(refused)");
		print_pair(label, line);
	}
}

/* What is wrong with the cluster. */
static void print_warnings(const json_t *cluster)
{
	size_t i;
	const json_t *warning;
	json_array_foreach(json_object_get(cluster, "warnings"), i, warning)
	{
		const char *text = json_string_value(json_object_get(warning, "text"));
		print_pair("warning", text ? text : "");
	}
}

static void print_status(const json_t *ready, const json_t *node, json_t *plugins, const json_t *cluster)
{
	static const char *const members[] = { "name", "id", "version", "uptime", "account" };
	struct ctl_text text;
	print_pair("edged", json_is_true(json_object_get(ready, "ready")) ? "ready" : "not ready yet");
	print_reasons(ready, "node");
	print_reasons(ready, "plugins");
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const char *value = ctl_member(node, members[i], &text);
		if (!value && strcmp(members[i], "name") == 0)
			value = node_name(node, &text);
		print_pair(members[i], value ? value : "");
	}
	print_plugins(plugins);
	print_warnings(cluster);
}

int show_status(struct ctl *ctl)
{
	json_t *ready = NULL, *node = NULL, *plugins = NULL, *cluster = NULL;
	int code = get_ready(ctl, &ready);
	if (!code)
		code = get(ctl, "/edge/v1/node", &node);
	if (!code)
		code = get(ctl, "/edge/v1/plugins", &plugins);
	if (!code)
		code = get(ctl, "/edge/v1/cluster", &cluster);
	if (!code && ctl->options->json) {
		json_t *all = json_pack("{s:O, s:O, s:O, s:O}", "ready", ready, "node", node, "plugins",
		        ctl_list(plugins), "cluster", cluster);
		if (!all || json_dumpf(all, stdout, JSON_COMPACT) || puts("") < 0)
			code = no_memory();
		json_decref(all);
	} else if (!code) {
		print_status(ready, node, plugins, cluster);
	}
	bool is_ready = json_is_true(json_object_get(ready, "ready"));
	json_decref(ready);
	json_decref(node);
	json_decref(plugins);
	json_decref(cluster);
	if (!code)
		code = ctl_flush();
	return code ? code : is_ready ? EXIT_DONE : EXIT_REFUSED;
}

int show_help(struct ctl *ctl)
{
	options_help(ctl->verbs, stdout);
	return ctl_flush();
}

int show_version(struct ctl *ctl)
{
	(void)ctl;
	puts("edgectl " EDGED_VERSION);
	return ctl_flush();
}

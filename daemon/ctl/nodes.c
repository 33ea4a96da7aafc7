/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/nodes.h"

#include <time.h>
#include "ctl/show.h"
#include "ctl/table.h"

static int no_memory(void)
{
	return ctl_say(EXIT_REFUSED, "no memory");
}

static void print_pair(const char *name, const char *value)
{
	CLEANUP(buf_fini) struct buf safe = BUF_EMPTY;
	if (text_add_safe(&safe, edged_str(value ? value : ""), false) == 0)
		printf("%-16s %s\n", name, safe.ptr ? safe.ptr : "");
}

/* "name (start of the id)", or "nobody" */
static const char *who(const json_t *node, struct ctl_text *ret)
{
	const char *name = json_string_value(json_object_get(node, "name")),
	           *id = json_string_value(json_object_get(node, "id"));
	if (id)
		snprintf(ret->text, sizeof(ret->text), "%s (%.8s)", name ? name : "", id);
	else
		snprintf(ret->text, sizeof(ret->text), "nobody");
	return ret->text;
}

static int print_table(struct table *table, const char *nothing)
{
	table_print(table, nothing, stdout);
	table_fini(table);
	return ctl_flush();
}

/* --- the cluster --- */

int nodes_cluster(struct ctl *ctl)
{
	static const char *const titles[] = { "NAME", "ID", "STATE", "SINCE", "ADDRESS", NULL };
	static const char *const columns[] = { "name", "id", "state", "since", "address" };
	struct table table;
	json_t *cluster = NULL;
	size_t i;
	const json_t *element;
	struct ctl_text text;
	int code = ctl_get(ctl, "/edge/v1/cluster", &cluster);
	if (code || !cluster)
		return code ? code : ctl_flush();
	print_pair("this node", who(cluster, &text));
	print_pair("supernode", who(json_object_get(cluster, "supernode"), &text));
	print_pair("reason", ctl_member(cluster, "reason", &text));
	json_array_foreach(json_object_get(cluster, "warnings"), i, element)
	        print_pair("warning", json_string_value(json_object_get(element, "text")));
	puts("");
	table_init(&table, titles);
	json_array_foreach(json_object_get(cluster, "members"), i,
	        element) for (size_t column = 0; column < ARRAY_LEN(columns) && !code; column++) code =
	        table_add(&table, ctl_member(element, columns[column], &text)) ? no_memory() : 0;
	json_decref(cluster);
	if (!code)
		return print_table(&table, "no other nodes");
	table_fini(&table);
	return code;
}

/* --- roles --- */

static const char *names_of(const json_t *list, struct ctl_text *ret)
{
	size_t i, n = 0;
	const json_t *node;
	struct ctl_text text;
	ret->text[0] = '\0';
	json_array_foreach(list, i, node) if (n < sizeof(ret->text)) n += (size_t)snprintf(
	        ret->text + n, sizeof(ret->text) - n, "%s%s", n ? ", " : "", who(node, &text));
	return ret->text;
}

int nodes_roles(struct ctl *ctl)
{
	static const char *const titles[] = { "ROLE", "HOLDER", "REASON", "PINNED TO", "VETOED ON", NULL };
	struct table table;
	json_t *answer = NULL;
	size_t i;
	const json_t *role;
	int code = ctl_get(ctl, "/edge/v1/roles", &answer);
	if (code || !answer)
		return code ? code : ctl_flush();
	table_init(&table, titles);
	json_array_foreach(json_object_get(answer, "roles"), i, role)
	{
		struct ctl_text text[5];
		const char *cells[] = { ctl_member(role, "role", &text[0]),
			who(json_object_get(role, "holder"), &text[1]), ctl_member(role, "reason", &text[2]),
			names_of(json_object_get(role, "pinned"), &text[3]),
			names_of(json_object_get(role, "vetoed"), &text[4]) };
		for (size_t c = 0; c < ARRAY_LEN(cells) && !code; c++)
			code = table_add(&table, cells[c]) ? no_memory() : 0;
	}
	json_decref(answer);
	if (!code)
		return print_table(&table, "no roles are granted yet");
	table_fini(&table);
	return code;
}

int nodes_role(struct ctl *ctl)
{
	static const char *const words[][2] = { { "pin", "pin" }, { "veto", "veto" }, { "clear", "none" } };
	char **arguments = ctl->options->arguments;
	const char *wish = NULL;
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	CLEANUP(buf_fini) struct buf body = BUF_EMPTY;
	CLEANUP(http_answer_fini) struct http_answer answer = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(arguments[0], words[i][0]) == 0)
			wish = words[i][1];
	if (!wish)
		return ctl_say(EXIT_USAGE, "usage: edgectl role pin|veto|clear ROLE NODE");
	if (buf_add_str(&path, "/nodes/") || http_add_encoded(&path, edged_str(arguments[2]), false) ||
	        buf_add_str(&path, "/edge/v1/roles/") ||
	        http_add_encoded(&path, edged_str(arguments[1]), false) ||
	        buf_addf(&body, "{\"wish\":\"%s\"}", wish))
		return no_memory();
	struct http_request request = { .method = "PUT",
		.path = path.ptr,
		.content_type = "application/json",
		.body = buf_slice(&body) };
	int code = ctl_call(ctl, &request, &answer);
	if (code)
		return code;
	if (ctl->options->json)
		ctl_print_json(ctl, &answer);
	else
		printf("role %s: %s %s\n", arguments[1],
		        strcmp(wish, "pin") == 0    ? "pinned to"
		        : strcmp(wish, "veto") == 0 ? "vetoed on"
		                                    : "neither pinned nor vetoed on",
		        arguments[2]);
	return ctl_flush();
}

/* --- why --- */

static bool is_node(const json_t *node, const char *wanted)
{
	const char *name = json_string_value(json_object_get(node, "name")),
	           *id = json_string_value(json_object_get(node, "id"));
	bool self = strcmp(wanted, "self") == 0 && json_is_true(json_object_get(node, "self"));
	return self || (name && strcmp(name, wanted) == 0) ||
	       (id && strlen(wanted) >= 8 && strncmp(id, wanted, strlen(wanted)) == 0);
}

static const json_t *find_node(const json_t *nodes, const char *wanted, unsigned *ret_count)
{
	size_t i;
	const json_t *node, *found = NULL;
	*ret_count = 0;
	json_array_foreach(nodes, i, node) if (is_node(node, wanted))
	{
		found = node;
		++*ret_count;
	}
	return found;
}

static const json_t *find_supernode(const json_t *nodes)
{
	size_t i;
	const json_t *node;
	json_array_foreach(nodes, i, node) if (json_is_true(json_object_get(node, "supernode"))) return node;
	return NULL;
}

static const char *value_of(const json_t *node, const char *field, struct ctl_text *ret)
{
	const json_t *value = json_object_get(json_object_get(node, "values"), field);
	const char *meaning = ctl_member(value, "meaning", ret);
	return meaning ? meaning : ctl_member(value, "value", ret);
}

/* What counts, in the order in which it counts, beside the supernode's. */
static int print_values(const json_t *election, const json_t *node)
{
	static const char *const titles[] = { "WHAT COUNTS", "THIS NODE", "SUPERNODE", NULL };
	const json_t *lead = find_supernode(json_object_get(election, "nodes")), *field;
	struct table table;
	size_t i;
	int code = EXIT_DONE;
	table_init(&table, titles);
	json_array_foreach(json_object_get(election, "order"), i, field)
	{
		const char *key = json_string_value(json_object_get(field, "field"));
		struct ctl_text text[3];
		if (!key || !json_object_get(json_object_get(node, "values"), key))
			continue;
		const char *cells[] = { ctl_member(field, "text", &text[0]), value_of(node, key, &text[1]),
			value_of(lead, key, &text[2]) };
		for (size_t c = 0; c < ARRAY_LEN(cells) && !code; c++)
			code = table_add(&table, cells[c]) ? no_memory() : 0;
	}
	if (!code)
		table_print(&table, "", stdout);
	table_fini(&table);
	return code;
}

static void print_roles_of(const json_t *roles, const json_t *node)
{
	size_t i;
	const json_t *role;
	const char *id = json_string_value(json_object_get(node, "id"));
	json_array_foreach(json_object_get(roles, "roles"), i, role)
	{
		struct ctl_text name, reason;
		const char *holder =
		        json_string_value(json_object_get(json_object_get(role, "holder"), "id"));
		if (!id || !holder || strcmp(id, holder) != 0)
			continue;
		ctl_member(role, "role", &name);
		ctl_member(role, "reason", &reason);
		print_pair(name.text, reason.text);
	}
}

static int print_why(const json_t *election, const json_t *roles, const char *wanted)
{
	unsigned count;
	struct ctl_text text;
	const json_t *node = find_node(json_object_get(election, "nodes"), wanted, &count);
	if (count > 1)
		return ctl_say(EXIT_REFUSED, "%u nodes are called %s: use more of the id, see edgectl nodes",
		        count, wanted);
	if (!node)
		return ctl_say(EXIT_REFUSED, "no node that is there is called %s: see edgectl nodes", wanted);
	print_pair("node", who(node, &text));
	print_pair("state", ctl_member(node, "state", &text));
	print_pair("supernode", json_is_true(json_object_get(node, "supernode")) ? "yes" : "no");
	print_pair("reason", json_string_value(json_object_get(election, "reason")));
	print_roles_of(roles, node);
	puts("");
	int code = print_values(election, node);
	return code ? code : ctl_flush();
}

int nodes_why(struct ctl *ctl)
{
	json_t *election = NULL, *roles = NULL;
	int code = ctl_get(ctl, "/edge/v1/cluster/election", &election);
	if (!code && election)
		code = ctl_get(ctl, "/edge/v1/roles", &roles);
	if (!code && election)
		code = print_why(election, roles, ctl->options->arguments[0]);
	json_decref(election);
	json_decref(roles);
	return code ? code : ctl_flush();
}

/* --- removing --- */

/* What the daemon says of the node that it did something to; with --json it is printed. */
static int change_node(struct ctl *ctl, const char *method, const char *folder, const char *node,
        struct ctl_text *ret_id, struct ctl_text *ret_name)
{
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	CLEANUP(http_answer_fini) struct http_answer answer = { 0 };
	ret_id->text[0] = ret_name->text[0] = '\0';
	if (buf_add_str(&path, folder) || http_add_encoded(&path, edged_str(node), false))
		return no_memory();
	struct http_request request = { .method = method, .path = path.ptr };
	int code = ctl_call(ctl, &request, &answer);
	if (code)
		return code;
	if (ctl->options->json)
		ctl_print_json(ctl, &answer);
	json_t *json = json_loadb(answer.body.ptr ? answer.body.ptr : "", answer.body.len, 0, NULL);
	if (!ctl_member(json, "id", ret_id))
		snprintf(ret_id->text, sizeof(ret_id->text), "?");
	(void)ctl_member(json, "name", ret_name);
	json_decref(json);
	return EXIT_DONE;
}

static void print_node(
        const struct ctl *ctl, const char *done, const struct ctl_text *id, const struct ctl_text *name)
{
	if (!ctl->options->json)
		printf("%s node %s%s%s%s\n", done, id->text, name->text[0] ? " (" : "", name->text,
		        name->text[0] ? ")" : "");
}

int nodes_remove(struct ctl *ctl)
{
	struct ctl_text id, name;
	int code = change_node(ctl, "DELETE", "/mds/v1/nodes/", ctl->options->arguments[0], &id, &name);
	if (code)
		return code;
	print_node(ctl, "removed", &id, &name);
	return ctl_flush();
}

/* --- signers --- */

#define SIGNERS "/edge/v1/account/signers"

enum { SIGNER_WAIT_S = 10, SIGNER_POLL_MS = 200 };

int nodes_signers(struct ctl *ctl)
{
	static const struct column columns[] = { { "NAME", "name", NULL }, { "ID", "id", NULL },
		{ "SINCE", "since", NULL }, { "CERTIFICATE UNTIL", "certificateExpires", NULL }, { 0 } };
	return show_list(ctl, SIGNERS, columns, "no signers");
}

/* 1: it has its certificate; 0: it has not; else the exit code, negative. */
static int has_certificate(struct ctl *ctl, const char *id)
{
	json_t *answer = NULL;
	const json_t *signer;
	size_t i;
	int found = 0, code = ctl_call_json(ctl, "GET", SIGNERS, NULL, &answer);
	if (code)
		return -code;
	json_array_foreach(ctl_list(answer), i, signer)
	{
		const char *which = json_string_value(json_object_get(signer, "id"));
		if (which && strcmp(which, id) == 0)
			found = json_is_string(json_object_get(signer, "certificateExpires"));
	}
	json_decref(answer);
	return found;
}

/* The owner may be about to take the account's key away: so it is told when that was not needed for the last time. */
static int wait_for_certificate(struct ctl *ctl, const char *id)
{
	const struct timespec pause = { .tv_nsec = SIGNER_POLL_MS * 1000000L };
	for (int left = SIGNER_WAIT_S * 1000 / SIGNER_POLL_MS; left > 0; left--) {
		int r = has_certificate(ctl, id);
		if (r)
			return r < 0 ? -r : EXIT_DONE;
		nanosleep(&pause, NULL);
	}
	fprintf(stderr,
	        "It has not fetched its certificate yet: it does when it is there and reaches this node; see "
	        "edgectl signers.\n");
	return EXIT_DONE;
}

int nodes_signer(struct ctl *ctl)
{
	const char *const *arguments = (const char *const *)ctl->options->arguments;
	struct ctl_text id, name;
	bool add = strcmp(arguments[0], "add") == 0;
	if (!add && strcmp(arguments[0], "remove") != 0)
		return ctl_say(EXIT_USAGE, "signer takes add or remove, not \"%s\"", arguments[0]);
	int code = change_node(ctl, add ? "PUT" : "DELETE", SIGNERS "/", arguments[1], &id, &name);
	if (!code && add)
		code = wait_for_certificate(ctl, id.text);
	if (code)
		return code;
	print_node(ctl, add ? "signer:" : "no signer any more:", &id, &name);
	return ctl_flush();
}

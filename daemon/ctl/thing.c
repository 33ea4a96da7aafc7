/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/thing.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>
#include "ctl/kit.h"
#include "ctl/policy.h"
#include "ctl/show.h"
#include "ctl/table.h"

static int no_memory(void)
{
	return ctl_say(EXIT_REFUSED, "no memory");
}

static int thing_path(const struct ctl *ctl, const char *tail, struct buf *ret)
{
	return buf_add_str(ret, "/things/v1/things/") ||
	                       http_add_encoded(ret, edged_str(ctl->options->arguments[1]), false) ||
	                       buf_add_str(ret, tail)
	               ? no_memory()
	               : EXIT_DONE;
}

/* --- making a device ------------------------------------------------------------------------------------------------------ */

static int add_request(const struct ctl *ctl, json_t *wish)
{
	char text[16384];
	if (!ctl->options->csr)
		return EXIT_DONE;
	int fd = open(ctl->options->csr, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	int error = errno;
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return ctl_say(EXIT_REFUSED, "cannot read %s: %s", ctl->options->csr, strerror(error));
	return json_object_set_new(wish, "csr", json_stringn(text, (size_t)n))
	               ? ctl_say(EXIT_REFUSED, "%s is no certificate request in PEM", ctl->options->csr)
	               : EXIT_DONE;
}

/* What the daemon issued, with the node's end-points, as files. */
static int write_kit(struct ctl *ctl, const char *folder, const json_t *issued)
{
	json_t *account = NULL, *node = NULL, *connect = NULL;
	int code = ctl_call_json(ctl, "POST", "/edge/v1/account", NULL, &account);
	if (!code)
		code = ctl_call_json(ctl, "GET", "/edge/v1/node", NULL, &node);
	if (!code) {
		const struct kit kit = { .folder = folder,
			.thing = ctl->options->arguments[1],
			.certificate = json_string_value(json_object_get(issued, "certificate")),
			.key = json_string_value(json_object_get(issued, "privateKey")),
			.ca = json_string_value(json_object_get(account, "ca")),
			.name = json_string_value(json_object_get(node, "name")),
			.listeners = json_object_get(node, "listeners") };
		code = kit.certificate && kit.ca && kit.name
		               ? kit_write(&kit, &connect)
		               : ctl_say(EXIT_REFUSED, "edged answered without certificate or CA");
	}
	if (!code && ctl->options->json)
		json_dumpf(connect, stdout, JSON_INDENT(2));
	else if (!code)
		printf("%s: key, certificate and how to connect are in %s; see %s/README.txt\n",
		        ctl->options->arguments[1], folder, folder);
	json_decref(account);
	json_decref(node);
	json_decref(connect);
	return code;
}

static int create_in(struct ctl *ctl, const char *folder)
{
	const char *policy = ctl->options->policy;
	json_t *account = NULL, *answer = NULL;
	int code = ctl_call_json(ctl, "POST", "/edge/v1/account", NULL,
	        &account); /* so that its CA stays the same from now on */
	json_decref(account);
	if (!code && !policy)
		code = policy_default(ctl, &policy);
	json_t *wish = code ? NULL : json_pack("{s:[s]}", "policies", policy);
	json_t *body =
	        wish ? json_pack("{s:s,s:O}", "name", ctl->options->arguments[1], "certificate", wish) : NULL;
	if (!code)
		code = body ? add_request(ctl, wish) : no_memory();
	if (!code)
		code = ctl_call_json(ctl, "POST", "/things/v1/things", body, &answer);
	if (!code)
		code = write_kit(ctl, folder, json_object_get(answer, "certificate"));
	json_decref(wish);
	json_decref(body);
	json_decref(answer);
	return code;
}

static int rotate_in(struct ctl *ctl, const char *folder)
{
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	json_t *wish = json_object(), *answer = NULL;
	int code = thing_path(ctl, "/rotate", &path);
	if (!code && ctl->options->time_s)
		code = json_object_set_new(wish, "overlapSeconds", json_integer(ctl->options->time_s))
		               ? no_memory()
		               : EXIT_DONE;
	if (!code)
		code = add_request(ctl, wish);
	if (!code)
		code = ctl_call_json(ctl, "POST", path.ptr, wish, &answer);
	if (!code)
		code = write_kit(ctl, folder, answer);
	json_decref(wish);
	json_decref(answer);
	return code;
}

static int with_folder(struct ctl *ctl, int (*run)(struct ctl *ctl, const char *folder))
{
	const char *folder = ctl->options->folder ? ctl->options->folder : ctl->options->arguments[1];
	int code = kit_begin(folder);
	if (code)
		return code;
	code = run(ctl, folder);
	if (code)
		kit_drop(folder);
	return code;
}

static int create(struct ctl *ctl)
{
	return with_folder(ctl, create_in);
}

static int rotate(struct ctl *ctl)
{
	return with_folder(ctl, rotate_in);
}

/* --- the rest --------------------------------------------------------------------------------------------------------------- */

static const char *groups(const json_t *thing, struct ctl_text *ret)
{
	const char *text = show_strings(json_object_get(thing, "groups"), ret);
	return text[0] ? text : NULL;
}

static int list(struct ctl *ctl)
{
	static const struct column columns[] = { { "NAME", "name", NULL }, { "TYPE", "type", NULL },
		{ "STATE", NULL, show_enabled }, { "GROUPS", NULL, groups }, { 0 } };
	return show_list(ctl, "/things/v1/things", columns, "no things");
}

static int show(struct ctl *ctl)
{
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	json_t *thing = NULL;
	int code = thing_path(ctl, "", &path);
	if (!code)
		code = ctl_get(ctl, path.ptr, &thing);
	if (!code && thing && json_dumpf(thing, stdout, JSON_INDENT(2)) == 0)
		putchar('\n');
	json_decref(thing);
	return code;
}

static int enable(struct ctl *ctl)
{
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	json_t *body = json_pack("{s:b}", "enabled", ctl->options->arguments[0][0] == 'e');
	int code = thing_path(ctl, "", &path);
	if (!code)
		code = body ? ctl_call_json(ctl, "PATCH", path.ptr, body, NULL) : no_memory();
	json_decref(body);
	return code;
}

static int delete (struct ctl *ctl)
{
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	int code = thing_path(ctl, "", &path);
	return code ? code : ctl_call_json(ctl, "DELETE", path.ptr, NULL, NULL);
}

/* --- pairing ------------------------------------------------------------------------------------------------------------ */

enum { POLL_US = 300000 };

/* The owner's answer on standard input. */
static bool ask(const json_t *candidate)
{
	CLEANUP(buf_fini) struct buf safe = BUF_EMPTY;
	char line[256];
	const char *name = json_string_value(json_object_get(candidate, "name"));
	if (text_add_safe(&safe, edged_str(name), false))
		return false;
	printf("%s at %s, code %s: accept it? [y/N] ", safe.ptr ? safe.ptr : "?",
	        json_string_value(json_object_get(candidate, "address")),
	        json_string_value(json_object_get(candidate, "code")));
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static int decide(struct ctl *ctl, const json_t *candidate, const char *policy, bool *ret_accepted)
{
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	*ret_accepted = ask(candidate);
	json_t *body = *ret_accepted ? json_pack("{s:b,s:[s]}", "accept", 1, "policies", policy)
	                             : json_pack("{s:b}", "accept", 0);
	int code =
	        !body || buf_add_str(&path, "/things/v1/pairing/") ||
	                        http_add_encoded(&path,
	                                edged_str(json_string_value(json_object_get(candidate, "id"))), false)
	                ? no_memory()
	                : ctl_call_json(ctl, "POST", path.ptr, body, NULL);
	json_decref(body);
	return code;
}

/* Until one is accepted, or the time is over. */
static int wait_for_device(struct ctl *ctl, const char *policy)
{
	bool accepted = false, open = true;
	int code = EXIT_DONE;
	while (!code && open && !accepted) {
		json_t *state = NULL;
		code = ctl_call_json(ctl, "GET", "/things/v1/pairing", NULL, &state);
		const json_t *first = json_array_get(json_object_get(state, "data"), 0);
		open = json_is_true(json_object_get(state, "open"));
		if (!code && first)
			code = decide(ctl, first, policy, &accepted);
		else if (!code && open)
			usleep(POLL_US);
		json_decref(state);
	}
	if (!code && accepted)
		puts("accepted");
	return !code && !accepted ? ctl_say(EXIT_REFUSED, "no device was accepted in this time") : code;
}

static int pair(struct ctl *ctl)
{
	const char *policy = ctl->options->policy;
	json_t *account = NULL, *body = json_pack("{s:I}", "seconds",
	                                (json_int_t)(ctl->options->time_s ? ctl->options->time_s : 60));
	int code = ctl_call_json(ctl, "POST", "/edge/v1/account", NULL, &account);
	if (!code && !policy)
		code = policy_default(ctl, &policy);
	if (!code)
		code = body ? ctl_call_json(ctl, "POST", "/things/v1/pairing", body, NULL) : no_memory();
	if (!code) {
		puts("Devices may introduce themselves now (POST /things/v1/pair on the secure port).");
		fflush(stdout);
		code = wait_for_device(ctl, policy);
		int closed = ctl_call_json(ctl, "DELETE", "/things/v1/pairing", NULL, NULL);
		code = code ? code : closed;
	}
	json_decref(account);
	json_decref(body);
	return code;
}

int thing_verb(struct ctl *ctl)
{
	static const struct {
		const char *name;
		int count;
		int (*run)(struct ctl *ctl);
	} actions[] = { { "create", 2, create }, { "list", 1, list }, { "show", 2, show },
		{ "rotate", 2, rotate }, { "enable", 2, enable }, { "disable", 2, enable },
		{ "delete", 2, delete }, { "pair", 1, pair } };
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(ctl->options->arguments[0], actions[i].name) == 0 &&
		        ctl->options->count == actions[i].count) {
			int code = actions[i].run(ctl);
			return code ? code : ctl_flush();
		}
	return ctl_say(EXIT_USAGE,
	        "usage: edgectl thing create THING, thing list, thing show THING, thing rotate THING, thing "
	        "disable|enable THING, thing delete THING, thing pair");
}

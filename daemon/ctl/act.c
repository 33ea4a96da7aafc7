/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/act.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

static int no_memory(void)
{
	return ctl_say(EXIT_REFUSED, "no memory");
}

/* POST of JSON whose answer is JSON; with --json it is printed and *ret stays NULL. */
static int post(struct ctl *ctl, const char *path, const struct buf *body, json_t **ret)
{
	CLEANUP(http_answer_fini) struct http_answer answer = { 0 };
	struct http_request request = {
		.method = "POST", .path = path, .content_type = "application/json", .body = buf_slice(body)
	};
	int code = ctl_call(ctl, &request, &answer);
	if (code)
		return code;
	if (ctl->options->json) {
		ctl_print_json(ctl, &answer);
		return EXIT_DONE;
	}
	*ret = json_loadb(answer.body.ptr ? answer.body.ptr : "", answer.body.len, 0, NULL);
	return *ret ? EXIT_DONE
	            : ctl_say(EXIT_REFUSED, "edged answered %s with something that is no JSON", path);
}

/* --- joining
 * -----------------------------------------------------------------------------------------------------------------
 */

/* The end of an invitation: text as it is, a number in seconds or milliseconds as local time. */
static void print_expiry(const json_t *invite)
{
	struct ctl_text text;
	const json_t *expires = json_object_get(invite, "expires");
	char when[64];
	json_int_t number = json_integer_value(expires);
	time_t at = (time_t)(number > 100000000000 ? number / 1000 : number);
	struct tm local;
	if (json_is_string(expires))
		fprintf(stderr, "It is good until %s, and once.\n", ctl_member(invite, "expires", &text));
	else if (at && localtime_r(&at, &local) && strftime(when, sizeof(when), "%H:%M:%S", &local))
		fprintf(stderr, "It is good until %s, and once.\n", when);
}

int act_invite(struct ctl *ctl)
{
	CLEANUP(buf_fini) struct buf body = BUF_EMPTY;
	json_t *answer = NULL;
	int64_t seconds = ctl->options->time_s;
	if (seconds ? buf_addf(&body, "{\"for\":%" PRId64 "}", seconds) : buf_add_str(&body, "{}"))
		return no_memory();
	int code = post(ctl, "/edge/v1/invites", &body, &answer);
	if (code || !answer)
		return code ? code : ctl_flush();
	struct ctl_text token;
	const char *text = ctl_member(answer, "token", &token);
	const char *whole = json_string_value(json_object_get(answer, "token"));
	if (text && whole) {
		printf("%s\n", whole);
		fprintf(stderr, "On the other node: edgectl join TOKEN\n");
		print_expiry(answer);
	}
	json_decref(answer);
	return whole ? ctl_flush() : ctl_say(EXIT_REFUSED, "edged answered without a token");
}

int act_join(struct ctl *ctl)
{
	CLEANUP(buf_fini) struct buf token = BUF_EMPTY;
	CLEANUP(buf_fini) struct buf body = BUF_EMPTY;
	json_t *answer = NULL;
	int code = ctl_read_argument(ctl->options->arguments[0], &token);
	if (code)
		return code;
	while (token.len && strchr(" \r\n\t", token.ptr[token.len - 1]))
		token.len--;
	if (buf_add_str(&body, "{\"token\":") || buf_add_json(&body, buf_slice(&token)) ||
	        buf_add_str(&body, "}"))
		return no_memory();
	code = post(ctl, "/edge/v1/join", &body, &answer);
	if (code || !answer)
		return code ? code : ctl_flush();
	struct ctl_text account, node;
	const char *whose = ctl_member(answer, "account", &account),
	           *through = ctl_member(answer, "node", &node);
	printf("joined account %s%s%s\n", whose ? whose : "?", through ? " through node " : "",
	        through ? through : "");
	json_decref(answer);
	return ctl_flush();
}

static int show_code(struct ctl *ctl)
{
	CLEANUP(buf_fini) struct buf body = BUF_EMPTY;
	json_t *answer = NULL;
	struct ctl_text code, id, name;
	int r = post(ctl, "/edge/v1/pairing/code", &body, &answer);
	if (r || !answer)
		return r ? r : ctl_flush();
	const char *text = ctl_member(answer, "code", &code);
	if (text) {
		const char *whose = ctl_member(answer, "name", &name),
		           *which = ctl_member(answer, "nodeId", &id);
		printf("%s\n", text);
		fprintf(stderr,
		        "On the node that holds the account's key, or on a signer: edgectl pair %.8s %s\n"
		        "This node is %s (%.8s); its address and port do instead of that.\n",
		        which ? which : "NODE", text, whose ? whose : "?", which ? which : "?");
		print_expiry(answer);
	}
	json_decref(answer);
	return text ? ctl_flush() : ctl_say(EXIT_REFUSED, "edged answered without a code");
}

static int type_code(struct ctl *ctl, const char *node, const char *argument)
{
	CLEANUP(buf_fini) struct buf code = BUF_EMPTY;
	CLEANUP(buf_fini) struct buf body = BUF_EMPTY;
	json_t *answer = NULL;
	struct ctl_text account, id;
	int r = ctl_read_argument(argument, &code);
	if (r)
		return r;
	while (code.len && strchr(" \r\n\t", code.ptr[code.len - 1]))
		code.len--;
	if (buf_add_str(&body, "{\"node\":") || buf_add_json(&body, edged_str(node)) ||
	        buf_add_str(&body, ",\"code\":") || buf_add_json(&body, buf_slice(&code)) ||
	        buf_add_str(&body, "}"))
		return no_memory();
	r = post(ctl, "/edge/v1/pairing", &body, &answer);
	if (r || !answer)
		return r ? r : ctl_flush();
	const char *which = ctl_member(answer, "nodeId", &id),
	           *whose = ctl_member(answer, "account", &account);
	printf("node %s joined account %s\n", which ? which : "?", whose ? whose : "?");
	json_decref(answer);
	return ctl_flush();
}

int act_pair(struct ctl *ctl)
{
	const struct options *options = ctl->options;
	if (options->count == 0)
		return show_code(ctl);
	if (options->count != 2)
		return ctl_say(EXIT_USAGE,
		        "usage: edgectl pair (on the new node: shows a code), edgectl pair NODE CODE (on the "
		        "node that holds the account's key, or on a signer)");
	return type_code(ctl, options->arguments[0], options->arguments[1]);
}

/* --- messages
 * ----------------------------------------------------------------------------------------------------------------
 */

int act_publish(struct ctl *ctl)
{
	const struct options *options = ctl->options;
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	CLEANUP(buf_fini) struct buf message = BUF_EMPTY;
	CLEANUP(http_answer_fini) struct http_answer answer = { 0 };
	int code = ctl_read_argument(options->arguments[1], &message);
	if (code)
		return code;
	if (buf_add_str(&path, "/topics/") ||
	        http_add_encoded(&path, edged_str(options->arguments[0]), true) ||
	        buf_addf(&path, "?qos=%d%s", options->qos, options->retain ? "&retain=true" : ""))
		return no_memory();
	struct http_request request = { .method = "POST",
		.path = path.ptr,
		.body = buf_slice(&message),
		.content_type = "application/octet-stream" };
	code = ctl_call(ctl, &request, &answer);
	if (!code && options->json)
		ctl_print_json(ctl, &answer);
	return code ? code : ctl_flush();
}

int act_kick(struct ctl *ctl)
{
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	CLEANUP(http_answer_fini) struct http_answer answer = { 0 };
	if (buf_add_str(&path, "/pubsub/v1/clients/") ||
	        http_add_encoded(&path, edged_str(ctl->options->arguments[0]), false) ||
	        buf_add_str(&path, ctl->options->session ? "?session=true" : ""))
		return no_memory();
	struct http_request request = { .method = "DELETE", .path = path.ptr };
	return ctl_call(ctl, &request, &answer);
}

/* --- shadows
 * -----------------------------------------------------------------------------------------------------------------
 */

int act_shadow(struct ctl *ctl)
{
	static const struct {
		const char *name, *method;
		int arguments;
	} actions[] = { { "get", "GET", 2 }, { "update", "POST", 3 }, { "delete", "DELETE", 2 } };
	const struct options *options = ctl->options;
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	CLEANUP(buf_fini) struct buf document = BUF_EMPTY;
	CLEANUP(http_answer_fini) struct http_answer answer = { 0 };
	struct http_request request = { 0 };
	int wanted = 0;
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(options->arguments[0], actions[i].name) == 0) {
			request.method = actions[i].method;
			wanted = actions[i].arguments;
		}
	if (!request.method || options->count != wanted)
		return ctl_say(EXIT_USAGE,
		        "usage: edgectl shadow get THING, shadow update THING JSON, shadow delete THING");
	if (buf_add_str(&path, "/things/") ||
	        http_add_encoded(&path, edged_str(options->arguments[1]), false) ||
	        buf_add_str(&path, "/shadow") ||
	        (options->name && (buf_add_str(&path, "?name=") ||
	                                  http_add_encoded(&path, edged_str(options->name), false))))
		return no_memory();
	int code = wanted == 3 ? ctl_read_argument(options->arguments[2], &document) : EXIT_DONE;
	if (code)
		return code;
	request.path = path.ptr;
	request.body = buf_slice(&document);
	request.content_type = wanted == 3 ? "application/json" : NULL;
	code = ctl_call(ctl, &request, &answer);
	if (!code)
		ctl_print_json(ctl, &answer);
	return code ? code : ctl_flush();
}

/* --- anything
 * ----------------------------------------------------------------------------------------------------------------
 */

/* An answer may go on for ever (server-sent events): it is shown as it comes. */
static int write_out(void *arg, struct edged_slice bytes)
{
	(void)arg;
	if (fwrite(bytes.ptr, 1, bytes.len, stdout) != bytes.len || fflush(stdout))
		return -EIO;
	return 0;
}

int act_api(struct ctl *ctl)
{
	const struct options *options = ctl->options;
	CLEANUP(buf_fini) struct buf body = BUF_EMPTY;
	CLEANUP(http_answer_fini) struct http_answer answer = { 0 };
	struct http_request request = {
		.method = options->arguments[0], .path = options->arguments[1], .bytes = write_out
	};
	int code = options->count > 2 ? ctl_read_argument(options->arguments[2], &body) : EXIT_DONE;
	if (code)
		return code;
	if (strspn(request.method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(request.method) ||
	        request.path[0] != '/')
		return ctl_say(EXIT_USAGE,
		        "usage: edgectl api METHOD PATH [BODY], such as edgectl api GET /edge/v1/node");
	if (options->count > 2)
		request.content_type = body.len && strchr("{[", body.ptr[0]) ? "application/json"
		                                                             : "application/octet-stream";
	request.body = buf_slice(&body);
	code = ctl_call(ctl, &request, &answer);
	return code ? code : ctl_flush();
}

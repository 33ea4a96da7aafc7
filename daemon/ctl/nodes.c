/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/nodes.h"

static int no_memory(void)
{
	return ctl_say(EXIT_REFUSED, "no memory");
}

/* --- removing --- */

int nodes_remove(struct ctl *ctl)
{
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	CLEANUP(http_answer_fini) struct http_answer answer = { 0 };
	if (buf_add_str(&path, "/mds/v1/nodes/") ||
	        http_add_encoded(&path, edged_str(ctl->options->arguments[0]), false))
		return no_memory();
	struct http_request request = { .method = "DELETE", .path = path.ptr };
	int code = ctl_call(ctl, &request, &answer);
	if (code)
		return code;
	if (ctl->options->json) {
		ctl_print_json(ctl, &answer);
		return ctl_flush();
	}
	struct ctl_text id, name;
	json_t *json = json_loadb(answer.body.ptr ? answer.body.ptr : "", answer.body.len, 0, NULL);
	const char *which = ctl_member(json, "id", &id), *called = ctl_member(json, "name", &name);
	printf("removed node %s%s%s%s\n", which ? which : "?", called && *called ? " (" : "",
	        called ? called : "", called && *called ? ")" : "");
	json_decref(json);
	return ctl_flush();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

int answer_json(struct requests *requests, edged_handle request, int status, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	if (!text)
		return -ENOMEM;
	int r = request_reply(requests, request, status, "application/json", edged_str(text));
	free(text);
	return r;
}

json_t *answer_body(struct requests *requests, edged_handle request, const char *example)
{
	struct edged_slice body = request_body(requests, request);
	json_t *json =
	        body.len ? json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL) : json_object();
	if (json_is_object(json))
		return json;
	json_decref(json);
	(void)request_problemf(requests, request, 400, "bad-json", "The body is no JSON object",
	        "Send a JSON object, such as %s.", example);
	return NULL;
}

void answer_time(uint64_t ms, char ret[32])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

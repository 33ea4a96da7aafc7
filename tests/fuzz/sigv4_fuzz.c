/* layers: plugins/things base */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests with a signature: lines of method and target, then fields, an empty line, and the body. One that could be read is
 * verified; no secret fits what was not made with it, and each refusal says why.
 */
#include <errno.h>
#include <stdlib.h>

#include "../../plugins/things/sigv4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static struct edged_slice take(struct edged_slice *text, char mark)
{
	const char *at = text->len ? memchr(text->ptr, mark, text->len) : NULL;
	size_t n = at ? (size_t)(at - text->ptr) : text->len;
	struct edged_slice ret = edged_slice(text->ptr, n);
	*text = edged_slice(text->ptr + n + (at ? 1 : 0), text->len - n - (at ? 1 : 0));
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct edged_slice rest = edged_slice(data, size), line = take(&rest, '\n');
	struct edged_http_field fields[32];
	struct edged_http_message m = {
		.struct_size = sizeof(m), .method = take(&line, ' '), .fields = fields
	};
	struct sigv4 s;
	const char *why = NULL;
	m.target = line;
	while (m.field_count < 32 && (line = take(&rest, '\n')).len) {
		fields[m.field_count].name = take(&line, ':');
		fields[m.field_count++].value = line;
	}
	m.body = rest;
	int r = sigv4_read(&m, &s, &why);
	must(r == 0 || r == SIGV4_NONE || (r == -EINVAL && why));
	if (r)
		return 0;
	must(s.key_id.len && strlen(s.time) == 16 && s.good_s >= 1);
	must(sigv4_verify(&m, &s, edged_str("secret"), &why) == -EINVAL && why);
	must(sigv4_judge_time(&s, s.at, &why) == 0);
	must(sigv4_judge_time(&s, s.at + s.good_s + 1, &why) == -EINVAL);
	return 0;
}

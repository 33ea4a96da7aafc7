/* layers: plugins/cache */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared cache: up to three turns of a request and its answer, each "Name:value" lines, parted by NULs; the first byte of a turn
 * chooses method, URI, status and how the answer ends. Whatever they say: what is given is what came for that URI and may be
 * given, the bounds hold, and nothing is left behind.
 */
#include <stdlib.h>

#include "../../plugins/cache/shared.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS = 40, TURNS = 3, BYTES = 6000 };

static uint64_t clock_ms;

static uint64_t now(void)
{
	return clock_ms;
}

static int64_t wall(void)
{
	return 1700000000;
}

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* The text up to the next NUL. */
static struct edged_slice next_part(struct edged_slice *left)
{
	const char *end = left->len ? memchr(left->ptr, 0, left->len) : NULL;
	size_t n = end ? (size_t)(end - left->ptr) : left->len;
	struct edged_slice part = edged_slice(left->ptr, n);
	*left = edged_slice(left->ptr + n + (end != NULL), left->len - n - (end != NULL));
	return part;
}

static size_t read_fields(struct edged_slice text, struct edged_http_field *fields)
{
	size_t count = 0;
	while (text.len && count < FIELDS) {
		const char *end = memchr(text.ptr, '\n', text.len);
		size_t n = end ? (size_t)(end - text.ptr) : text.len;
		const char *colon = memchr(text.ptr, ':', n);
		if (colon && colon > text.ptr) {
			size_t name = (size_t)(colon - text.ptr);
			fields[count].name = edged_slice(text.ptr, name);
			fields[count++].value = edged_slice(colon + 1, n - name - 1);
		}
		text = edged_slice(text.ptr + n + (end != NULL), text.len - n - (end != NULL));
	}
	return count;
}

/* What is given is terminated, and says how old it is. */
static void check_given(const struct edged_proxy_answer *ret)
{
	must(ret->status >= 200 && ret->status <= 599 && ret->field_count <= ANSWER_FIELDS + 2);
	for (size_t i = 0; i < ret->field_count; i++)
		must(ret->fields[i].name.ptr[ret->fields[i].name.len] == 0 &&
		        ret->fields[i].value.ptr[ret->fields[i].value.len] == 0);
	must(field_value(ret->fields, ret->field_count, "cache-status").ptr != NULL);
	must(ret->status == 504 || ret->status == 304 || ret->body.len == 0 || ret->body.ptr != NULL);
}

static void turn(
        struct shared *shared, unsigned choice, struct edged_slice asked, struct edged_slice answered)
{
	static const char *const methods[] = { "GET", "GET", "HEAD", "POST" }, *const uris[] = { "/a", "/b" };
	static const int statuses[] = { 200, 304, 404, 503 };
	const struct edged_proxy_cache *cache = shared_functions();
	struct edged_http_field fields[FIELDS], answer_fields[FIELDS];
	struct edged_proxy_answer ret = { .length = -1 };
	bool is_shared = false, whole = choice & 32;
	const struct edged_proxy_request request = { .method = edged_str(methods[choice & 3]),
		.uri = edged_str(uris[(choice >> 2) & 1]),
		.fields = fields,
		.field_count = read_fields(asked, fields) };
	void *exchange = cache->begin(shared, &request, &ret, &is_shared);
	if (!exchange)
		return;
	if (ret.status) {
		check_given(&ret);
		cache->end(exchange, false);
		return;
	}
	must(ret.field_count <= 2);
	ret = (struct edged_proxy_answer){ .length = -1 };
	const struct edged_proxy_answer answer = { .status = statuses[(choice >> 3) & 3],
		.fields = answer_fields,
		.field_count = read_fields(answered, answer_fields),
		.length = -1 };
	clock_ms += 100;
	bool instead = choice & 64 ? cache->failed(exchange, &ret) : cache->head(exchange, &answer, &ret);
	if (instead)
		check_given(&ret);
	else if (!(choice & 64))
		cache->data(exchange, answered);
	must(shared->answers.bytes <= BYTES);
	cache->end(exchange, whole && !instead && !(choice & 64));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct edged_slice left = edged_slice(data, size);
	struct shared shared;
	shared_init(&shared, "abcdefg", 3, BYTES, 4000);
	shared.now = now;
	shared.wall = wall;
	clock_ms = 1000;
	for (int i = 0; i < TURNS && left.len; i++) {
		unsigned choice = (unsigned char)left.ptr[0];
		left = edged_slice(left.ptr + 1, left.len - 1);
		struct edged_slice asked = next_part(&left), answered = next_part(&left);
		turn(&shared, choice, asked, answered);
		clock_ms += 1000;
		must(shared.answers.count <= 3 && shared.answers.bytes <= BYTES);
	}
	(void)date_parse(edged_slice(data, size));
	shared_fini(&shared);
	must(shared.answers.count == 0 && shared.answers.bytes == 0 && LIST_EMPTY(&shared.open));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "answers.h"

#include <search.h>
#include <stdlib.h>
#include <strings.h>

enum { FIRST_ROOM = 4096 };

struct resource {
	struct edged_slice uri; /* behind it */
	LIST_HEAD(, answer) variants;
	size_t count;
};

/* --- blocks of fields --- */

static bool is_named(const struct edged_http_field *field, struct edged_slice name)
{
	return field->name.len == name.len && strncasecmp(field->name.ptr, name.ptr, name.len) == 0;
}

/* What is said anew each time, is for one hop or for one client, or belongs to a body that is counted here. */
static bool is_left_out(const struct edged_http_field *field)
{
	static const char *const names[] = { "age", "cache-status", "connection", "content-length", "date",
		"keep-alive", "proxy-authenticate", "proxy-authentication-info", "proxy-connection",
		"trailer", "transfer-encoding", "upgrade" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (field_is(field, names[i]))
			return true;
	return false;
}

static char *put_text(char *to, struct edged_slice from, struct edged_slice *ret)
{
	if (!from.ptr) {
		*ret = from;
		return to;
	}
	memcpy(to, from.ptr, from.len);
	to[from.len] = '\0';
	*ret = edged_slice(to, from.len);
	return to + from.len + 1;
}

/* A copy of those. NULL: no memory. */
static struct field_block *block_new(const struct edged_http_field *fields, size_t count)
{
	size_t bytes = sizeof(struct field_block) + count * sizeof(*fields);
	for (size_t i = 0; i < count; i++)
		bytes += fields[i].name.len + fields[i].value.len + 2;
	struct field_block *block = malloc(bytes);
	if (!block)
		return NULL;
	char *text = (char *)(block->fields + count);
	block->count = count;
	block->bytes = bytes;
	for (size_t i = 0; i < count; i++) {
		text = put_text(text, fields[i].name, &block->fields[i].name);
		text = put_text(text, fields[i].value, &block->fields[i].value);
	}
	return block;
}

/* NULL: no memory, or too many. */
static struct field_block *keep_fields(const struct edged_proxy_answer *answer)
{
	struct edged_http_field kept[ANSWER_FIELDS];
	size_t n = 0;
	for (size_t i = 0; i < answer->field_count; i++) {
		if (is_left_out(&answer->fields[i]))
			continue;
		if (n == ANSWER_FIELDS)
			return NULL;
		kept[n++] = answer->fields[i];
	}
	return block_new(kept, n);
}

/* The stored ones, but those that the new ones say again; what describes the body stays with it (RFC 9111 section 3.2). */
static struct field_block *merge_fields(const struct field_block *old, const struct edged_proxy_answer *fresh)
{
	struct edged_http_field kept[ANSWER_FIELDS];
	size_t n = 0;
	for (size_t i = 0; i < old->count; i++) {
		bool again = false;
		for (size_t k = 0; k < fresh->field_count && !again; k++)
			again = is_named(&fresh->fields[k], old->fields[i].name);
		if (!again || field_is(&old->fields[i], "content-type") ||
		        field_is(&old->fields[i], "content-encoding"))
			kept[n++] = old->fields[i];
	}
	for (size_t i = 0; i < fresh->field_count; i++) {
		const struct edged_http_field *field = &fresh->fields[i];
		if (is_left_out(field) || field_is(field, "content-type") ||
		        field_is(field, "content-encoding") || field_is(field, "content-range"))
			continue;
		if (n == ANSWER_FIELDS)
			return NULL;
		kept[n++] = *field;
	}
	return block_new(kept, n);
}

/* --- Vary --- */

/* The n-th field of that name that has a value; NULL: there are no more. */
static const struct edged_http_field *nth(
        const struct edged_http_field *fields, size_t count, struct edged_slice name, size_t n)
{
	for (size_t i = 0; i < count; i++)
		if (fields[i].value.ptr && is_named(&fields[i], name) && n-- == 0)
			return &fields[i];
	return NULL;
}

/* Of the request, each field that Vary names as often as it is there; once without a value when it is not. NULL: no memory,
 * or too many. */
static struct field_block *keep_vary(
        const struct edged_proxy_request *request, const struct edged_proxy_answer *answer)
{
	struct edged_http_field kept[ANSWER_FIELDS];
	size_t n = 0;
	for (size_t i = 0; i < answer->field_count; i++) {
		struct edged_slice left = answer->fields[i].value, name;
		while (field_is(&answer->fields[i], "vary") && items_next(&left, &name)) {
			const struct edged_http_field *field = NULL;
			for (size_t k = 0; k == 0 || field; k++) {
				field = nth(request->fields, request->field_count, name, k);
				if (!field && k > 0)
					break;
				if (n == ANSWER_FIELDS)
					return NULL;
				kept[n++] = (struct edged_http_field){ name,
					field ? field->value : edged_slice(NULL, 0) };
			}
		}
	}
	return block_new(kept, n);
}

/* Does the request have the same fields, as often and in the same order? */
static bool fits(const struct answer *answer, const struct edged_http_field *request, size_t count)
{
	const struct field_block *vary = answer->vary;
	for (size_t i = 0; i < vary->count; i++) {
		const struct edged_http_field *wanted = &vary->fields[i];
		size_t before = 0, all = 0;
		for (size_t k = 0; k < vary->count; k++) {
			bool is_same = is_named(&vary->fields[k], wanted->name) && vary->fields[k].value.ptr;
			before += is_same && k < i;
			all += is_same;
		}
		const struct edged_http_field *field = nth(request, count, wanted->name, before);
		if (nth(request, count, wanted->name, all) || !field != !wanted->value.ptr ||
		        (field && !edged_slice_eq(field->value, wanted->value)))
			return false;
	}
	return true;
}

/* --- room --- */

static void answer_free(struct answers *answers, struct answer *answer)
{
	answers->bytes -= answer->bytes;
	free(answer->fields);
	free(answer->vary);
	free(answer->body);
	free(answer);
}

/* Room for that much more, by letting others go. False: there is none. */
static bool make_room(struct answers *answers, struct answer *answer, size_t more)
{
	struct answer *oldest, *next;
	if (answer->bytes + more > answers->most_answer || more > answers->most_bytes)
		return false;
	for (oldest = TAILQ_FIRST(&answers->use); oldest && answers->bytes > answers->most_bytes - more;
	        oldest = next) {
		next = TAILQ_NEXT(oldest, use);
		if (oldest == answer)
			continue;
		answers_remove(answers, oldest);
		answers->evicted++;
	}
	return answers->bytes <= answers->most_bytes - more;
}

static bool charge(struct answers *answers, struct answer *answer, size_t more)
{
	if (!make_room(answers, answer, more))
		return false;
	answer->bytes += more;
	answers->bytes += more;
	return true;
}

/* --- resources --- */

static int compare(const void *a, const void *b)
{
	struct edged_slice x = ((const struct resource *)a)->uri, y = ((const struct resource *)b)->uri;
	size_t n = x.len < y.len ? x.len : y.len;
	int order = n ? memcmp(x.ptr, y.ptr, n) : 0;
	return order ? order : (x.len > y.len) - (x.len < y.len);
}

static struct resource *resource_find(const struct answers *answers, struct edged_slice uri)
{
	const struct resource wanted = { .uri = uri };
	struct resource **found = tfind(&wanted, &answers->tree, compare);
	return found ? *found : NULL;
}

/* NULL: no memory. */
static struct resource *resource_get(struct answers *answers, struct edged_slice uri)
{
	struct resource *resource = resource_find(answers, uri);
	if (resource)
		return resource;
	resource = malloc(sizeof(*resource) + uri.len);
	if (!resource)
		return NULL;
	*resource = (struct resource){ .uri = edged_slice(resource + 1, uri.len) };
	memcpy(resource + 1, uri.ptr, uri.len);
	LIST_INIT(&resource->variants);
	if (tsearch(resource, &answers->tree, compare))
		return resource;
	free(resource);
	return NULL;
}

static void resource_leave(struct answers *answers, struct resource *resource)
{
	if (resource->count)
		return;
	tdelete(resource, &answers->tree, compare);
	free(resource);
}

void answers_remove(struct answers *answers, struct answer *answer)
{
	struct resource *resource = answer->resource;
	if (!resource)
		return;
	LIST_REMOVE(answer, variant);
	TAILQ_REMOVE(&answers->use, answer, use);
	answer->resource = NULL;
	answers->count--;
	resource->count--;
	resource_leave(answers, resource);
	if (!answer->holds)
		answer_free(answers, answer);
}

/* --- life --- */

void answers_init(struct answers *answers, size_t count, size_t bytes, size_t answer)
{
	*answers = (struct answers){
		.most_count = count, .most_bytes = bytes, .most_answer = answer < bytes ? answer : bytes
	};
	TAILQ_INIT(&answers->use);
}

void answers_clear(struct answers *answers)
{
	while (!TAILQ_EMPTY(&answers->use))
		answers_remove(answers, TAILQ_FIRST(&answers->use));
}

struct answer *answer_hold(struct answer *answer)
{
	answer->holds++;
	return answer;
}

void answer_drop(struct answers *answers, struct answer *answer)
{
	if (answer && --answer->holds == 0 && !answer->resource)
		answer_free(answers, answer);
}

/* --- looking up --- */

struct answer *answers_find(const struct answers *answers, struct edged_slice uri,
        const struct edged_http_field *request, size_t count, bool *ret_known)
{
	const struct resource *resource = resource_find(answers, uri);
	struct answer *answer;
	*ret_known = resource != NULL;
	if (!resource)
		return NULL;
	LIST_FOREACH(answer, &resource->variants, variant)
	if (fits(answer, request, count))
		return answer;
	return NULL;
}

void answers_used(struct answers *answers, struct answer *answer)
{
	if (!answer->resource)
		return;
	TAILQ_REMOVE(&answers->use, answer, use);
	TAILQ_INSERT_TAIL(&answers->use, answer, use);
}

/* --- storing --- */

struct answer *answers_new(struct answers *answers, const struct edged_proxy_request *request,
        const struct edged_proxy_answer *answer, const struct freshness *fresh)
{
	struct answer *made = calloc(1, sizeof(*made));
	if (!made)
		return NULL;
	made->holds = 1;
	made->status = answer->status;
	made->fresh = *fresh;
	made->fields = keep_fields(answer);
	made->vary = keep_vary(request, answer);
	size_t length = answer->length > 0 ? (size_t)answer->length : 0;
	size_t bytes = sizeof(*made) + sizeof(struct resource) + request->uri.len;
	bool ok = made->fields && made->vary && length <= answers->most_answer &&
	          charge(answers, made, bytes + made->fields->bytes + made->vary->bytes + length);
	made->body = ok && length ? malloc(length) : NULL;
	if (ok && (!length || made->body)) {
		made->body_room = length;
		return made;
	}
	answer_drop(answers, made);
	return NULL;
}

bool answer_append(struct answers *answers, struct answer *answer, struct edged_slice bytes)
{
	if (!bytes.len)
		return true;
	size_t needed = answer->body_len + bytes.len,
	       room = answer->body_room ? answer->body_room : FIRST_ROOM;
	while (room < needed)
		room *= 2;
	if (room > answer->body_room) {
		size_t more = room - answer->body_room;
		if (!charge(answers, answer, more))
			return false;
		char *body = realloc(answer->body, room);
		if (!body)
			return false;
		answer->body = body;
		answer->body_room = room;
	}
	memcpy(answer->body + answer->body_len, bytes.ptr, bytes.len);
	answer->body_len = needed;
	return true;
}

/* What it does not need goes back. */
static void trim(struct answers *answers, struct answer *answer)
{
	size_t spare = answer->body_room - answer->body_len;
	char *body = spare && answer->body_len ? realloc(answer->body, answer->body_len) : NULL;
	if (!body)
		return;
	answer->body = body;
	answer->body_room = answer->body_len;
	answer->bytes -= spare;
	answers->bytes -= spare;
}

/* Those that would be given for what asked for the new one. */
static void remove_same(struct answers *answers, const struct resource *resource, const struct answer *new)
{
	struct answer *answer, *next;
	for (answer = LIST_FIRST(&resource->variants); answer; answer = next) {
		next = LIST_NEXT(answer, variant);
		if (fits(answer, new->vary->fields, new->vary->count))
			answers_remove(answers, answer);
		else if (!next && resource->count > ANSWER_VARIANTS)
			answers_remove(answers, answer);
	}
}

bool answers_add(struct answers *answers, struct edged_slice uri, struct answer *answer)
{
	struct resource *resource = resource_get(answers, uri);
	if (!resource)
		return false;
	resource->count++; /* so that it stays */
	remove_same(answers, resource, answer);
	LIST_INSERT_HEAD(&resource->variants, answer, variant);
	TAILQ_INSERT_TAIL(&answers->use, answer, use);
	answer->resource = resource;
	answers->count++;
	trim(answers, answer);
	while (answers->count > answers->most_count) {
		answers_remove(answers, TAILQ_FIRST(&answers->use));
		answers->evicted++;
	}
	return true;
}

bool answer_update(struct answers *answers, struct answer *answer, const struct edged_proxy_answer *came,
        const struct moment *moment)
{
	struct field_block *block = merge_fields(answer->fields, came);
	if (!block || (block->bytes > answer->fields->bytes &&
	                      !charge(answers, answer, block->bytes - answer->fields->bytes))) {
		free(block);
		return false;
	}
	if (block->bytes < answer->fields->bytes) {
		answer->bytes -= answer->fields->bytes - block->bytes;
		answers->bytes -= answer->fields->bytes - block->bytes;
	}
	free(answer->fields);
	answer->fields = block;
	const struct edged_proxy_answer now = { .fields = block->fields, .field_count = block->count };
	answer->fresh = rules_freshness(&now, came, moment);
	return true;
}

/* --- many --- */

void answers_forget(struct answers *answers, struct edged_slice uri)
{
	const struct resource *resource;
	while ((resource = resource_find(answers, uri)))
		answers_remove(answers, LIST_FIRST(&resource->variants));
}

static bool begins(struct edged_slice text, struct edged_slice prefix)
{
	return text.len >= prefix.len && (prefix.len == 0 || memcmp(text.ptr, prefix.ptr, prefix.len) == 0);
}

size_t answers_purge(struct answers *answers, struct edged_slice prefix)
{
	struct answer *answer, *next;
	size_t n = 0;
	for (answer = TAILQ_FIRST(&answers->use); answer; answer = next) {
		next = TAILQ_NEXT(answer, use);
		if (!begins(answer->resource->uri, prefix))
			continue;
		answers_remove(answers, answer);
		n++;
	}
	return n;
}

struct walk {
	struct edged_slice prefix;
	struct resource after;
	void (*each)(void *arg, struct edged_slice uri, const struct answer *answer);
	void *arg;
};

static void visit(const void *node, VISIT order, void *closure)
{
	const struct resource *resource = *(struct resource *const *)node;
	const struct walk *walk = closure;
	const struct answer *answer;
	if ((order != postorder && order != leaf) || !begins(resource->uri, walk->prefix) ||
	        compare(resource, &walk->after) <= 0)
		return;
	LIST_FOREACH(answer, &resource->variants, variant)
	walk->each(walk->arg, resource->uri, answer);
}

void answers_each(const struct answers *answers, struct edged_slice prefix, struct edged_slice after,
        void (*each)(void *arg, struct edged_slice uri, const struct answer *answer), void *arg)
{
	struct walk walk = { .prefix = prefix, .after = { .uri = after }, .each = each, .arg = arg };
	twalk_r(answers->tree, visit, &walk);
}

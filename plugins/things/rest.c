/* SPDX-License-Identifier: Apache-2.0 */
#include "rest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "doc.h"

static void set_etag(struct things *t, edged_handle request, const json_t *body)
{
	const json_t *version = json_object_get(body, "version");
	char text[32];
	snprintf(text, sizeof(text), "\"%" JSON_INTEGER_FORMAT "\"", json_integer_value(version));
	if (version)
		(void)t->http->set_header(t->host, request, "ETag", text);
}

int rest_reply(struct things *t, edged_handle request, int status, json_t *body)
{
	if (!body)
		return -ENOMEM;
	char *text = json_dumps(body, JSON_COMPACT);
	set_etag(t, request, body);
	/* whoever has gone needs no answer */
	if (text) {
		(void)t->http->set_header(t->host, request, "Cache-Control", "no-store");
		(void)t->http->reply(t->host, request, status, "application/json", edged_str(text));
	}
	json_decref(body);
	free(text);
	return text ? 0 : -ENOMEM;
}

int rest_problem(struct things *t, edged_handle request, int status, const char *type, const char *title,
        const char *detail)
{
	(void)t->http->problem(t->host, request, status, type, title, detail);
	return ANSWERED;
}

int rest_body(struct things *t, edged_handle request, bool optional, json_t **ret)
{
	struct edged_slice body = t->http->body(t->host, request);
	json_error_t error;
	char why[200];
	*ret = optional && body.len == 0
	               ? json_object()
	               : json_loadb(body.ptr ? body.ptr : "", body.len, JSON_REJECT_DUPLICATES, &error);
	if (json_is_object(*ret))
		return 0;
	if (*ret)
		snprintf(why, sizeof(why), "It is JSON of another kind.");
	else
		snprintf(why, sizeof(why), "Line %d, column %d: %s.", error.line, error.column, error.text);
	json_decref(*ret);
	*ret = NULL;
	return rest_problem(t, request, 400, "bad-body", "The body must be a JSON object", why);
}

int rest_record(
        struct things *t, edged_handle request, const char *param, enum kind kind, const struct record **ret)
{
	struct edged_slice name = t->http->param(t->host, request, param);
	char type[40], title[60], detail[240];
	*ret = registry_find(t->registry, kind, name);
	if (*ret)
		return 0;
	snprintf(type, sizeof(type), "no-such-%s", kind_word(kind));
	snprintf(title, sizeof(title), "There is no such %s", kind_word(kind));
	snprintf(detail, sizeof(detail), "%.*s is not the name of a %s of this node.",
	        (int)(name.len > 128 ? 128 : name.len), name.ptr ? name.ptr : "", kind_word(kind));
	return rest_problem(t, request, 404, type, title, detail);
}

int rest_name(struct things *t, edged_handle request, struct edged_slice name, enum kind kind)
{
	char title[60];
	if (name_valid(kind, name))
		return 0;
	snprintf(title, sizeof(title), "This cannot be the name of a %s", kind_word(kind));
	return rest_problem(t, request, 400, "bad-name", title,
	        kind == KIND_POLICY || kind == KIND_USER
	                ? "A name has 1 to 128 characters of a-z, A-Z, 0-9, and +=,.@-_ (for a user also "
	                  "':')."
	                : "A name has 1 to 128 characters of a-z, A-Z, 0-9, ':', '_' and '-'.");
}

int rest_match(struct things *t, edged_handle request, const struct record *record)
{
	struct edged_slice want = t->http->header(t->host, request, "If-Match");
	char have[32];
	json_t *doc = want.ptr ? record_json(record) : NULL;
	snprintf(have, sizeof(have), "\"%" JSON_INTEGER_FORMAT "\"",
	        json_integer_value(json_object_get(doc, "version")));
	json_decref(doc);
	if (!want.ptr || edged_slice_is(want, "*") || memmem(want.ptr, want.len, have, strlen(have)))
		return 0;
	return rest_problem(t, request, 412, "version-conflict", "It has changed meanwhile",
	        "If-Match names another version than the one that there is. Read it again, and decide anew.");
}

/* --- writing ------------------------------------------------------------------------------------------------------------ */

struct answer {
	struct things *things;
	edged_handle request;
	int status;
	json_t *body;
};

int rest_refuse(struct things *t, edged_handle request, int result)
{
	if (result == -ENOSPC)
		return rest_problem(t, request, 507, "too-many", "There is no room for it",
		        "The limit on records of this kind (see the section things of the configuration) is "
		        "reached, or the disk is full.");
	if (result == -EBUSY)
		return rest_problem(t, request, 503, "store-failed", "The store has just failed",
		        "What is on the disk is being read again. Try again in a moment.");
	return rest_problem(t, request, 500, "not-stored", "The change could not be stored",
	        "Nothing has been changed. The daemon's log says why.");
}

static void stored(void *arg, int result)
{
	struct answer *answer = arg;
	if (result)
		(void)rest_refuse(answer->things, answer->request, result);
	else if (answer->body)
		(void)rest_reply(answer->things, answer->request, answer->status, json_incref(answer->body));
	else
		(void)answer->things->http->reply(
		        answer->things->host, answer->request, answer->status, NULL, edged_slice(NULL, 0));
	json_decref(answer->body);
	free(answer);
}

/* The record as it is now, and what is said this once. */
static json_t *show(struct things *t, enum kind kind, const char *name, json_t *extra)
{
	const struct record *record = registry_find(t->registry, kind, edged_str(name));
	json_t *body = record ? doc_public(record, kind, true) : NULL;
	if (body && extra)
		(void)json_object_update(body, extra);
	return body;
}

int rest_write(struct things *t, edged_handle request, const struct change *changes, size_t count, int status,
        json_t *extra)
{
	char name[129]; /* of a record that is replaced */
	struct answer *answer = calloc(1, sizeof(*answer));
	snprintf(name, sizeof(name), "%.*s", EDGED_SLICE_FMT(changes->name));
	int r = answer ? 0 : -ENOMEM;
	if (!r)
		r = registry_write(t->registry, changes, count, stored, answer);
	if (!r)
		*answer = (struct answer){ t, request, changes->doc ? status : 204,
			changes->doc ? show(t, changes->kind, name, extra) : NULL };
	else
		free(answer);
	json_decref(extra);
	return r && r != -ENOMEM ? rest_refuse(t, request, r) : r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "rest_users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "doc.h"
#include "../broker/password.h"
#include "rest_common.h"
#include "routes.h"

/* A password that is being hashed, and what is to be done with the hash. */
struct hashing {
	struct things *things;
	edged_handle request;
	bool replace; /* the whole record, not the password alone */
	json_t *doc;
	int result;
	char hash[HASH_MAX];
	size_t len;
	char password[PASSWORD_MAX];
};

static void hashing_free(void *arg)
{
	struct hashing *h = arg;
	json_decref(h->doc);
	explicit_bzero(h, sizeof(*h));
	free(h);
}

static void work(void *arg)
{
	struct hashing *h = arg;
	h->result = password_hash(edged_slice(h->password, h->len), h->hash);
}

/* The record with its new hash. */
static int store(struct hashing *h)
{
	struct things *t = h->things;
	struct edged_slice name = t->http->param(t->host, h->request, "user");
	const struct record *record = NULL;
	if (h->result || !name.ptr)
		return h->result;
	if (h->replace) {
		(void)json_object_set_new(h->doc, "hash", json_string(h->hash));
		return rest_put(t, h->request, KIND_USER, name, json_incref(h->doc));
	}
	int r = rest_record(t, h->request, "user", KIND_USER, &record);
	if (!r)
		r = rest_match(t, h->request, record);
	json_t *doc = r ? NULL : record_json(record);
	if (!r)
		r = doc && json_object_set_new(doc, "hash", json_string(h->hash)) == 0 ? 0 : -ENOMEM;
	if (!r) {
		const struct change change = { KIND_USER, name, doc };
		r = rest_write(t, h->request, &change, 1, 200, NULL);
	}
	json_decref(doc);
	return r;
}

static void done(void *arg)
{
	struct hashing *h = arg;
	if (store(h) < 0)
		(void)rest_problem(h->things, h->request, 500, "not-stored", "The user could not be stored",
		        "There is no memory. Nothing has been changed.");
	hashing_free(h);
}

/* Takes the password out of the body. 0, ANSWERED. */
static int take_password(struct things *t, edged_handle request, json_t *body, struct hashing *h)
{
	const json_t *password = json_object_get(body, "password");
	h->len = json_string_length(password);
	if (h->len == 0 || h->len > PASSWORD_MAX)
		return rest_problem(t, request, 400, "bad-password", "There is no password",
		        "The member password is a string of 1 to 1,000 bytes.");
	memcpy(h->password, json_string_value(password), h->len);
	json_object_del(body, "password");
	return 0;
}

static int begin(void *self, edged_handle request, bool replace)
{
	struct things *t = self;
	struct hashing *h = calloc(1, sizeof(*h));
	json_t *body = NULL;
	char why[DOC_WHY_MAX];
	struct edged_work *begun;
	if (!h)
		return -ENOMEM;
	*h = (struct hashing){ .things = t, .request = request, .replace = replace };
	int r = rest_name(t, request, t->http->param(t->host, request, "user"), KIND_USER);
	if (!r)
		r = rest_body(t, request, false, &body);
	h->doc = body;
	if (!r)
		r = take_password(t, request, body, h);
	if (!r && !replace && json_object_size(body))
		r = rest_problem(t, request, 400, "bad-member", "There is more than a password",
		        "Change the rest with PATCH.");
	if (!r && doc_check(t->registry, KIND_USER, body, why))
		r = rest_problem(t, request, 400, "bad-member", "The user is not valid", why);
	if (!r) {
		r = t->work->begin(t->host, work, done, hashing_free, h, &begun);
		if (r == -ENOSPC || r == -EAGAIN)
			r = rest_problem(t, request, 503, "busy", "Too many passwords are waiting",
			        "Try again in a moment.");
	}
	if (r)
		hashing_free(h);
	return rest_done(r);
}

int put_user(void *self, edged_handle request)
{
	return begin(self, request, true);
}

int set_password(void *self, edged_handle request)
{
	return begin(self, request, false);
}

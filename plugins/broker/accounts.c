/* SPDX-License-Identifier: Apache-2.0 */
#include "accounts.h"

#include <errno.h>
#include <openssl/crypto.h>

#include "auth.h"
#include "rest.h"
#include "shard.h"
#include "text.h"

/* A change on its way to the disk; it holds from when it is there. */
struct change {
	struct broker *broker;
	edged_handle request;
	bool remove, scram;
	struct credential credential;
	size_t len;
	char name[SCRAM_NAME_MAX];
	int result; /* of hashing */
	size_t password_len;
	char password[PASSWORD_MAX]; /* until it is hashed */
};

/* --- connections of a user that has changed -------------------------------------------------------------------------------- */

struct drop {
	struct shard *shard;
	size_t len;
	char name[SCRAM_NAME_MAX];
};

static void drop_here(void *arg)
{
	struct drop *drop = arg;
	auth_drop(drop->shard, edged_slice(drop->name, drop->len));
	free(drop);
}

int accounts_drop(struct broker *b, struct edged_slice name)
{
	for (unsigned i = 0; i < b->shard_count; i++) {
		struct drop *drop = malloc(sizeof(*drop));
		if (!drop)
			return -ENOMEM;
		*drop = (struct drop){ .shard = b->shards[i], .len = name.len };
		memcpy(drop->name, name.ptr, name.len);
		int r = b->loop->post(b->host, i, drop_here, free, drop);
		if (r) {
			free(drop);
			return r;
		}
	}
	return 0;
}

/* --- changes ------------------------------------------------------------------------------------------------------------------ */

static void changed(void *arg, int result)
{
	struct change *c = arg;
	struct broker *b = c->broker;
	struct edged_slice name = edged_slice(c->name, c->len);
	if (!result && c->remove)
		(void)users_remove(&b->users, name);
	else if (!result)
		result = users_set(&b->users, name, &c->credential);
	if (!result)
		result = accounts_drop(b, name);
	if (!result)
		(void)b->http->reply(b->host, c->request, 204, NULL, edged_slice(NULL, 0));
	else
		(void)b->http->problem(b->host, c->request, 507, "not-stored", "The user could not be stored",
		        "There is no room on the disk or in memory, or there are 1,000 users; see the "
		        "daemon's log.");
	free(c);
}

static int commit(struct change *c)
{
	struct broker *b = c->broker;
	struct edged_slice name = edged_slice(c->name, c->len);
	uint8_t row[USER_ROW_MAX];
	int r = c->remove ? b->store->del(b->host, "users", name)
	                  : b->store->put(
	                            b->host, "users", name, edged_slice(row, user_row(&c->credential, row)));
	return r ? r : b->store->commit(b->host, changed, c);
}

/* On a thread of its own. */
static void hash(void *arg)
{
	struct change *c = arg;
	struct edged_slice password = edged_slice(c->password, c->password_len);
	c->result = password_hash(password, c->credential.hash);
	if (!c->result && c->scram)
		c->result = verifier_make(password, &c->credential.scram);
	c->credential.has_scram = c->scram;
	OPENSSL_cleanse(c->password, sizeof(c->password));
}

static void hashed(void *arg)
{
	struct change *c = arg;
	if (!c->result)
		c->result = commit(c);
	if (c->result)
		changed(c, c->result);
}

static void drop_change(void *arg)
{
	struct change *c = arg;
	OPENSSL_cleanse(c, sizeof(*c));
	free(c);
}

static struct change *change_new(struct broker *b, edged_handle request, struct edged_slice name)
{
	struct change *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	*c = (struct change){ .broker = b, .request = request, .len = name.len };
	memcpy(c->name, name.ptr, name.len);
	return c;
}

/* {"password": "...", "scram": true}; the second is false when it is absent. */
static bool read_user(struct edged_slice body, struct change *ret)
{
	json_t *json = json_loadb(body.ptr ? body.ptr : "", body.len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *password = json_object_get(json, "password"), *scram = json_object_get(json, "scram");
	size_t n = json_string_length(password);
	bool good = json_object_size(json) == (scram ? 2 : 1) && n > 0 && n <= PASSWORD_MAX &&
	            (!scram || json_is_boolean(scram));
	if (good)
		memcpy(ret->password, json_string_value(password), ret->password_len = n);
	ret->scram = json_is_true(scram);
	json_decref(json);
	return good;
}

int put_user(void *self, edged_handle request)
{
	struct broker *b = self;
	struct edged_work *work;
	struct edged_slice name = b->http->param(b->host, request, "name");
	if (!user_name_valid(name))
		return b->http->problem(b->host, request, 400, "bad-user", "This cannot be a user's name",
		        "A name has 1 to 255 bytes of UTF-8 without control characters.");
	struct change *c = change_new(b, request, name);
	if (!c)
		return -ENOMEM;
	if (!read_user(b->http->body(b->host, request), c)) {
		drop_change(c);
		return b->http->problem(b->host, request, 400, "bad-password", "The body has no password",
		        "The body is {\"password\": \"...\"}, 1 to 1,000 bytes long, and with \"scram\": "
		        "true the "
		        "user may also log in by SCRAM-SHA-256.");
	}
	int r = b->work->begin(b->host, hash, hashed, drop_change, c, &work);
	if (r)
		drop_change(c);
	return r;
}

int delete_user(void *self, edged_handle request)
{
	struct broker *b = self;
	struct edged_slice name = b->http->param(b->host, request, "name");
	if (!users_stored(&b->users, name))
		return b->http->problem(b->host, request, 404, "no-such-user", "There is no such user",
		        "GET /pubsub/v1/users lists those that there are; those of password_file are changed "
		        "there.");
	struct change *c = change_new(b, request, name);
	if (!c)
		return -ENOMEM;
	c->remove = true;
	int r = commit(c);
	if (r)
		free(c);
	return r;
}

int list_users(void *self, edged_handle request)
{
	struct broker *b = self;
	json_t *list = json_array();
	char name[SCRAM_NAME_MAX], after[SCRAM_NAME_MAX];
	size_t n = 0, last = 0;
	while ((n = users_next(&b->users, edged_slice(after, last), name)) != 0) {
		json_array_append_new(list, json_pack("{s:o}", "name", text_json(edged_slice(name, n))));
		memcpy(after, name, last = n);
	}
	return rest_reply(b, request, 200, json_pack("{s:o}", "data", list));
}

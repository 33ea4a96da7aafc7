/* SPDX-License-Identifier: Apache-2.0 */
#include "credentials.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "accounts.h"
#include "jwt.h"
#include "secret_file.h"

enum { KEY_FILE_MAX = 65536, WHY = 4400 };

static const char *text(const struct broker *b, const char *name)
{
	return b->config->string(b->host, name);
}

static void gone(void *arg, struct edged_slice name)
{
	struct broker *b = arg;
	if (accounts_drop(b, name))
		b->log->log(b->host, EDGED_ERROR, "no memory to end the connections of a user who is gone");
}

static int load_users(struct broker *b, char *why)
{
	struct password_file file = { 0 };
	const char *path = text(b, "password_file");
	int r = *path ? password_file_read(path, &file, why, WHY) : 0;
	if (!r)
		users_set_file(&b->users, &file, gone, b);
	return r;
}

static int load_key(struct broker *b, char *why)
{
	char *key = NULL, wrong[200];
	size_t len = 0;
	struct jwt *jwt = NULL;
	const char *path = text(b, "jwt.key_file");
	if (!*path) {
		users_set_jwt(&b->users, NULL);
		return 0;
	}
	int r = secret_file_read(path, KEY_FILE_MAX, true, &key, &len, why, WHY);
	if (r)
		return r;
	r = jwt_new(edged_slice(key, len), text(b, "jwt.issuer"), text(b, "jwt.audience"), &jwt, wrong,
	        sizeof(wrong));
	if (r)
		snprintf(why, WHY, "%s: %s", path, r == -EINVAL ? wrong : "there is no memory");
	else
		users_set_jwt(&b->users, jwt);
	OPENSSL_cleanse(key, len);
	free(key);
	return r;
}

int credentials_load(struct broker *b)
{
	char why[WHY] = "";
	int r = load_users(b, why), k = load_key(b, r ? (char[WHY]){ 0 } : why);
	if (r || k)
		b->log->log(b->host, EDGED_ERROR, "%s", why);
	return r || k ? -EINVAL : 0;
}

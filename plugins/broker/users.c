/* SPDX-License-Identifier: Apache-2.0 */
#include "users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FORMAT_OLD = 1, FORMAT = 2 };

void users_init(struct users *users)
{
	pthread_rwlock_init(&users->lock, NULL);
}

void users_fini(struct users *users)
{
	free(users->list);
	password_file_free(&users->file);
	jwt_unref(users->jwt);
	pthread_rwlock_destroy(&users->lock);
}

static int compare(struct edged_slice a, struct edged_slice b)
{
	int r = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
	return r ? r : (a.len > b.len) - (a.len < b.len);
}

/* Where it is, or where it would be. */
static size_t place(const struct users *users, struct edged_slice name, bool *ret_found)
{
	size_t low = 0, high = users->count;
	*ret_found = false;
	while (low < high) {
		size_t mid = (low + high) / 2;
		int r = compare(edged_slice(users->list[mid].name, users->list[mid].len), name);
		if (r == 0) {
			*ret_found = true;
			return mid;
		}
		if (r < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool users_any(struct users *users)
{
	pthread_rwlock_rdlock(&users->lock);
	bool any = users->count > 0 || users->file.count > 0;
	pthread_rwlock_unlock(&users->lock);
	return any;
}

static bool find(const struct users *users, struct edged_slice name, struct credential *ret)
{
	bool found;
	const char *hash = password_file_find(&users->file, name);
	size_t at = place(users, name, &found);
	if (hash)
		memcpy(ret->hash, hash, strlen(hash) + 1);
	else if (found)
		*ret = users->list[at].credential;
	return hash || found;
}

bool users_find(struct users *users, const uint64_t key[2], struct edged_slice name, struct credential *ret)
{
	*ret = (struct credential){ 0 };
	pthread_rwlock_rdlock(&users->lock);
	bool found = user_name_valid(name) && find(users, name, ret);
	pthread_rwlock_unlock(&users->lock);
	if (!found)
		snprintf(ret->hash, sizeof(ret->hash), "%s", password_decoy());
	if (!ret->has_scram)
		verifier_feign(key, name, &ret->scram);
	return found;
}

void users_set_file(struct users *users, struct password_file *file,
        void (*gone)(void *arg, struct edged_slice name), void *arg)
{
	pthread_rwlock_wrlock(&users->lock);
	struct password_file old = users->file;
	users->file = *file;
	pthread_rwlock_unlock(&users->lock);
	*file = (struct password_file){ 0 };
	for (size_t i = 0; i < old.count; i++) {
		const char *hash = password_file_find(&users->file, old.users[i].name);
		if (!hash || strcmp(hash, old.users[i].hash.ptr) != 0)
			gone(arg, old.users[i].name);
	}
	password_file_free(&old);
}

void users_set_jwt(struct users *users, struct jwt *jwt)
{
	pthread_rwlock_wrlock(&users->lock);
	struct jwt *old = users->jwt;
	users->jwt = jwt;
	pthread_rwlock_unlock(&users->lock);
	jwt_unref(old);
}

struct jwt *users_jwt(struct users *users)
{
	pthread_rwlock_rdlock(&users->lock);
	struct jwt *jwt = jwt_ref(users->jwt);
	pthread_rwlock_unlock(&users->lock);
	return jwt;
}

static int make_room(struct users *users)
{
	if (users->count < users->size)
		return 0;
	if (users->count >= USERS_MAX)
		return -ENOSPC;
	size_t size = users->size ? users->size * 2 : 8;
	struct user *list = realloc(users->list, size * sizeof(*list));
	if (!list)
		return -ENOMEM;
	users->list = list;
	users->size = size;
	return 0;
}

int users_set(struct users *users, struct edged_slice name, const struct credential *credential)
{
	bool found;
	int r = 0;
	pthread_rwlock_wrlock(&users->lock);
	size_t at = place(users, name, &found);
	if (!found)
		r = make_room(users);
	if (!found && !r) {
		memmove(&users->list[at + 1], &users->list[at], (users->count++ - at) * sizeof(struct user));
		users->list[at].len = (uint16_t)name.len;
		memcpy(users->list[at].name, name.ptr, name.len);
	}
	if (!r)
		users->list[at].credential = *credential;
	pthread_rwlock_unlock(&users->lock);
	return r;
}

bool users_stored(struct users *users, struct edged_slice name)
{
	bool found = false;
	pthread_rwlock_rdlock(&users->lock);
	if (user_name_valid(name))
		(void)place(users, name, &found);
	pthread_rwlock_unlock(&users->lock);
	return found;
}

bool users_remove(struct users *users, struct edged_slice name)
{
	bool found;
	pthread_rwlock_wrlock(&users->lock);
	size_t at = place(users, name, &found);
	if (found)
		memmove(&users->list[at], &users->list[at + 1], (--users->count - at) * sizeof(struct user));
	pthread_rwlock_unlock(&users->lock);
	return found;
}

size_t users_next(struct users *users, struct edged_slice after, char *name)
{
	bool found = false;
	size_t n = 0;
	pthread_rwlock_rdlock(&users->lock);
	size_t at = after.len ? place(users, after, &found) + found : 0;
	if (at < users->count) {
		n = users->list[at].len;
		memcpy(name, users->list[at].name, n);
	}
	pthread_rwlock_unlock(&users->lock);
	return n;
}

bool user_name_valid(struct edged_slice name)
{
	if (name.len == 0 || name.len > SCRAM_NAME_MAX || !utf8_valid(name))
		return false;
	for (size_t i = 0; i < name.len; i++)
		if ((uint8_t)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
			return false;
	return true;
}

static void write_verifier(struct writer *w, const struct verifier *v)
{
	write_u32(w, v->iterations);
	write_bytes(w, v->salt, sizeof(v->salt));
	write_bytes(w, v->stored_key, sizeof(v->stored_key));
	write_bytes(w, v->server_key, sizeof(v->server_key));
}

size_t user_row(const struct credential *c, uint8_t *out)
{
	struct writer w = writer(out, USER_ROW_MAX);
	write_u8(&w, FORMAT);
	write_binary(&w, edged_str(c->hash));
	if (c->has_scram)
		write_verifier(&w, &c->scram);
	return (size_t)(w.at - out);
}

static bool read_verifier(struct reader *r, struct verifier *ret)
{
	ret->iterations = read_u32(r);
	struct edged_slice salt = read_bytes(r, sizeof(ret->salt)),
	                   stored = read_bytes(r, sizeof(ret->stored_key)),
	                   server = read_bytes(r, sizeof(ret->server_key));
	if (r->failed || !ret->iterations || ret->iterations > 10000000)
		return false;
	memcpy(ret->salt, salt.ptr, salt.len);
	memcpy(ret->stored_key, stored.ptr, stored.len);
	memcpy(ret->server_key, server.ptr, server.len);
	return true;
}

/* The first format had no hash: the password was judged by what is kept for SCRAM. */
bool read_user_row(struct edged_slice value, struct credential *ret)
{
	struct reader r = reader(value.ptr, value.len);
	uint8_t format = read_u8(&r);
	*ret = (struct credential){ 0 };
	if (format == FORMAT) {
		struct edged_slice hash = read_binary(&r);
		if (!password_hash_valid(hash))
			return false;
		memcpy(ret->hash, hash.ptr, hash.len);
	} else if (format != FORMAT_OLD) {
		return false;
	}
	ret->has_scram = format == FORMAT_OLD || read_left(&r);
	return (!ret->has_scram || read_verifier(&r, &ret->scram)) && !r.failed && !read_left(&r);
}

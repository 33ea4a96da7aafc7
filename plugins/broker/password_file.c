/* SPDX-License-Identifier: Apache-2.0 */
#include "password_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "secret_file.h"
#include "users.h"

void password_file_free(struct password_file *file)
{
	free(file->text);
	free(file->users);
	*file = (struct password_file){ 0 };
}

static int by_name(const void *a, const void *b)
{
	const struct file_user *x = a, *y = b;
	size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
	int r = memcmp(x->name.ptr, y->name.ptr, n);
	return r ? r : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

/* What is wrong with the line; NULL: nothing. */
static const char *read_line(char *line, size_t n, struct file_user *ret)
{
	char *colon = memchr(line, ':', n);
	if (!colon)
		return "it has no ':' between name and hash";
	ret->name = edged_slice(line, (size_t)(colon - line));
	ret->hash = edged_slice(colon + 1, n - ret->name.len - 1);
	if (!user_name_valid(ret->name))
		return "the name is empty, longer than 255 bytes, or no text";
	if (!password_hash_valid(ret->hash))
		return "behind the name comes no $argon2id$ or $7$ hash, or one that costs too much";
	line[n] = 0;
	return NULL;
}

static int add(struct password_file *file, const struct file_user *user)
{
	size_t size = file->count;
	if (size == PASSWORD_LINES_MAX)
		return -ENOSPC;
	if ((size & (size - 1)) == 0) { /* room doubles at each power of two */
		struct file_user *users = realloc(file->users, (size ? size * 2 : 1) * sizeof(*users));
		if (!users)
			return -ENOMEM;
		file->users = users;
	}
	file->users[file->count++] = *user;
	return 0;
}

static int read_lines(struct password_file *file, size_t len, unsigned *ret_line, const char **ret_why)
{
	char *at = file->text, *end = file->text + len;
	for (*ret_line = 1; at < end; ++*ret_line) {
		char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((stop ? stop : end) - at);
		struct file_user user;
		if (n && *at != '#') {
			*ret_why = read_line(at, n, &user);
			int r = *ret_why ? -EINVAL : add(file, &user);
			if (r == -ENOSPC)
				*ret_why = "there are too many users";
			if (r)
				return r;
		}
		at += n + 1;
	}
	return 0;
}

int password_file_parse(
        char *text, size_t len, struct password_file *ret, unsigned *ret_line, const char **ret_why)
{
	struct password_file file = { .text = text };
	int r = read_lines(&file, len, ret_line, ret_why);
	if (file.count)
		qsort(file.users, file.count, sizeof(*file.users), by_name);
	for (size_t i = 1; !r && i < file.count; i++)
		if (edged_slice_eq(file.users[i - 1].name, file.users[i].name)) {
			*ret_line = 0;
			*ret_why = "a name comes twice";
			r = -EINVAL;
		}
	if (r)
		password_file_free(&file);
	else
		*ret = file;
	return r;
}

int password_file_read(const char *path, struct password_file *ret, char *why, size_t why_size)
{
	char *text;
	size_t len;
	unsigned line;
	const char *wrong = NULL;
	int r = secret_file_read(path, PASSWORD_FILE_MAX, false, &text, &len, why, why_size);
	if (r)
		return r;
	r = password_file_parse(text, len, ret, &line, &wrong);
	if (r && line)
		snprintf(why, why_size, "%s:%u: %s", path, line, wrong ? wrong : strerror(-r));
	else if (r)
		snprintf(why, why_size, "%s: %s", path, wrong ? wrong : strerror(-r));
	return r;
}

const char *password_file_find(const struct password_file *file, struct edged_slice name)
{
	const struct file_user key = { .name = name };
	const struct file_user *found =
	        file->count ? bsearch(&key, file->users, file->count, sizeof(key), by_name) : NULL;
	return found ? found->hash.ptr : NULL;
}

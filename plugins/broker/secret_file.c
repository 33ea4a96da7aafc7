/* SPDX-License-Identifier: Apache-2.0 */
#include "secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* NULL: it is as it should be. */
static const char *judge(const struct stat *st, size_t max, bool open_to_all)
{
	if (!S_ISREG(st->st_mode))
		return "it is no file";
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "it belongs neither to root nor to the user that edged runs as";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "others than its owner may write it; chmod go-w helps";
	if (!open_to_all && (st->st_mode & S_IROTH))
		return "everybody may read it; chmod o-r helps";
	return (uint64_t)st->st_size > max ? "it is too large" : NULL;
}

static int read_all(int fd, size_t size, char **ret)
{
	char *text = malloc(size + 1);
	size_t n = 0;
	ssize_t got = 1;
	while (text && n < size && (got = read(fd, text + n, size - n)) > 0)
		n += (size_t)got;
	if (!text || n < size) {
		int r = !text ? -ENOMEM : got < 0 ? -errno : -EIO;
		free(text);
		return r;
	}
	text[n] = 0;
	*ret = text;
	return 0;
}

int secret_file_read(const char *path, size_t max, bool open_to_all, char **ret, size_t *ret_len, char *why,
        size_t why_size)
{
	struct stat st;
	const char *wrong = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r = fd < 0 || fstat(fd, &st) ? -errno : 0;
	if (!r && (wrong = judge(&st, max, open_to_all)))
		r = -EPERM;
	if (!r)
		r = read_all(fd, (size_t)st.st_size, ret);
	if (fd >= 0)
		close(fd);
	if (r)
		snprintf(why, why_size, "%s: %s", path, wrong ? wrong : strerror(-r));
	else
		*ret_len = (size_t)st.st_size;
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void buf_wipe(struct buf *buf)
{
	if (buf->ptr)
		explicit_bzero(buf->ptr, buf->cap);
	buf_fini(buf);
}

int folder_make(const char *folder, struct err *err)
{
	if (mkdir(folder, 0700) == 0 || errno == EEXIST)
		return 0;
	int r = -errno;
	return err_set(err, r, "cannot make the folder %s: %s; check that its parent is there and writable",
	        folder, strerror(-r));
}

static int path_join(char path[PATH_MAX], const char *folder, const char *name, const char *suffix)
{
	int n = snprintf(path, PATH_MAX, "%s/%s%s", folder, name, suffix);
	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int read_all(int fd, struct buf *ret)
{
	for (;;) {
		char chunk[4096];
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		int r = buf_add(ret, chunk, (size_t)n);
		explicit_bzero(chunk, sizeof(chunk));
		if (r)
			return r == -ENOBUFS ? -EFBIG : r;
	}
}

int file_read(const char *folder, const char *name, struct buf *ret, struct err *err)
{
	char path[PATH_MAX];
	int r = path_join(path, folder, name, "");
	if (r)
		return err_set(err, r, "%s/%s: the path is too long", folder, name);
	CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	r = fd < 0 ? -errno : read_all(fd, ret);
	return r ? err_set(err, r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

static int write_all(int fd, struct edged_slice content)
{
	while (content.len > 0) {
		ssize_t n = write(fd, content.ptr, content.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		content.ptr += n;
		content.len -= (size_t)n;
	}
	return fsync(fd) ? -errno : 0;
}

static int write_aside(const char *path, struct edged_slice content)
{
	/* One left over from a crash is of no use to anybody. */
	if (unlink(path) && errno != ENOENT)
		return -errno;
	CLEANUP(close_fdp) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : write_all(fd, content);
}

static int sync_folder(const char *folder)
{
	CLEANUP(close_fdp) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) ? -errno : 0;
}

int file_replace(const char *folder, const char *name, struct edged_slice content, struct err *err)
{
	char path[PATH_MAX], aside[PATH_MAX];
	int r = path_join(path, folder, name, "");
	if (!r)
		r = path_join(aside, folder, name, ".new");
	if (r)
		return err_set(err, r, "%s/%s: the path is too long", folder, name);
	r = write_aside(aside, content);
	if (!r && rename(aside, path))
		r = -errno;
	if (r) {
		(void)unlink(aside);
		return err_set(err, r, "cannot write %s: %s", path, strerror(-r));
	}
	r = sync_folder(folder);
	return r ? err_set(err, r, "cannot sync the folder %s: %s", folder, strerror(-r)) : 0;
}

void file_remove(const char *folder, const char *name)
{
	char path[PATH_MAX];
	if (path_join(path, folder, name, "") == 0)
		(void)unlink(path);
}

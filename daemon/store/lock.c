/* SPDX-License-Identifier: Apache-2.0 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"

static int busy(int fd, const char *path, struct err *err)
{
	char pid[16] = "";
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
	pid[n > 0 ? n : 0] = '\0';
	pid[strspn(pid, "0123456789")] = '\0';
	return err_set(err, -EBUSY,
	        "%s is held by %s%s: stop that one, or give this one another state folder", path,
	        *pid ? "the process with pid " : "another process", pid);
}

int lock_take(const char *path, int *ret_fd, struct err *err)
{
	CLEANUP(close_fdp) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(err, -errno, "cannot open the lock file %s: %s", path, strerror(errno));
	int r;
	do
		r = flock(fd, LOCK_EX | LOCK_NB);
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EWOULDBLOCK)
		return busy(fd, path, err);
	if (r < 0)
		return err_set(err, -errno, "cannot lock %s: %s", path, strerror(errno));
	/* The pid only makes the sentence above better: on a full disk it is missing, and the lock holds all
	 * the same. */
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
		errno = 0;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

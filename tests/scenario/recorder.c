/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library for LD_PRELOAD that writes down, in one order, what a process does to the files below one folder, and what
 * it says to its network peers: so that a test can make each state of the folder that a crash could have left, and
 * knows what had been acknowledged by then. EDGED_RECORD_FOLDER is the folder, EDGED_RECORD the file of records
 * (appended to); the format is `struct head`, see crash_record.py.
 *
 * The calls of libc are replaced by the system calls themselves. A lock makes "do it, write it down" one step; only
 * syncs run outside of it, between two records: what was written before the first is on the disk with the second.
 * What is not seen (writes through a mapping or a second descriptor, stdio) shows in the end: the folder rebuilt from
 * the record is not the folder.
 */
#undef _FILE_OFFSET_BITS /* `open` and `open64` are both defined here */
#undef _FORTIFY_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FDS = 65536, REPLY_MAX = 65536 };

struct head {
	char kind;
	uint8_t flags;
	uint16_t port;
	uint32_t len; /* of what follows */
	uint64_t inode, a, b;
};

enum { SYNCED = 1 };

static struct {
	pthread_mutex_t lock;
	sigset_t signals; /* of the thread that has the lock, before */
	int fd;
	char folder[PATH_MAX];
	size_t folder_len;
	uint64_t syncs;
	struct {
		uint64_t inode; /* 0: not a file of the folder */
		int flags;
		bool is_folder;
	} fds[FDS];
} state = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

/* Exported in spite of -fvisibility=hidden. */
#define CALL __attribute__((visibility("default")))

__attribute__((constructor)) static void begin(void)
{
	const char *folder = getenv("EDGED_RECORD_FOLDER"), *file = getenv("EDGED_RECORD");
	if (!folder || !file || !realpath(folder, state.folder))
		return;
	state.folder_len = strlen(state.folder);
	int fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	state.fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 1000);
	if (fd >= 0)
		syscall(SYS_close, fd);
}

/* A signal waits: its handler may write, too, and would wait for the thread that it interrupted. */
static void enter(void)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&state.lock);
	state.signals = before;
}

/* Keeps errno, so that `return leave(r)` is the result of a call. */
static long leave(long r)
{
	int e = errno;
	sigset_t before = state.signals;
	pthread_mutex_unlock(&state.lock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = e;
	return r;
}

static void put(struct head head, const struct iovec *parts, int count)
{
	struct iovec all[64];
	int e = errno, n = 1;
	all[0] = (struct iovec){ &head, sizeof(head) };
	head.len = 0;
	for (int i = 0; i < count && n < 64; i++) {
		all[n++] = parts[i];
		head.len += (uint32_t)parts[i].iov_len;
	}
	if (state.fd >= 0 && syscall(SYS_writev, state.fd, all, n) != (long)(sizeof(head) + head.len))
		abort(); /* a record with a hole proves nothing */
	errno = e;
}

static void put_text(struct head head, const char *one, const char *two)
{
	struct iovec parts[2] = { { (void *)(uintptr_t)one, strlen(one) + 1 } };
	if (two)
		parts[1] = (struct iovec){ (void *)(uintptr_t)two, strlen(two) + 1 };
	put(head, parts, two ? 2 : 1);
}

/* --- names ------------------------------------------------------------------------------------------------------------- */

/* The path below the folder, or NULL. */
static const char *below(int dir, const char *path, char out[PATH_MAX])
{
	char link[64];
	if (state.fd < 0 || !path)
		return NULL;
	if (path[0] == '/') {
		snprintf(out, PATH_MAX, "%s", path);
	} else {
		ssize_t n;
		snprintf(link, sizeof(link), dir == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dir);
		n = readlink(link, out, PATH_MAX - 1);
		if (n < 0)
			return NULL;
		snprintf(out + n, PATH_MAX - (size_t)n, "/%s", path);
	}
	if (strncmp(out, state.folder, state.folder_len) != 0)
		return NULL;
	if (out[state.folder_len] == '\0')
		return ".";
	return out[state.folder_len] == '/' ? out + state.folder_len + 1 : NULL;
}

static bool known(int fd)
{
	return fd >= 0 && fd < FDS && state.fds[fd].inode;
}

static int do_open(int dir, const char *path, int flags, mode_t mode)
{
	char full[PATH_MAX];
	struct stat st;
	enter();
	const char *name = below(dir, path, full);
	bool fresh = name && (flags & O_CREAT) && lstat(full, &st) < 0;
	int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
	if (fd >= 0 && fd < FDS)
		state.fds[fd].inode = 0;
	if (!name || fd < 0 || fd >= FDS || (flags & O_PATH) || fstat(fd, &st) < 0)
		return (int)leave(fd);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return (int)leave(fd);
	state.fds[fd].inode = st.st_ino;
	state.fds[fd].flags = flags;
	state.fds[fd].is_folder = S_ISDIR(st.st_mode);
	if (fresh)
		put_text((struct head){ .kind = 'O', .inode = st.st_ino }, name, NULL);
	else if ((flags & O_TRUNC) && (flags & O_ACCMODE) != O_RDONLY)
		put((struct head){ .kind = 'T', .inode = st.st_ino }, NULL, 0);
	return (int)leave(fd);
}

#define MODE()                                                                                               \
	mode_t mode = 0;                                                                                     \
	if (flags & (O_CREAT | O_TMPFILE)) {                                                                 \
		va_list args;                                                                                \
		va_start(args, flags);                                                                       \
		mode = va_arg(args, mode_t);                                                                 \
		va_end(args);                                                                                \
	}

#define OPEN(name)                                                                                           \
	CALL int name(const char *path, int flags, ...)                                                      \
	{                                                                                                    \
		MODE() return do_open(AT_FDCWD, path, flags, mode);                                          \
	}
#define OPENAT(name)                                                                                         \
	CALL int name(int dir, const char *path, int flags, ...)                                             \
	{                                                                                                    \
		MODE() return do_open(dir, path, flags, mode);                                               \
	}
#define OPEN_2(name)                                                                                         \
	CALL int name(const char *path, int flags);                                                          \
	CALL int name(const char *path, int flags)                                                           \
	{                                                                                                    \
		return do_open(AT_FDCWD, path, flags, 0);                                                    \
	}
#define OPENAT_2(name)                                                                                       \
	CALL int name(int dir, const char *path, int flags);                                                 \
	CALL int name(int dir, const char *path, int flags)                                                  \
	{                                                                                                    \
		return do_open(dir, path, flags, 0);                                                         \
	}
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
OPEN_2(__open_2)
OPEN_2(__open64_2)
OPENAT_2(__openat_2)
OPENAT_2(__openat64_2)

CALL int creat(const char *path, mode_t mode)
{
	return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

CALL int close(int fd)
{
	enter();
	if (known(fd))
		state.fds[fd].inode = 0;
	return (int)leave(syscall(SYS_close, fd));
}

/* --- what changes a folder ------------------------------------------------------------------------------------------------ */

static int two_names(char kind, int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	char a[PATH_MAX], b[PATH_MAX];
	enter();
	const char *one = below(from_dir, from, a), *two = below(to_dir, to, b);
	long r = kind == 'R' ? syscall(SYS_renameat2, from_dir, from, to_dir, to, flags)
	                     : syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
	if (r == 0 && one && two)
		put_text((struct head){ .kind = kind, .flags = (uint8_t)flags }, one, two);
	else if (r == 0 && (one || two))
		abort(); /* into or out of the folder: not thought of */
	return (int)leave(r);
}

CALL int rename(const char *from, const char *to)
{
	return two_names('R', AT_FDCWD, from, AT_FDCWD, to, 0);
}

CALL int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return two_names('R', from_dir, from, to_dir, to, 0);
}

CALL int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	return two_names('R', from_dir, from, to_dir, to, flags);
}

CALL int link(const char *from, const char *to)
{
	return two_names('L', AT_FDCWD, from, AT_FDCWD, to, 0);
}

CALL int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	return two_names('L', from_dir, from, to_dir, to, (unsigned)flags);
}

static int one_name(char kind, int dir, const char *path, mode_t mode, int flags)
{
	char full[PATH_MAX];
	enter();
	const char *name = below(dir, path, full);
	long r =
	        kind == 'M' ? syscall(SYS_mkdirat, dir, path, mode) : syscall(SYS_unlinkat, dir, path, flags);
	if (r == 0 && name)
		put_text((struct head){ .kind = kind }, name, NULL);
	return (int)leave(r);
}

CALL int mkdir(const char *path, mode_t mode)
{
	return one_name('M', AT_FDCWD, path, mode, 0);
}

CALL int mkdirat(int dir, const char *path, mode_t mode)
{
	return one_name('M', dir, path, mode, 0);
}

CALL int unlink(const char *path)
{
	return one_name('U', AT_FDCWD, path, 0, 0);
}

CALL int unlinkat(int dir, const char *path, int flags)
{
	return one_name('U', dir, path, 0, flags);
}

CALL int rmdir(const char *path)
{
	return one_name('U', AT_FDCWD, path, 0, AT_REMOVEDIR);
}

CALL int remove(const char *path)
{
	struct stat st;
	bool folder = lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
	return one_name('U', AT_FDCWD, path, 0, folder ? AT_REMOVEDIR : 0);
}

/* --- what changes a file --------------------------------------------------------------------------------------------------- */

/* After n bytes were written to a file of the folder; offset -1: where the descriptor was. */
static void wrote(int fd, const struct iovec *parts, int count, int64_t n, int64_t offset, bool synced)
{
	struct stat st;
	struct iovec cut[64];
	int flags = state.fds[fd].flags, used = 0;
	if (n <= 0)
		return;
	if ((flags & O_APPEND) && fstat(fd, &st) == 0)
		offset = st.st_size - n;
	else if (offset < 0)
		offset = lseek(fd, 0, SEEK_CUR) - n;
	for (int64_t left = n; used < count && used < 64 && left > 0; used++) {
		cut[used] = parts[used];
		if ((int64_t)cut[used].iov_len > left)
			cut[used].iov_len = (size_t)left;
		left -= (int64_t)cut[used].iov_len;
	}
	struct head head = { .kind = 'W', .inode = state.fds[fd].inode, .a = (uint64_t)offset };
	head.flags = synced || (flags & (O_DSYNC | O_SYNC)) ? SYNCED : 0;
	put(head, cut, used);
}

static uint16_t peer_port(int fd)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	int e = errno;
	bool inet = syscall(SYS_getpeername, fd, &peer, &len) == 0 && peer.sin_family == AF_INET;
	errno = e;
	return inet ? ntohs(peer.sin_port) : 0;
}

/* After n bytes were sent, or written to what is no file of the folder. */
static void said(int fd, const struct iovec *parts, size_t count, int64_t n)
{
	static char bytes[REPLY_MAX];
	uint16_t port = n > 0 ? peer_port(fd) : 0;
	size_t at = 0;
	if (!port)
		return;
	for (size_t i = 0; i < count && at < (size_t)n; i++) {
		size_t more = parts[i].iov_len;
		if (more > (size_t)n - at)
			more = (size_t)n - at;
		for (size_t from = 0; from < more;) {
			size_t room = sizeof(bytes) - at % sizeof(bytes),
			       step = more - from < room ? more - from : room;
			memcpy(bytes + at % sizeof(bytes), (const char *)parts[i].iov_base + from, step);
			from += step;
			at += step;
			if (at % sizeof(bytes) == 0)
				put((struct head){ .kind = 'N', .port = port },
				        &(struct iovec){ bytes, sizeof(bytes) }, 1);
		}
	}
	if (at % sizeof(bytes))
		put((struct head){ .kind = 'N', .port = port }, &(struct iovec){ bytes, at % sizeof(bytes) },
		        1);
}

static void after_write(int fd, const struct iovec *parts, int count, int64_t n, int64_t offset, bool synced)
{
	if (state.fd < 0)
		return;
	if (known(fd))
		wrote(fd, parts, count, n, offset, synced);
	else
		said(fd, parts, (size_t)count, n);
}

CALL ssize_t write(int fd, const void *bytes, size_t n)
{
	enter();
	ssize_t r = syscall(SYS_write, fd, bytes, n);
	after_write(fd, &(struct iovec){ (void *)(uintptr_t)bytes, n }, 1, r, -1, false);
	return leave(r);
}

CALL ssize_t writev(int fd, const struct iovec *parts, int count)
{
	enter();
	ssize_t r = syscall(SYS_writev, fd, parts, count);
	after_write(fd, parts, count, r, -1, false);
	return leave(r);
}

static ssize_t do_pwritev(int fd, const struct iovec *parts, int count, int64_t offset, int flags)
{
	enter();
	ssize_t r = syscall(SYS_pwritev2, fd, parts, count, offset, offset >> 31 >> 1, flags);
	after_write(fd, parts, count, r, offset, flags & (RWF_DSYNC | RWF_SYNC));
	return leave(r);
}

#define PWRITE(name, type)                                                                                   \
	CALL ssize_t name(int fd, const void *bytes, size_t n, type offset)                                  \
	{                                                                                                    \
		return do_pwritev(fd, &(struct iovec){ (void *)(uintptr_t)bytes, n }, 1, offset, 0);         \
	}
#define PWRITEV(name, type)                                                                                  \
	CALL ssize_t name(int fd, const struct iovec *parts, int count, type offset)                         \
	{                                                                                                    \
		return do_pwritev(fd, parts, count, offset, 0);                                              \
	}
#define PWRITEV2(name, type)                                                                                 \
	CALL ssize_t name(int fd, const struct iovec *parts, int count, type offset, int flags)              \
	{                                                                                                    \
		return do_pwritev(fd, parts, count, offset, flags);                                          \
	}
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)
PWRITEV2(pwritev2, off_t)
PWRITEV2(pwritev64v2, off64_t)

CALL ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
	enter();
	ssize_t r = syscall(SYS_sendto, fd, bytes, n, flags, NULL, 0);
	after_write(fd, &(struct iovec){ (void *)(uintptr_t)bytes, n }, 1, r, -1, false);
	return leave(r);
}

CALL ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	enter();
	ssize_t r = syscall(SYS_sendmsg, fd, message, flags);
	if (!message->msg_name && state.fd >= 0)
		said(fd, message->msg_iov, message->msg_iovlen, r);
	return leave(r);
}

static int do_truncate(int fd, int64_t size)
{
	enter();
	int r = (int)syscall(SYS_ftruncate, fd, size);
	if (r == 0 && known(fd))
		put((struct head){ .kind = 'T', .inode = state.fds[fd].inode, .a = (uint64_t)size }, NULL, 0);
	return (int)leave(r);
}

static int do_allocate(int fd, int mode, int64_t offset, int64_t n)
{
	enter();
	int r = (int)syscall(SYS_fallocate, fd, mode, offset, n);
	if (r == 0 && known(fd))
		put((struct head){ .kind = 'A',
		            .flags = (uint8_t)mode,
		            .inode = state.fds[fd].inode,
		            .a = (uint64_t)offset,
		            .b = (uint64_t)n },
		        NULL, 0);
	return (int)leave(r);
}

#define SIZES(suffix, type)                                                                                  \
	CALL int ftruncate##suffix(int fd, type size)                                                        \
	{                                                                                                    \
		return do_truncate(fd, size);                                                                \
	}                                                                                                    \
	CALL int fallocate##suffix(int fd, int mode, type offset, type n)                                    \
	{                                                                                                    \
		return do_allocate(fd, mode, offset, n);                                                     \
	}                                                                                                    \
	CALL int posix_fallocate##suffix(int fd, type offset, type n)                                        \
	{                                                                                                    \
		return do_allocate(fd, 0, offset, n) ? errno : 0;                                            \
	}
SIZES(, off_t)
SIZES(64, off64_t)

/* --- syncs ----------------------------------------------------------------------------------------------------------------- */

static int do_sync(int fd, long call)
{
	enter();
	bool mine = known(fd), folder = mine && state.fds[fd].is_folder;
	struct head head = { .kind = folder ? 'd' : 's', .inode = mine ? state.fds[fd].inode : 0 };
	char link[64], full[PATH_MAX] = "";
	head.a = ++state.syncs;
	head.b = (uint64_t)getpid();
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = mine && folder ? readlink(link, full, sizeof(full) - 1) : 0;
	full[n > 0 ? n : 0] = '\0';
	const char *name = full + state.folder_len + (strlen(full) > state.folder_len);
	if (mine)
		put_text(head, folder ? name : "", NULL);
	leave(0);
	int r = (int)syscall(call, fd);
	if (!mine || r)
		return r;
	enter();
	head.kind = folder ? 'D' : 'S';
	put_text(head, folder ? name : "", NULL);
	return (int)leave(r);
}

CALL int fsync(int fd)
{
	return do_sync(fd, SYS_fsync);
}

CALL int fdatasync(int fd)
{
	return do_sync(fd, SYS_fdatasync);
}

/* A shared mapping that can be written is something that is not recorded: the reader of the record is told. */
static void *do_mmap(void *at, size_t n, int protection, int flags, int fd, int64_t offset)
{
	enter();
	void *p = (void *)syscall(SYS_mmap, at, n, protection, flags, fd, offset);
	if (p != MAP_FAILED && known(fd) && (protection & PROT_WRITE) && (flags & MAP_SHARED))
		put((struct head){ .kind = 'P', .inode = state.fds[fd].inode }, NULL, 0);
	leave(0);
	return p;
}

CALL void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
	return do_mmap(at, n, protection, flags, fd, offset);
}

CALL void *mmap64(void *at, size_t n, int protection, int flags, int fd, off64_t offset)
{
	return do_mmap(at, n, protection, flags, fd, offset);
}

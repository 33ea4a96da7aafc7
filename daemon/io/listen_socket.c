/* SPDX-License-Identifier: Apache-2.0 */
#include "io/listen_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 512

/* A socket file that nobody answers at is left from a process that died. */
static int remove_stale(const char *path)
{
	struct stat st;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (lstat(path, &st))
		return errno == ENOENT ? 0 : errno;
	if (!S_ISSOCK(st.st_mode))
		return EEXIST;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	int error = connect(fd, (struct sockaddr *)&address, sizeof(address)) ? errno : 0;
	close(fd);
	if (error != ECONNREFUSED)
		return error == 0 || error == EAGAIN ? EADDRINUSE : error;
	return unlink(path) && errno != ENOENT ? errno : 0;
}

static const char *unix_path(const struct listen_spec *spec)
{
	const struct sockaddr_un *un = (const void *)&spec->address;
	return un->sun_family == AF_UNIX ? un->sun_path : NULL;
}

/* The mode is right from the first moment on: the file takes it over from the socket. */
static int bind_unix(const struct listen_spec *spec, int fd, struct socket_file *ret)
{
	struct stat st;
	const char *path = unix_path(spec);
	int error = remove_stale(path);
	if (error)
		return error;
	if (fchmod(fd, 0660) || bind(fd, (const struct sockaddr *)&spec->address, spec->address_len) ||
	        chmod(path, 0660) || lstat(path, &st))
		return errno;
	*ret = (struct socket_file){ st.st_dev, st.st_ino };
	return 0;
}

static int bind_ip(const struct listen_spec *spec, int fd)
{
	int on = 1, off = 0;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (spec->address.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, spec->any ? &off : &on, sizeof(on));
	return bind(fd, (const struct sockaddr *)&spec->address, spec->address_len) ? errno : 0;
}

/* A kernel without IPv6 still has all of IPv4. */
static void fall_back_to_ipv4(struct listen_spec *spec)
{
	uint16_t port = address_port(&spec->address);
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	memset(&spec->address, 0, sizeof(spec->address));
	memcpy(&spec->address, &in, sizeof(in));
	spec->address_len = sizeof(in);
}

int listen_socket_open(struct listen_spec *spec, int *ret_fd, struct socket_file *ret_file)
{
	int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fd = socket(spec->address.ss_family, type, 0);
	if (fd < 0 && spec->any && errno == EAFNOSUPPORT) {
		fall_back_to_ipv4(spec);
		fd = socket(AF_INET, type, 0);
	}
	*ret_fd = fd;
	if (fd < 0)
		return errno;
	int error = unix_path(spec) ? bind_unix(spec, fd, ret_file) : bind_ip(spec, fd);
	if (!error && listen(fd, BACKLOG))
		error = errno;
	return error;
}

void listen_socket_remove(const struct listen_spec *spec, const struct socket_file *file)
{
	struct stat st;
	const char *path = unix_path(spec);
	if (path && file->ino && lstat(path, &st) == 0 && st.st_dev == file->dev && st.st_ino == file->ino)
		unlink(path);
}

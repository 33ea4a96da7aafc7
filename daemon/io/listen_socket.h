/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets, and the files of Unix ones. */
#ifndef IO_LISTEN_SOCKET_H
#define IO_LISTEN_SOCKET_H

#include <sys/stat.h>
#include "io/listen_spec.h"

/* Which file is ours, so that no other one is removed. Zero: none. */
struct socket_file {
	dev_t dev;
	ino_t ino;
};

/* Binds and listens. 0, or a positive errno; *ret_fd may be open then too. A Unix socket has mode 0660 from the first
 * moment on; one that was left by a process that died is replaced, anything else at its path is EADDRINUSE or EEXIST.
 * `*` falls back to IPv4 where the kernel has no IPv6, and *spec says so then. */
EDGED_MUST_CHECK int listen_socket_open(struct listen_spec *spec, int *ret_fd, struct socket_file *ret_file);
/* Removes the file of a Unix socket, if it is still the one that was made. */
void listen_socket_remove(const struct listen_spec *spec, const struct socket_file *file);

#endif

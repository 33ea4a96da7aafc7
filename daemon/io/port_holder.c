/* SPDX-License-Identifier: Apache-2.0 */
#include "io/port_holder.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"

static void close_dirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* The inode of a socket that listens on the port; 0: none. */
static unsigned long find_inode(const char *table, uint16_t port)
{
	FILE *file = fopen(table, "re");
	char line[512];
	unsigned long found = 0;
	while (file && !found && fgets(line, sizeof(line), file)) {
		unsigned local, state;
		unsigned long inode;
		if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*s %x %*s %*s %*s %*s %*s %lu", &local, &state,
		            &inode) == 3 &&
		        local == port && state == 10)
			found = inode;
	}
	if (file)
		fclose(file);
	return found;
}

static bool holds(const char *pid, const char *socket)
{
	char path[320], link[64];
	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	CLEANUP(close_dirp) DIR *dir = opendir(path);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		if (n > 0 && (size_t)n == strlen(socket) && memcmp(link, socket, (size_t)n) == 0)
			return true;
	}
	return false;
}

static void describe(const char *pid, char *ret, size_t size)
{
	char path[320], name[64] = "?";
	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	FILE *file = fopen(path, "re");
	if (file && fgets(name, sizeof(name), file))
		name[strcspn(name, "\n")] = '\0';
	if (file)
		fclose(file);
	snprintf(ret, size, "%s (pid %s)", name, pid);
}

void port_holder(uint16_t port, char *ret, size_t size)
{
	ret[0] = '\0';
	unsigned long inode = find_inode("/proc/net/tcp", port);
	if (!inode)
		inode = find_inode("/proc/net/tcp6", port);
	if (!inode)
		return;
	char socket[64];
	snprintf(socket, sizeof(socket), "socket:[%lu]", inode);
	CLEANUP(close_dirp) DIR *proc = opendir("/proc");
	for (struct dirent *entry; proc && (entry = readdir(proc));)
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && holds(entry->d_name, socket)) {
			describe(entry->d_name, ret, size);
			return;
		}
}

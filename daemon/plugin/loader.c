/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/loader.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "plugin/elf.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

#define SYMBOL_PREFIX "edged_plugin_v"
#define SYMBOL        "edged_plugin_v1"

/* What the first published header had; smaller ones never were. */
#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))
enum {
	FIRST_PLUGIN = END_OF(struct edged_plugin, offer),
	FIRST_SETTING = END_OF(struct edged_setting, text),
	FIRST_ROUTE = END_OF(struct edged_route, flags),
	MOST_STRUCT = 4096 /* bytes; a larger size is damage, not growth */
};

/* --- the file --- */

static int judge_owner(const struct stat *st, const char *what, struct err *err)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return err_set(err, -EPERM,
		        "%s belongs to user %u, and only root's or the daemon's own (%u) is trusted: change "
		        "it with chown",
		        what, (unsigned)st->st_uid, (unsigned)geteuid());
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, -EPERM,
		        "%s may be written by %s (mode %04o): take that away with chmod go-w", what,
		        st->st_mode & S_IWOTH ? "everybody" : "its group", (unsigned)(st->st_mode & 07777));
	return 0;
}

static const char *kind_of(mode_t mode)
{
	return S_ISDIR(mode)    ? "a folder"
	       : S_ISFIFO(mode) ? "a FIFO"
	       : S_ISSOCK(mode) ? "a socket"
	       : S_ISLNK(mode)  ? "a symbolic link"
	                        : "a device";
}

/* Opens the file without following a link or waiting for a FIFO's writer, and judges what it is. */
static int open_file(const char *folder, const char *file, int *ret, struct stat *ret_stat, struct err *err)
{
	CLEANUP(close_fdp) int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	if (dir < 0 || fstat(dir, &st))
		return err_set(err, -errno, "the folder %s cannot be opened: %s", folder, strerror(errno));
	int r = judge_owner(&st, "its folder", err);
	if (r)
		return r;
	if (fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW))
		return err_set(err, -errno, "the file cannot be looked at: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "it is %s, not a regular file: put the plugin itself here",
		        kind_of(st.st_mode));
	CLEANUP(close_fdp) int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return err_set(err, -errno, "the file cannot be read: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "it is %s, not a regular file: put the plugin itself here",
		        kind_of(st.st_mode));
	r = judge_owner(&st, "the file", err);
	if (r)
		return r;
	if (st.st_size > LOADER_FILE_SIZE)
		return err_set(err, -EFBIG, "the file has %lld bytes, and %d are the limit",
		        (long long)st.st_size, LOADER_FILE_SIZE);
	*ret = fd;
	fd = -1;
	*ret_stat = st;
	return 0;
}

static int copy_bytes(int from, int to, off_t size)
{
	char block[65536];
	off_t done = 0;
	while (done < size) {
		ssize_t n = read(from, block, sizeof(block));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ESTALE;
		if (write(to, block, (size_t)n) != n)
			return -ENOMEM;
		done += n;
	}
	return done == size ? 0 : -ESTALE;
}

/* The private copy: nobody can write to it any more, so it can be judged and mapped without surprises. */
static int copy_file(int fd, const char *file, off_t size, int *ret, struct err *err)
{
	CLEANUP(close_fdp) int copy = memfd_create(file, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	if (copy < 0 && errno == EINVAL) /* before Linux 6.3 there was no MFD_EXEC */
		copy = memfd_create(file, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		return err_set(err, -errno, "no private copy of the file could be made: %s", strerror(errno));
	int r = copy_bytes(fd, copy, size);
	if (r)
		return err_set(err, r, "%s",
		        r == -ESTALE ? "the file changed while it was read"
		                     : "the file could not be copied into memory");
	if (fcntl(copy, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL))
		return err_set(err, -errno, "the private copy could not be sealed: %s", strerror(errno));
	*ret = copy;
	copy = -1;
	return 0;
}

/* --- the exported symbol --- */

static int no_symbol(const struct elf *elf, struct err *err)
{
	uint64_t cursor = 0;
	struct elf_symbol symbol;
	if (elf_next(elf, SYMBOL_PREFIX, &cursor, &symbol))
		return err_set(err, -ENOEXEC,
		        "the file is no plugin of edged: it exports no symbol " SYMBOL
		        " (see EDGED_PLUGIN in edged/plugin.h)");
	return err_set(err, -ENOEXEC, "the plugin is built for ABI %s, and this daemon offers ABI 1",
	        symbol.name + strlen(SYMBOL_PREFIX));
}

/* Before any of its code is mapped: is there the symbol, and is it long enough? */
static int judge_symbol(struct edged_slice bytes, struct err *err)
{
	struct elf elf;
	int r = elf_open(bytes, &elf, err);
	if (r)
		return r;
	struct elf_symbol symbol;
	uint64_t cursor = 0;
	do {
		if (elf_next(&elf, SYMBOL, &cursor, &symbol))
			return no_symbol(&elf, err);
	} while (strcmp(symbol.name, SYMBOL) != 0);
	if (!symbol.data)
		return err_set(
		        err, -ENOEXEC, "its symbol " SYMBOL " is no data: write it with EDGED_PLUGIN()");
	uint32_t size;
	if (symbol.content.len < sizeof(size))
		return err_set(err, -ENOEXEC, "its symbol " SYMBOL " is empty: write it with EDGED_PLUGIN()");
	memcpy(&size, symbol.content.ptr, sizeof(size));
	if (size < FIRST_PLUGIN || size > symbol.size)
		return err_set(err, -ENOEXEC,
		        "its struct edged_plugin says it has %u bytes, with %llu there and %d the least that "
		        "ABI 1 ever had",
		        size, (unsigned long long)symbol.size, FIRST_PLUGIN);
	return 0;
}

static int judge_copy(int fd, off_t size, struct err *err)
{
	if (size == 0)
		return judge_symbol(edged_slice(NULL, 0), err);
	void *bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return err_set(err, -errno, "the file could not be mapped: %s", strerror(errno));
	int r = judge_symbol(edged_slice(bytes, (size_t)size), err);
	munmap(bytes, (size_t)size);
	return r;
}

/* dlopen(3) takes a name that it has seen for the library it knows, so the descriptor, which is that name,
 * stays open as long as the code stays mapped. Debuggers find the code under that name, too. */
static int map_code(int *fd, const void **ret, struct err *err)
{
	static unsigned loads; /* main loop only */
	if (loads >= LOADER_LOADS)
		return err_set(err, -ENOSPC,
		        "%d plugin files were loaded since the daemon started: restart it", LOADER_LOADS);
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), *fd);
	void *code = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!code) {
		const char *why = dlerror();
		const char *text = why && strncmp(why, path, strlen(path)) == 0 ? why + strlen(path) : why;
		return err_set(err, -ENOEXEC, "the file cannot be loaded%s%s",
		        text && *text == ':' ? "" : ": ", text ? text : "unknown reason");
	}
	loads++;
	*fd = -1;
	*ret = dlsym(code, SYMBOL);
	return *ret ? 0 : err_set(err, -ENOEXEC, "its symbol " SYMBOL " is not visible");
}

/* --- what it exports --- */

static bool name_valid(const char *name)
{
	size_t n = 0;
	if (!name || !islower((unsigned char)name[0]))
		return false;
	while (islower((unsigned char)name[n]) || isdigit((unsigned char)name[n]) || name[n] == '-')
		if (++n > 31)
			return false;
	return !name[n];
}

/* "edged.http/1" */
static bool capability_valid(const char *name)
{
	const char *slash = strchr(name, '/');
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-");
	return slash && n > 0 && name + n == slash && slash[1] && strlen(name) < 64 &&
	       strspn(slash + 1, "0123456789") == strlen(slash + 1);
}

static int judge_capabilities(const char *const *names, const char *what, struct err *err)
{
	for (size_t i = 0; names && names[i]; i++) {
		if (i >= 32)
			return err_set(
			        err, -EINVAL, "its list of what it %s has no end within 32 names", what);
		if (!capability_valid(names[i]))
			return err_set(err, -EINVAL,
			        "it %s \"%.64s\", which is no capability's name, such as edged.http/1", what,
			        names[i]);
	}
	return 0;
}

static bool row_at(const void *table, uint32_t row_size, size_t i, void *row, size_t size)
{
	if (!table)
		return false;
	memset(row, 0, size);
	memcpy(row, (const char *)table + i * row_size, row_size < size ? row_size : size);
	return true;
}

bool image_route(const struct edged_plugin *plugin, size_t i, struct edged_route *ret)
{
	return row_at(plugin->routes, plugin->route_size, i, ret, sizeof(*ret)) && ret->method;
}

bool image_setting(const struct edged_plugin *plugin, size_t i, struct edged_setting *ret)
{
	return row_at(plugin->settings, plugin->setting_size, i, ret, sizeof(*ret)) && ret->name;
}

static int judge_settings(const struct edged_plugin *plugin, struct err *err)
{
	struct edged_setting row;
	if (plugin->setting_size < FIRST_SETTING || plugin->setting_size > MOST_STRUCT)
		return err_set(err, -EINVAL,
		        "its configuration rows have %u bytes: build it with EDGED_PLUGIN()",
		        plugin->setting_size);
	for (size_t i = 0; image_setting(plugin, i, &row); i++) {
		if (i >= LOADER_ROWS)
			return err_set(err, -EINVAL, "its configuration table has no end within %d rows",
			        LOADER_ROWS);
		const char *wrong = !*row.name ? "no name"
		                    : row.type < EDGED_TYPE_BOOL || row.type > EDGED_TYPE_JSON
		                            ? "an unknown type"
		                    : !row.def                                      ? "no default"
		                    : !row.text                                     ? "no text"
		                    : row.min > row.max                             ? "its range upside down"
		                    : row.type == EDGED_TYPE_CHOICE && !row.choices ? "no choices"
		                                                                    : NULL;
		if (wrong)
			return err_set(err, -EINVAL, "row %zu (\"%.64s\") of its configuration table has %s",
			        i + 1, row.name, wrong);
	}
	return 0;
}

static int judge_routes(const struct edged_plugin *plugin, struct err *err)
{
	struct edged_route row;
	if (plugin->route_size < FIRST_ROUTE || plugin->route_size > MOST_STRUCT)
		return err_set(err, -EINVAL, "its routes have %u bytes: build it with EDGED_PLUGIN()",
		        plugin->route_size);
	for (size_t i = 0; image_route(plugin, i, &row); i++) {
		if (i >= LOADER_ROWS)
			return err_set(
			        err, -EINVAL, "its route table has no end within %d rows", LOADER_ROWS);
		const char *wrong = !*row.method                    ? "no method"
		                    : !row.path || *row.path != '/' ? "no path that starts with /"
		                    : !row.serve                    ? "no serve()"
		                    : (unsigned)row.scope > EDGED_SCOPE_PROXIMITY ? "an unknown scope"
		                                                                  : NULL;
		if (wrong)
			return err_set(err, -EINVAL, "row %zu (%.16s %.200s) of its route table has %s",
			        i + 1, row.method, row.path ? row.path : "", wrong);
	}
	return 0;
}

int image_judge(const void *exported, struct edged_plugin *ret, struct err *err)
{
	struct edged_plugin plugin = { 0 };
	uint32_t size;
	memcpy(&size, exported, sizeof(size));
	if (size < FIRST_PLUGIN || size > MOST_STRUCT)
		return err_set(err, -EINVAL,
		        "its struct edged_plugin has %u bytes, and %d is the least that ABI 1 ever had", size,
		        FIRST_PLUGIN);
	memcpy(&plugin, exported, size < sizeof(plugin) ? size : sizeof(plugin));
	if (!name_valid(plugin.name))
		return err_set(err, -EINVAL,
		        "its name is \"%.64s\": it must be 1 to 31 of a-z, 0-9 and -, a letter first",
		        plugin.name ? plugin.name : "");
	if (!plugin.version || !*plugin.version)
		return err_set(err, -EINVAL, "it has no version");
	if (!plugin.create)
		return err_set(err, -EINVAL, "it has no create()");
	if (plugin.offers && plugin.offers[0] && !plugin.offer)
		return err_set(err, -EINVAL, "it offers %.64s, but has no offer()", plugin.offers[0]);
	int r = judge_capabilities(plugin.needs, "needs", err);
	if (!r)
		r = judge_capabilities(plugin.offers, "offers", err);
	if (!r)
		r = judge_settings(&plugin, err);
	if (!r)
		r = judge_routes(&plugin, err);
	if (!r)
		*ret = plugin;
	return r;
}

void image_free(struct image *image)
{
	if (!image)
		return;
	free(image->routes);
	free(image);
}
DEFINE_CLEANUP(struct image *, image_free)

static int copy_routes(struct image *image)
{
	struct edged_route row;
	size_t n = 0;
	while (image_route(&image->plugin, n, &row))
		n++;
	image->routes = calloc(n + 1, sizeof(row));
	for (size_t i = 0; image->routes && i < n; i++)
		image_route(&image->plugin, i, &image->routes[i]);
	return image->routes ? 0 : -ENOMEM;
}

int image_load(const char *folder, const char *file, struct image **ret, struct err *err)
{
	CLEANUP(image_freep) struct image *image = calloc(1, sizeof(*image));
	CLEANUP(close_fdp) int fd = -1;
	CLEANUP(close_fdp) int copy = -1;
	struct stat st = { 0 };
	const void *exported = NULL;
	if (!image)
		return err_set(err, -ENOMEM, "there is no memory to load it");
	int r = open_file(folder, file, &fd, &st, err);
	if (!r)
		r = copy_file(fd, file, st.st_size, &copy, err);
	if (!r)
		r = judge_copy(copy, st.st_size, err);
	if (!r)
		r = map_code(&copy, &exported, err);
	if (!r)
		r = image_judge(exported, &image->plugin, err);
	if (!r && copy_routes(image))
		r = err_set(err, -ENOMEM, "there is no memory to load it");
	if (!r)
		*ret = TAKE(image);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of the plugin host: a folder of their own, and the test plugins in it. */
#ifndef TESTS_PLACE_H
#define TESTS_PLACE_H

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
	char folder[64];
	char build[512]; /* where the test plugins were built */
};

static inline void place_init(struct place *place)
{
	char self[400];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	assert(n > 0);
	self[n] = 0;
	snprintf(place->build, sizeof(place->build), "%s/../abi", dirname(self));
	snprintf(place->folder, sizeof(place->folder), "/tmp/edged-plugin-test-XXXXXX");
	if (!mkdtemp(place->folder))
		abort();
}

static inline int place_remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void place_fini(struct place *place)
{
	if (nftw(place->folder, place_remove_entry, 8, FTW_DEPTH | FTW_PHYS))
		abort();
}

static inline char *place_path(const struct place *place, const char *file, char path[256])
{
	snprintf(path, 256, "%s/%s", place->folder, file);
	return path;
}

/* All bytes of a test plugin ("first") or of a plugin beside ("../../plugins/hello"). */
static inline char *place_read(const struct place *place, const char *name, size_t *ret_size)
{
	char path[700];
	snprintf(path, sizeof(path), "%s/%s.so", place->build, name);
	FILE *file = fopen(path, "r");
	struct stat st;
	if (!file || fstat(fileno(file), &st))
		abort();
	char *bytes = malloc((size_t)st.st_size);
	if (!bytes || fread(bytes, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
		abort();
	fclose(file);
	*ret_size = (size_t)st.st_size;
	return bytes;
}

/* Written in place, as cp(1) does. */
static inline void place_write(const struct place *place, const char *file, const void *bytes, size_t size)
{
	char path[256];
	FILE *out = fopen(place_path(place, file, path), "w");
	if (!out || fwrite(bytes, 1, size, out) != size || fchmod(fileno(out), 0644))
		abort();
	fclose(out);
}

static inline void place_copy(const struct place *place, const char *name, const char *file)
{
	size_t size;
	char *bytes = place_read(place, name, &size);
	place_write(place, file, bytes, size);
	free(bytes);
}

static inline void place_remove(const struct place *place, const char *file)
{
	char path[256];
	unlink(place_path(place, file, path));
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "temp.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void temp_init(struct temp *temp)
{
	const char *base = getenv("TMPDIR");
	snprintf(temp->path, sizeof(temp->path), "%s/edged-test-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(temp->path)) {
		perror(temp->path);
		abort();
	}
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void temp_fini(struct temp *temp)
{
	nftw(temp->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

char *temp_file(const struct temp *temp, const char *name, char *buffer, size_t size)
{
	if (snprintf(buffer, size, "%s/%s", temp->path, name) >= (int)size)
		abort();
	return buffer;
}

unsigned temp_count(const struct temp *temp, const char *prefix)
{
	DIR *dir = opendir(temp->path);
	unsigned n = 0;
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		n += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
	if (dir)
		closedir(dir);
	return n;
}

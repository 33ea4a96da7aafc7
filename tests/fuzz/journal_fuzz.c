/* SPDX-License-Identifier: Apache-2.0; layers: store core base */
/*
 * A log whose files hold anything: it opens, is read, takes one more group, and has that after the next opening. The input
 * is cut in two: the files of positions 0 and 8,192. Bits of the first byte make whole frames of the pieces, so that records
 * are reached, and squeezed ones.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "store/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64];

int fdatasync(int fd)
{
	(void)fd;
	return 0;
}

int fsync(int fd)
{
	(void)fd;
	return 0;
}

static void put_file(const char *name, const uint8_t *data, size_t n, unsigned flags, uint64_t position)
{
	char path[128];
	struct buf bytes;
	buf_init(&bytes, 0);
	static const char head[FRAME_HEAD];
	bool frame = flags & 1;
	if (frame)
		buf_add(&bytes, head, sizeof(head));
	buf_add(&bytes, data, n);
	if (frame && frame_seal(&bytes, position, 7, flags & 2))
		abort();
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, bytes.ptr ? bytes.ptr : "", bytes.len) != (ssize_t)bytes.len)
		abort();
	close(fd);
	buf_fini(&bytes);
}

static void clear(void)
{
	DIR *dir = opendir(folder);
	if (!dir)
		abort();
	for (const struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

/* Whether the last record that can be read is "new". */
static bool read_all(struct journal *journal)
{
	struct buf body;
	uint64_t position = 0;
	bool found = false;
	buf_init(&body, 0);
	while (journal_read(journal, &position, &body) == 0) {
		struct edged_slice rest = buf_slice(&body), record;
		while (record_take(&rest, &record))
			found = edged_slice_is(record, "new");
		buf_clear(&body);
	}
	buf_fini(&body);
	return found;
}

static void append(struct journal *journal)
{
	if (journal_reserve(journal, 4))
		abort();
	journal_begin(journal);
	if (journal_add(journal, edged_slice("\3new", 4)) || journal_write(journal))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct journal_options options = { folder, "f", 65536, 1 << 20 };
	struct journal *journal;
	if (!folder[0]) {
		log_set_level((enum edged_level)0);
		snprintf(folder, sizeof(folder), "%s/journal-fuzz-XXXXXX",
		        access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
		if (!mkdtemp(folder))
			abort();
	}
	if (size < 1 || size > 60000)
		return 0;
	clear();
	size_t first = (size - 1) / 2;
	put_file("f.0000000000000000", data + 1, first, (data[0] & 1) | (data[0] >> 2 & 2), 0);
	if (data[0] & 2)
		put_file("f.0000000000002000", data + 1 + first, size - 1 - first,
		        (data[0] >> 2 & 1) | (data[0] >> 3 & 2), 8192);
	if (journal_open(&options, &journal))
		abort();
	(void)read_all(journal);
	append(journal);
	journal_free(journal);
	if (journal_open(&options, &journal))
		abort();
	if (!read_all(journal))
		abort();
	journal_trim(journal, journal_figures(journal).end);
	if (!read_all(journal))
		abort();
	journal_free(journal);
	clear();
	return 0;
}

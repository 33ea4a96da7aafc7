/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define FRAME_KEEP (1024u * 1024) /* memory that is kept for the next group */

struct journal {
	char *folder, *name;
	uint64_t segment_bytes, limit_bytes;
	int dir;
	int fd; /* of the last segment; -1: the next group begins a new one */
	struct list segments;
	bool spare; /* there is a file to be used again, of segment_bytes */
	uint64_t end, bytes, written, syncs, bodies, squeezed;
	struct buf frame, work;
};

static struct segment *first_of(const struct journal *j)
{
	return list_entry(j->segments.next, struct segment, link);
}

static struct segment *last_of(const struct journal *j)
{
	return list_entry(j->segments.prev, struct segment, link);
}

static const char *spare_name(const struct journal *j, char name[SEGMENT_NAME_MAX])
{
	snprintf(name, SEGMENT_NAME_MAX, "%s.spare", j->name);
	return name;
}

static bool salt(struct segment *s)
{
	return getrandom(&s->salt, sizeof(s->salt), 0) == sizeof(s->salt);
}

static int sync_folder(struct journal *j)
{
	return fsync(j->dir) < 0 ? -errno : 0;
}

/* --- opening ------------------------------------------------------------------------------------------------------- */

static int add_segment(struct journal *j, uint64_t first, struct segment **ret)
{
	struct segment *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->first = s->end = first;
	struct list *at = j->segments.next;
	while (at != &j->segments && list_entry(at, struct segment, link)->first < first)
		at = at->next;
	list_insert_before(at, &s->link);
	if (ret)
		*ret = s;
	return 0;
}

static void close_dirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int list_files(struct journal *j)
{
	int fd = dup(j->dir);
	CLEANUP(close_dirp) DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		int r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	const struct dirent *entry;
	char spare[SEGMENT_NAME_MAX];
	rewinddir(dir);
	while ((entry = readdir(dir))) {
		uint64_t first;
		int r = segment_parse(j->name, entry->d_name, &first) ? add_segment(j, first, NULL) : 0;
		if (r)
			return r;
		/* What it was to become is not known any more. */
		if (strcmp(entry->d_name, spare_name(j, spare)) == 0 && unlinkat(j->dir, spare, 0) < 0)
			return -errno;
	}
	return 0;
}

static int open_file(const struct journal *j, const struct segment *s, int flags)
{
	char name[SEGMENT_NAME_MAX];
	segment_name(j->name, s->first, name);
	int fd = openat(j->dir, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

/* Gives a damaged file a second name, under which it stays. */
static void keep_damaged(const struct journal *j, struct segment *s, int fd, uint64_t from, uint64_t to)
{
	struct stat st;
	char name[SEGMENT_NAME_MAX], kept[SEGMENT_NAME_MAX + 48], stamp[32];
	s->kept = true;
	if (fstat(fd, &st) == 0 && st.st_nlink > 1)
		return; /* an earlier start has met it */
	time_t now = time(NULL);
	struct tm tm;
	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &tm);
	segment_name(j->name, s->first, name);
	snprintf(kept, sizeof(kept), "%s.damaged-%s", name, stamp);
	bool linked = linkat(j->dir, name, j->dir, kept, 0) == 0;
	log_error("store",
	        "%s/%s is damaged: what was written at %" PRIu64 " to %" PRIu64 " cannot be read; %s%s",
	        j->folder, name, from - s->first, to - s->first,
	        linked ? "it was kept as " : "it cannot be kept aside: ", linked ? kept : strerror(errno));
	if (linked)
		(void)sync_folder((struct journal *)j);
}

/* All frames up to `limit`; the last file ends with its last whole one. */
static int check_frames(struct journal *j, struct segment *s, int fd, uint64_t limit, bool last)
{
	struct found found;
	int r;
	while ((r = segment_next(fd, s, s->end, limit, &found, &j->frame)) == 0) {
		if (found.at > s->end)
			keep_damaged(j, s, fd, s->end, found.at);
		s->end = found.end;
	}
	if (r < 0)
		return r;
	if (!last && s->end < limit)
		keep_damaged(j, s, fd, s->end, limit);
	if (!last)
		s->end = limit;
	return 0;
}

static int check_segment(struct journal *j, struct segment *s)
{
	bool last = s == last_of(j);
	struct segment *next = last ? NULL : list_entry(s->link.next, struct segment, link);
	CLEANUP(close_fdp) int fd = open_file(j, s, O_RDWR | O_NONBLOCK);
	struct stat st;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((st.st_mode & 077) && fchmod(fd, 0600) < 0)
		return -errno;
	s->size = (uint64_t)st.st_size;
	j->bytes += s->size;
	int start = segment_start(fd, s);
	if (start < 0)
		return start;
	if (start == SEGMENT_BEGUN)
		return check_frames(j, s, fd, next ? next->first : UINT64_MAX, last);
	/* Without its first head nothing in the file proves itself. */
	if (next || start == SEGMENT_STRANGE)
		keep_damaged(j, s, fd, s->first, next ? next->first : s->first + s->size);
	if (next)
		s->end = next->first;
	return 0;
}

static int open_last(struct journal *j)
{
	struct segment *last = last_of(j);
	j->end = last->end;
	/* One that was kept is not written to any more; the next group begins a new file (in the place of this one, when
	 * nothing in it could be read). */
	if (last->kept)
		return 0;
	/* What was left of a first group that never was acknowledged must not follow ours. */
	if (last->end == last->first && !salt(last))
		return -EIO;
	j->fd = open_file(j, last, O_RDWR);
	return j->fd < 0 ? j->fd : 0;
}

static int make_folder(const struct journal *j)
{
	if (mkdir(j->folder, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	char parent[4096];
	if (snprintf(parent, sizeof(parent), "%s/..", j->folder) >= (int)sizeof(parent))
		return -ENAMETOOLONG;
	CLEANUP(close_fdp) int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int open_all(struct journal *j)
{
	int r = make_folder(j);
	if (r)
		return r;
	j->dir = open(j->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (j->dir < 0)
		return -errno;
	r = list_files(j);
	for (struct list *at = j->segments.next; at != &j->segments && !r; at = at->next)
		r = check_segment(j, list_entry(at, struct segment, link));
	return r || list_empty(&j->segments) ? r : open_last(j);
}

int journal_open(const struct journal_options *options, struct journal **ret)
{
	struct journal *j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	list_init(&j->segments);
	buf_init(&j->frame, 0);
	buf_init(&j->work, 0);
	j->dir = j->fd = -1;
	j->segment_bytes = options->segment_bytes;
	j->limit_bytes = options->limit_bytes;
	j->folder = strdup(options->folder);
	j->name = strdup(options->name);
	int r = j->folder && j->name ? open_all(j) : -ENOMEM;
	if (r) {
		log_error("store", "cannot open the log %s in %s: %s", options->name, options->folder,
		        strerror(-r));
		journal_free(j);
		return r;
	}
	*ret = j;
	return 0;
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	list_each_safe (node, &j->segments)
		free(list_entry(node, struct segment, link));
	if (j->fd >= 0)
		close(j->fd);
	if (j->dir >= 0)
		close(j->dir);
	buf_fini(&j->frame);
	buf_fini(&j->work);
	free(j->folder);
	free(j->name);
	free(j);
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

static int means_full(int cause)
{
	return cause == ENOSPC || cause == EDQUOT || cause == EFBIG ? -ENOSPC : -EIO;
}

/* Where a file system cannot reserve, the file is as long, and writing may meet a full disk. */
static int reserve_file(int fd, uint64_t size)
{
	int r;
	do
		r = fallocate(fd, 0, 0, (off_t)size);
	while (r < 0 && errno == EINTR);
	if (r < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
		r = ftruncate(fd, (off_t)size);
	return r < 0 ? means_full(errno) : 0;
}

/* A file of that size under the name; the one that was dropped last when it fits. */
static int make_file(struct journal *j, const char *name, uint64_t size, int *ret)
{
	char spare[SEGMENT_NAME_MAX];
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;
	if (j->spare && size == j->segment_bytes) {
		if (renameat(j->dir, spare_name(j, spare), j->dir, name) < 0)
			return -EIO;
		j->spare = false;
		*ret = openat(j->dir, name, flags);
		return *ret < 0 ? -EIO : 0;
	}
	CLEANUP(close_fdp) int fd = openat(j->dir, name, flags | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return means_full(errno);
	int r = reserve_file(fd, size);
	if (r) {
		unlinkat(j->dir, name, 0);
		return r;
	}
	j->bytes += size;
	*ret = fd;
	fd = -1;
	return 0;
}

static void forget_segment(struct segment *s)
{
	list_remove(&s->link);
	free(s);
}

/* The last file has nothing in it that could be read, and is not written to: its place is free. */
static int drop_empty(struct journal *j)
{
	char name[SEGMENT_NAME_MAX];
	struct segment *last = list_empty(&j->segments) ? NULL : last_of(j);
	if (!last || last->first != j->end)
		return 0;
	segment_name(j->name, last->first, name);
	if (unlinkat(j->dir, name, 0) < 0 && errno != ENOENT)
		return -EIO;
	j->bytes -= last->size;
	forget_segment(last);
	return 0;
}

static int next_segment(struct journal *j, uint64_t size)
{
	char name[SEGMENT_NAME_MAX];
	if (size < j->segment_bytes)
		size = j->segment_bytes;
	if (j->fd >= 0)
		close(j->fd);
	j->fd = -1;
	int r = drop_empty(j);
	if (r)
		return r;
	if (j->bytes + (j->spare && size == j->segment_bytes ? 0 : size) > j->limit_bytes)
		return -ENOSPC;
	struct segment *s;
	int fd;
	segment_name(j->name, j->end, name);
	r = add_segment(j, j->end, &s);
	if (r)
		return r;
	r = make_file(j, name, size, &fd);
	if (r) {
		forget_segment(s);
		return r;
	}
	s->size = size;
	j->fd = fd;
	if (sync_folder(j) == 0 && salt(s))
		return 0;
	close(j->fd);
	j->fd = -1;
	return -EIO;
}

int journal_reserve(struct journal *j, size_t body)
{
	if (body > FRAME_BODY_MAX)
		return -ENOSPC;
	uint64_t need = frame_bytes(body);
	const struct segment *last = j->fd >= 0 ? last_of(j) : NULL;
	return last && last->size >= j->end - last->first + need ? 0 : next_segment(j, need);
}

void journal_begin(struct journal *j)
{
	buf_clear(&j->frame);
}

int journal_add(struct journal *j, struct edged_slice body)
{
	static const char head[FRAME_HEAD];
	int r = j->frame.len ? 0 : buf_add(&j->frame, head, sizeof(head));
	return r ? r : buf_add(&j->frame, body.ptr, body.len);
}

static int write_all(int fd, const char *from, size_t n, uint64_t at)
{
	while (n) {
		ssize_t wrote = pwrite(fd, from, n, (off_t)at);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return means_full(wrote < 0 ? errno : EIO);
		from += wrote;
		n -= (size_t)wrote;
		at += (uint64_t)wrote;
	}
	return fdatasync(fd) < 0 ? means_full(errno) : 0;
}

/* What the kernel holds of this file is not trusted any more. Cut off, the group is not found by the next start, if that
 * much gets through. */
static void abandon(struct journal *j, struct segment *s)
{
	if (ftruncate(j->fd, (off_t)(j->end - s->first)) == 0) {
		j->bytes -= s->size - (j->end - s->first);
		s->size = j->end - s->first;
		(void)!fdatasync(j->fd);
	}
	close(j->fd);
	j->fd = -1;
}

int journal_write(struct journal *j)
{
	struct segment *s = last_of(j);
	bool is_squeezed;
	size_t body = j->frame.len - FRAME_HEAD, squeezed = frame_squeeze(&j->frame, &j->work, &is_squeezed);
	int r = frame_seal(&j->frame, j->end, s->salt, is_squeezed);
	if (r)
		return r;
	r = write_all(j->fd, j->frame.ptr, j->frame.len, j->end - s->first);
	if (r) {
		abandon(j, s);
		return r;
	}
	j->end += j->frame.len;
	s->end = j->end;
	j->written += j->frame.len;
	j->syncs++;
	j->bodies += body;
	j->squeezed += squeezed;
	if (j->frame.cap > FRAME_KEEP || j->work.cap > FRAME_KEEP) {
		buf_fini(&j->frame);
		buf_fini(&j->work);
	}
	return 0;
}

/* --- dropping and reading ------------------------------------------------------------------------------------------ */

/* In order, each for good before the next: what is left is always one row without a gap. */
static int drop_first(struct journal *j)
{
	char name[SEGMENT_NAME_MAX], spare[SEGMENT_NAME_MAX];
	struct segment *s = first_of(j);
	bool reuse = !j->spare && !s->kept && s->size == j->segment_bytes;
	segment_name(j->name, s->first, name);
	int r = reuse ? renameat(j->dir, name, j->dir, spare_name(j, spare)) : unlinkat(j->dir, name, 0);
	if (r < 0)
		return -errno;
	if (reuse)
		j->spare = true;
	else
		j->bytes -= s->size;
	forget_segment(s);
	return sync_folder(j);
}

void journal_trim(struct journal *j, uint64_t position)
{
	int r = 0;
	while (!r && !list_empty(&j->segments) && first_of(j) != last_of(j) && first_of(j)->end <= position)
		r = drop_first(j);
	if (r)
		log_warning("store", "cannot remove a file of the log %s in %s yet: %s", j->name, j->folder,
		        strerror(-r));
}

int journal_read(struct journal *j, uint64_t *position, struct buf *body)
{
	struct found found;
	list_each (node, &j->segments) {
		const struct segment *s = list_entry(node, struct segment, link);
		if (*position >= s->end)
			continue;
		CLEANUP(close_fdp) int fd = open_file(j, s, O_RDONLY);
		if (fd < 0)
			return fd;
		int r = segment_next(
		        fd, s, *position > s->first ? *position : s->first, s->end, &found, body);
		if (r < 0)
			return r;
		*position = r ? s->end : found.end;
		if (!r)
			return 0;
	}
	return SEGMENT_END;
}

struct journal_figures journal_figures(const struct journal *j)
{
	return (struct journal_figures){
		.begin = list_empty(&j->segments) ? j->end : first_of(j)->first,
		.end = j->end,
		.bytes = j->bytes,
		.written = j->written,
		.syncs = j->syncs,
		.bodies = j->bodies,
		.squeezed = j->squeezed,
	};
}

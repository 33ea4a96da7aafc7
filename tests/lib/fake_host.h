/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon for one plugin, in memory and on one thread: streams, several loops that take turns, a clock that moves only
 * when told, and a store whose commits happen when told, so that a test sees what waits for them.
 */
#ifndef TESTS_FAKE_HOST_H
#define TESTS_FAKE_HOST_H

#include "edged/cap_stream.h"
#include "edged/plugin.h"

/* --- the disk: outlives hosts --- */
/* Records of a log are rows of a table of its name, their positions are the keys. */
struct fake_disk;
struct fake_disk *fake_disk_new(void);
void fake_disk_free(struct fake_disk *disk);
size_t fake_disk_rows(const struct fake_disk *disk, const char *table);
/* Rows of the table whose value begins with that byte. */
size_t fake_disk_rows_of(const struct fake_disk *disk, const char *table, uint8_t first);
/* Changes byte `byte` of the row-th value of a table (for damage); false when there is no such byte. */
/* What a start hears of what it writes, and waits for: 0 or a negative errno. */
void fake_disk_at_start(struct fake_disk *disk, int result);
bool fake_disk_damage(struct fake_disk *disk, const char *table, size_t row, size_t byte);

/* --- the host --- */
struct fake_host;
struct fake_setting {
	const char *name;
	int64_t value;
};
/* Creates and starts the plugin; settings (may be NULL) end with a NULL name and override defaults. */
struct fake_host *fake_host_new(const struct edged_plugin *plugin, struct fake_disk *disk, unsigned loops,
        const struct fake_setting *settings);
/* What others offer; a capability that is found here takes the place of the host's own. */
struct fake_others {
	const void *(*find)(void *arg, const char *cap); /* NULL: they have none of that name */
	void *arg;
	const char *node_id;
};
struct fake_host *fake_host_among(const struct edged_plugin *plugin, struct fake_disk *disk, unsigned loops,
        const struct fake_setting *settings, const struct fake_others *others);
void *fake_others_of(struct edged_host *host); /* their arg */
/* stop: in order, what was written is committed. Otherwise the daemon was killed: what was not committed is lost. */
void fake_host_free(struct fake_host *host, bool stop);
/* It was killed, too, but the plugin is stopped, as it gives its memory back only then: what it says at the end is lost. */
void fake_host_lose(struct fake_host *host);
struct edged_host *fake_host_of(struct fake_host *host);
void *fake_self(struct fake_host *host); /* the plugin's */

/* Runs posts, deferred calls and events of streams until there are none. False: there were none. */
bool fake_run(struct fake_host *host);
/* The store writes what is queued up to the last commit() and says so (`result` 0, or the failure), then fake_run(). */
void fake_commit(struct fake_host *host, int result);
/* So many of those commit() at most, one at least; the rest waits on, and what no commit() followed. */
void fake_commit_some(struct fake_host *host, int result, unsigned commits);
void fake_auto_commit(struct fake_host *host, bool on); /* each fake_run() commits */
size_t fake_writes(const struct fake_host *host);       /* put, del and append so far */
/* Moves the clock and fires timers, then fake_run(). */
void fake_sleep(struct fake_host *host, uint64_t ms);
size_t fake_timers(const struct fake_host *host); /* armed */
int64_t fake_figure(const struct fake_host *host, const char *name, const char *labels);
bool fake_has_figure(const struct fake_host *host, const char *name, const char *labels);

/* --- clients --- */
struct fake_peer;
struct fake_peer *fake_connect(struct fake_host *host, unsigned loop, bool trusted);
/* Its strings live as long as the host; it has been connected for `age` ms. */
struct fake_peer *fake_connect_as(
        struct fake_host *host, unsigned loop, const struct edged_peer *who, uint32_t age);
/* What the plugin has dialled is there. NULL: it does not want it. */
struct fake_peer *fake_dialled(struct fake_host *host, const struct edged_peer *who,
        const struct edged_stream_handler *handler, void *self);
/* Bytes from the client, then fake_run(). In pieces of `piece` bytes each, 0: all at once. */
void fake_send(struct fake_peer *peer, const void *bytes, size_t n, size_t piece);
/* What was written to the client since the last call; borrowed until the next. */
struct edged_slice fake_take(struct fake_peer *peer);
bool fake_closed(const struct fake_peer *peer);   /* by the plugin */
void fake_hang_up(struct fake_peer *peer);        /* the client goes away without a word */
void fake_block(struct fake_peer *peer, bool on); /* it does not read: the queue grows */
unsigned fake_loop_of(const struct fake_peer *peer);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/folders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/log.h"

enum {
	FILES = 1000, /* of one folder, and changes of one turn; more are looked at by reading the folder
	                 again */
	EVENTS = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF |
	         IN_MOVE_SELF | IN_ONLYDIR
};

struct folder {
	struct list link;
	int wd; /* -1: not watched (any more) */
	char path[];
};

struct change {
	struct list link;
	struct folder *folder;
	enum folder_event event;
	char file[];
};

struct folders {
	struct loop *loop;
	void (*told)(void *arg, const char *folder, const char *file, enum folder_event event);
	void *arg;
	int fd;
	struct watch *watch;
	struct deferred work;
	struct list all;
	struct list changes;
	unsigned change_count;
	bool overflow; /* events were lost: look at everything */
};

static bool is_plugin_name(const char *file)
{
	size_t n = strlen(file);
	return file[0] != '.' && n > 3 && strcmp(file + n - 3, ".so") == 0;
}

/* --- looking --- */

static int plugin_entry(const struct dirent *entry)
{
	return is_plugin_name(entry->d_name);
}

static void tell_all(struct folders *folders, struct folder *folder)
{
	struct dirent **entries;
	int n = scandir(folder->path, &entries, plugin_entry, alphasort);
	for (int i = 0; i < n; i++) {
		if (i < FILES)
			folders->told(folders->arg, folder->path, entries[i]->d_name, FOLDER_SEEN);
		else if (i == FILES)
			log_warning("plugins", "%s holds more than %d plugins: the others are left alone",
			        folder->path, FILES);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

static bool is_there(const struct change *change)
{
	char path[4096];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s", change->folder->path, change->file);
	return lstat(path, &st) == 0;
}

/* --- changes --- */

static void forget(struct folders *folders, struct change *change)
{
	list_remove(&change->link);
	folders->change_count--;
	free(change);
}

/* A change that is known becomes the newer one; "touched" does not hide "written". */
static bool merge(
        struct folders *folders, const struct folder *folder, const char *file, enum folder_event event)
{
	list_each (node, &folders->changes) {
		struct change *change = list_entry(node, struct change, link);
		if (change->folder != folder || strcmp(change->file, file) != 0)
			continue;
		if (event != FOLDER_TOUCHED)
			change->event = event;
		return true;
	}
	return false;
}

static void note(struct folders *folders, struct folder *folder, const char *file, enum folder_event event)
{
	if (!is_plugin_name(file) || merge(folders, folder, file, event))
		return;
	struct change *change =
	        folders->change_count < FILES ? malloc(sizeof(*change) + strlen(file) + 1) : NULL;
	if (!change) {
		folders->overflow = true;
		return;
	}
	change->folder = folder;
	change->event = event;
	memcpy(change->file, file, strlen(file) + 1);
	list_append(&folders->changes, &change->link);
	folders->change_count++;
}

static void note_vanished(struct folders *folders, struct folder *folder)
{
	if (folder->wd < 0)
		return;
	inotify_rm_watch(folders->fd, folder->wd); /* harmless when the kernel did it already */
	folder->wd = -1;
	log_warning("plugins", "the folder %s has gone: restart edged once it is there again", folder->path);
	folders->overflow = true;
}

static void tell_gone(struct folders *folders)
{
	list_each_safe (node, &folders->changes) {
		struct change *change = list_entry(node, struct change, link);
		if (is_there(change))
			continue;
		folders->told(folders->arg, change->folder->path, change->file, FOLDER_GONE);
		forget(folders, change);
	}
}

static void tell_rest(struct folders *folders)
{
	list_each_safe (node, &folders->changes) {
		struct change *change = list_entry(node, struct change, link);
		folders->told(folders->arg, change->folder->path, change->file, change->event);
		forget(folders, change);
	}
}

static void work(struct deferred *deferred)
{
	struct folders *folders = CONTAINER_OF(deferred, struct folders, work);
	bool overflow = folders->overflow;
	folders->overflow = false;
	tell_gone(folders);
	tell_rest(folders);
	if (!overflow)
		return;
	list_each (node, &folders->all) {
		struct folder *folder = list_entry(node, struct folder, link);
		folders->told(folders->arg, folder->path, NULL, FOLDER_GONE);
		tell_all(folders, folder);
	}
}

static struct folder *find(struct folders *folders, int wd)
{
	list_each (node, &folders->all) {
		struct folder *folder = list_entry(node, struct folder, link);
		if (folder->wd == wd)
			return folder;
	}
	return NULL;
}

static void on_event(struct folders *folders, const struct inotify_event *event)
{
	struct folder *folder = find(folders, event->wd);
	if (event->mask & IN_Q_OVERFLOW)
		folders->overflow = true;
	if (!folder)
		return;
	if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT))
		note_vanished(folders, folder);
	else if (!event->len)
		folders->overflow = true; /* the folder's own owner or mode */
	else if (event->mask & IN_ATTRIB)
		note(folders, folder, event->name, FOLDER_TOUCHED);
	else
		note(folders, folder, event->name, FOLDER_WRITTEN);
}

static void on_ready(void *arg, int what)
{
	(void)what;
	struct folders *folders = arg;
	char bytes[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n = read(folders->fd, bytes, sizeof(bytes));
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *event = (const struct inotify_event *)(const void *)(bytes + at);
		on_event(folders, event);
		at += (ssize_t)(sizeof(*event) + event->len);
	}
	if (folders->overflow || folders->change_count)
		loop_defer(folders->loop, &folders->work);
}

/* --- making --- */

int folders_new(struct loop *loop,
        void (*told)(void *arg, const char *folder, const char *file, enum folder_event event), void *arg,
        struct folders **ret)
{
	struct folders *folders = calloc(1, sizeof(*folders));
	if (!folders)
		return -ENOMEM;
	folders->loop = loop;
	folders->told = told;
	folders->arg = arg;
	list_init(&folders->all);
	list_init(&folders->changes);
	deferred_init(&folders->work, work);
	folders->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (folders->fd < 0) {
		int r = -errno;
		free(folders);
		return r;
	}
	*ret = folders;
	return 0;
}

void folders_free(struct folders *folders)
{
	if (!folders)
		return;
	watch_free(folders->watch);
	deferred_cancel(&folders->work);
	close(folders->fd);
	list_each_safe (node, &folders->changes)
		forget(folders, list_entry(node, struct change, link));
	list_each_safe (node, &folders->all)
		free(list_entry(node, struct folder, link));
	free(folders);
}

static int make_path(const char *path)
{
	CLEANUP(free_charp) char *copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(copy, 0755) && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(copy, 0755) && errno != EEXIST ? -errno : 0;
}

int folders_add(struct folders *folders, const char *path, bool create, struct err *err)
{
	int r = create ? make_path(path) : 0;
	if (r)
		return err_set(err, r, "the plugin folder %s cannot be made: %s", path, strerror(-r));
	struct folder *folder = malloc(sizeof(*folder) + strlen(path) + 1);
	if (!folder)
		return err_set(err, -ENOMEM, "no memory for the plugin folder %s", path);
	memcpy(folder->path, path, strlen(path) + 1);
	folder->wd = inotify_add_watch(folders->fd, path, EVENTS);
	if (folder->wd < 0) {
		r = -errno;
		free(folder);
		return err_set(err, r, "the plugin folder %s cannot be watched: %s", path, strerror(-r));
	}
	if (find(folders, folder->wd)) { /* the same folder under another name: look at it once */
		free(folder);
		return 0;
	}
	list_append(&folders->all, &folder->link);
	tell_all(folders, folder);
	return 0;
}

int folders_watch(struct folders *folders)
{
	return watch_new(folders->loop, folders->fd, WATCH_READ, on_ready, folders, &folders->watch);
}

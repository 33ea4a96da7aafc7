/* SPDX-License-Identifier: Apache-2.0 */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

struct state {
	char *folder;
	int lock;
};

static char *joined(const char *folder, const char *name)
{
	char *path = NULL;
	return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

char *state_default_folder(void)
{
	const char *given = getenv("STATE_DIRECTORY");
	if (given && *given)
		return strndup(given, strcspn(given, ":"));
	if (geteuid() == 0)
		return strdup("/var/lib/edged");
	const char *base = getenv("XDG_STATE_HOME");
	if (base && *base == '/')
		return joined(base, "edged");
	const char *home = getenv("HOME");
	return home && *home ? joined(home, ".local/state/edged") : NULL;
}

/* mkdir -p with mode 0700. */
static int make_folders(const char *folder)
{
	char path[PATH_MAX];
	size_t n = strlen(folder);
	if (n == 0 || n >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, folder, n + 1);
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		char c = path[i];
		path[i] = '\0';
		if (mkdir(path, 0700) && errno != EEXIST)
			return -errno;
		path[i] = c;
	}
	return 0;
}

static int lock_folder(struct state *state, struct err *err)
{
	CLEANUP(free_charp) char *path = joined(state->folder, "lock");
	if (!path)
		return -ENOMEM;
	state->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (state->lock < 0)
		return err_set(err, -errno,
		        "%s: cannot write to the state folder: %s. Name another one with --state, or change "
		        "its owner.",
		        state->folder, strerror(errno));
	if (flock(state->lock, LOCK_EX | LOCK_NB)) {
		char pid[16] = "";
		ssize_t n = read(state->lock, pid, sizeof(pid) - 1);
		pid[n > 0 ? n : 0] = '\0';
		return err_set(err, -EBUSY,
		        "%s: another edged (pid %s) runs on this state folder. Stop it, or name another "
		        "folder with --state.",
		        state->folder, *pid ? pid : "unknown");
	}
	if (ftruncate(state->lock, 0) || dprintf(state->lock, "%d", (int)getpid()) < 0)
		return err_set(err, -errno, "%s: cannot write to the state folder: %s", state->folder,
		        strerror(errno));
	return 0;
}

int state_open(const char *folder, struct state **ret, struct err *err)
{
	int r = make_folders(folder);
	if (r)
		return err_set(err, r, "%s: cannot make the state folder: %s. Name another one with --state.",
		        folder, strerror(-r));
	struct state *state = calloc(1, sizeof(*state));
	if (!state)
		return -ENOMEM;
	state->lock = -1;
	state->folder = realpath(folder, NULL);
	r = state->folder ? lock_folder(state, err) : -errno;
	if (r) {
		close_fdp(&state->lock);
		state->lock = -1;
		free(state->folder);
		free(state);
		return r;
	}
	*ret = state;
	return 0;
}

void state_close(struct state *state)
{
	if (!state)
		return;
	CLEANUP(free_charp) char *run = joined(state->folder, "run.json");
	if (run)
		unlink(run);
	close_fdp(&state->lock);
	free(state->folder);
	free(state);
}

const char *state_folder(const struct state *state)
{
	return state->folder;
}

char *state_path(const struct state *state, const char *name)
{
	return joined(state->folder, name);
}

int state_write_run(struct state *state, struct edged_slice json, struct err *err)
{
	CLEANUP(free_charp) char *path = joined(state->folder, "run.json");
	CLEANUP(free_charp) char *fresh = joined(state->folder, "run.json.new");
	if (!path || !fresh)
		return -ENOMEM;
	CLEANUP(close_fdp) int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, json.ptr, json.len) != (ssize_t)json.len || rename(fresh, path))
		return err_set(err, errno ? -errno : -EIO, "%s: cannot write: %s", path, strerror(errno));
	return 0;
}

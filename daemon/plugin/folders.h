/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin folders and what changes in them (inotify). A file is told of when it was closed after writing
 * or moved in, never while it is being written. What comes in one turn of the loop is told together, files
 * that have gone first, so that a file that was renamed stops before it starts.
 */
#ifndef PLUGIN_FOLDERS_H
#define PLUGIN_FOLDERS_H

#include <stdbool.h>
#include "base/err.h"
#include "io/loop.h"

enum folder_event {
	FOLDER_SEEN,    /* there is a file, which may be known */
	FOLDER_WRITTEN, /* there is a new or changed file */
	FOLDER_TOUCHED, /* owner or mode changed, not the bytes */
	FOLDER_GONE,    /* there is none any more */
};

struct folders;

/* `told` gets the folder as it was given to folders_add() (same pointer each time) and the file's name. With
 * FOLDER_GONE the name may be NULL: any file of that folder may have gone. */
EDGED_MUST_CHECK int folders_new(struct loop *loop,
        void (*told)(void *arg, const char *folder, const char *file, enum folder_event event), void *arg,
        struct folders **ret);
void folders_free(struct folders *folders);
/* -ENOENT, -ENOTDIR, ...; `create` makes a missing one (0755). Tells of what is in it already, in order of
 * names. */
EDGED_MUST_CHECK int folders_add(struct folders *folders, const char *path, bool create, struct err *err);
/* Tells of changes from now on, those since folders_add() included. */
EDGED_MUST_CHECK int folders_watch(struct folders *folders);

#endif

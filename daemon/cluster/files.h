/* SPDX-License-Identifier: Apache-2.0 */
/* Small private files that are replaced as a whole. */
#ifndef CLUSTER_FILES_H
#define CLUSTER_FILES_H

#include "base/buf.h"
#include "base/err.h"

enum { FILE_LIMIT = 256 * 1024 /* bytes; no file here comes near */ };

/* Makes the folder (mode 0700) when it is not there. */
EDGED_MUST_CHECK int folder_make(const char *folder, struct err *err);
/* Appends the file to ret. -ENOENT without a sentence; -EFBIG beyond ret->limit; others with a sentence. */
EDGED_MUST_CHECK int file_read(const char *folder, const char *name, struct buf *ret, struct err *err);
/* Mode 0600; on return it is on the disk, whole; after a power cut there is the old one or the new one. */
EDGED_MUST_CHECK int file_replace(
        const char *folder, const char *name, struct edged_slice content, struct err *err);

/* It is not needed any more; no error when it is not there. */
void file_remove(const char *folder, const char *name);

/* For buffers that held secrets: overwrites, then buf_fini(). */
void buf_wipe(struct buf *buf);

#endif

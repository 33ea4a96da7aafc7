/* SPDX-License-Identifier: Apache-2.0 */
/* Files of SQLite that fail on request, in the place of SQLite's own. */
#ifndef TESTS_FAULTY_VFS_H
#define TESTS_FAULTY_VFS_H

enum fault { FAULT_NONE, FAULT_SYNC, FAULT_WRITE, FAULT_READ, FAULT_TRUNCATE, FAULT_FULL };

void faulty_vfs_register(void); /* connections opened from now on use it; aborts when that fails */
void faulty_vfs_unregister(void);
/* Calls `nth` (from 1) to `nth + how_many - 1` of the kind from now on fail. FAULT_FULL: of writes, with a full disk. */
void faulty_vfs_fail(enum fault kind, unsigned nth, unsigned how_many);
unsigned faulty_vfs_calls(void); /* of the kind, since faulty_vfs_fail() */

#endif

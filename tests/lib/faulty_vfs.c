/* SPDX-License-Identifier: Apache-2.0 */
#include "faulty_vfs.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* SQLite's own file follows in the same memory. */
struct faulty_file {
	sqlite3_file base;
	sqlite3_file *real;
};

static sqlite3_vfs faulty, *real_vfs;
static atomic_int failing;
static atomic_uint calls, first, last;

void faulty_vfs_fail(enum fault kind, unsigned nth, unsigned how_many)
{
	atomic_store(&failing, FAULT_NONE);
	atomic_store(&calls, 0);
	atomic_store(&first, nth);
	atomic_store(&last, nth + how_many - 1);
	atomic_store(&failing, kind);
}

unsigned faulty_vfs_calls(void)
{
	return atomic_load(&calls);
}

static bool fails(enum fault kind)
{
	if ((enum fault)atomic_load(&failing) != kind)
		return false;
	unsigned call = atomic_fetch_add(&calls, 1) + 1;
	return call >= atomic_load(&first) && call <= atomic_load(&last);
}

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct faulty_file *)(void *)file)->real;
}

static int file_close(sqlite3_file *file)
{
	sqlite3_file *real = real_of(file);
	return real->pMethods ? real->pMethods->xClose(real) : SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *bytes, int n, sqlite3_int64 at)
{
	sqlite3_file *real = real_of(file);
	return fails(FAULT_READ) ? SQLITE_IOERR_READ : real->pMethods->xRead(real, bytes, n, at);
}

static int file_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at)
{
	sqlite3_file *real = real_of(file);
	if (fails(FAULT_FULL))
		return SQLITE_FULL;
	if (!fails(FAULT_WRITE))
		return real->pMethods->xWrite(real, bytes, n, at);
	/* A failed write may have written a part. */
	real->pMethods->xWrite(real, bytes, n / 2, at);
	return SQLITE_IOERR_WRITE;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	sqlite3_file *real = real_of(file);
	return fails(FAULT_TRUNCATE) ? SQLITE_IOERR_TRUNCATE : real->pMethods->xTruncate(real, size);
}

static int file_sync(sqlite3_file *file, int flags)
{
	sqlite3_file *real = real_of(file);
	return fails(FAULT_SYNC) ? SQLITE_IOERR_FSYNC : real->pMethods->xSync(real, flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int file_lock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_reserved(sqlite3_file *file, int *ret)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int file_sector(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_device(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

/* Version 1 of the methods: without shared memory, as exclusive locking needs none. */
static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_device,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct faulty_file *own = (struct faulty_file *)(void *)file;
	(void)vfs;
	own->base.pMethods = NULL;
	own->real = (sqlite3_file *)(void *)(own + 1);
	int code = real_vfs->xOpen(real_vfs, name, own->real, flags, ret_flags);
	if (own->real->pMethods)
		own->base.pMethods = &methods;
	return code;
}

void faulty_vfs_register(void)
{
	real_vfs = sqlite3_vfs_find(NULL);
	if (!real_vfs)
		abort();
	faulty = *real_vfs;
	faulty.zName = "faulty";
	faulty.szOsFile += (int)sizeof(struct faulty_file);
	faulty.xOpen = vfs_open;
	if (sqlite3_vfs_register(&faulty, 1) != SQLITE_OK)
		abort();
}

void faulty_vfs_unregister(void)
{
	sqlite3_vfs_unregister(&faulty);
	sqlite3_vfs_register(real_vfs, 1);
}

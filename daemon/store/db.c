/* SPDX-License-Identifier: Apache-2.0 */
#include "db.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define APPLICATION_ID 0x65646764 /* "edgd", in the header of the file: tells our files from others */
#define FORMAT         1          /* of the tables below */

enum statement { BEGIN, COMMIT, ROLLBACK, TABLE_FIND, TABLE_ADD, PUT, DEL, GET, SCAN, SCAN_TO, STATEMENTS };

static const char *const statement_sql[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[TABLE_FIND] = "SELECT id FROM tables WHERE name = ?1",
	[TABLE_ADD] = "INSERT INTO tables(name) VALUES(?1)",
	[PUT] = ("INSERT INTO rows(tbl, key, value) VALUES(?1, ?2, ?3) "
	         "ON CONFLICT DO UPDATE SET value = excluded.value"),
	[DEL] = "DELETE FROM rows WHERE tbl = ?1 AND key = ?2",
	[GET] = "SELECT value FROM rows WHERE tbl = ?1 AND key = ?2",
	[SCAN] = "SELECT key, value FROM rows WHERE tbl = ?1 AND key >= ?2 ORDER BY key",
	[SCAN_TO] = "SELECT key, value FROM rows WHERE tbl = ?1 AND key >= ?2 AND key < ?3 ORDER BY key",
};

struct db {
	char *path;
	size_t cache_bytes;
	sqlite3 *sqlite; /* NULL: could not be opened again */
	sqlite3_stmt *statements[STATEMENTS];
	sqlite3_stmt *scan; /* the one that db_scan() began */
	unsigned generation;
	unsigned log_pages;
	bool broken; /* an I/O error was seen: open again before any other use */
};

static bool damaged(int code)
{
	return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}

static bool means_full(int cause)
{
	return cause == ENOSPC || cause == EDQUOT || cause == EFBIG;
}

/* The errno behind an I/O error is kept by the file it happened to, the database or its log. */
static bool disk_full(struct db *db)
{
	int cause = 0;
	sqlite3_file *log = NULL;
	if (means_full(sqlite3_system_errno(db->sqlite)))
		return true;
	sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_LAST_ERRNO, &cause);
	if (means_full(cause))
		return true;
	cause = 0;
	sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
	if (log && log->pMethods)
		log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &cause);
	return means_full(cause);
}

/* Turns the result of SQLite into ours, and remembers when the connection must not be used any more. */
static int judge(struct db *db, int code)
{
	if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW)
		return 0;
	if (damaged(code))
		return -EBADMSG;
	if (code == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM)
		return -ENOMEM;
	if ((code & 0xff) == SQLITE_FULL)
		return -ENOSPC;
	db->broken = true;
	return disk_full(db) ? -ENOSPC : -EIO;
}

static int count_log(void *arg, sqlite3 *sqlite, const char *name, int pages)
{
	struct db *db = arg;
	(void)sqlite;
	(void)name;
	db->log_pages = (unsigned)pages;
	return SQLITE_OK;
}

static void disconnect(struct db *db)
{
	for (size_t i = 0; i < STATEMENTS; i++) {
		sqlite3_finalize(db->statements[i]);
		db->statements[i] = NULL;
	}
	/* Closing brings the log into the file and removes it. */
	sqlite3_close(db->sqlite);
	db->sqlite = NULL;
	db->scan = NULL;
	db->log_pages = 0;
	db->generation++;
}

static int read_integer(sqlite3 *sqlite, const char *sql, int64_t *ret)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		*ret = sqlite3_column_int64(statement, 0);
		code = SQLITE_OK;
	}
	sqlite3_finalize(statement);
	return code;
}

static int make_tables(sqlite3 *sqlite)
{
	char sql[512];
	/* WITHOUT ROWID: rows live in the tree of their key, so a write touches one tree, and a scan reads in
	 * order. */
	snprintf(sql, sizeof(sql),
	        "BEGIN IMMEDIATE;"
	        "CREATE TABLE tables(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
	        "CREATE TABLE rows(tbl INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY "
	        "KEY(tbl, key))"
	        " WITHOUT ROWID;"
	        "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
	        APPLICATION_ID, FORMAT);
	return sqlite3_exec(sqlite, sql, NULL, NULL, NULL);
}

/* An existing file must be ours, a new one gets its mark and tables. A SQLite code, or SQLITE_MISMATCH: not
 * ours. */
static int check_format(sqlite3 *sqlite)
{
	int64_t id = 0, format = 0, schema = 0;
	int code = read_integer(sqlite, "PRAGMA application_id", &id);
	if (code == SQLITE_OK)
		code = read_integer(sqlite, "PRAGMA user_version", &format);
	if (code == SQLITE_OK)
		code = read_integer(sqlite, "SELECT count(*) FROM sqlite_schema", &schema);
	if (code != SQLITE_OK)
		return code;
	if (id == 0 && format == 0 && schema == 0)
		return make_tables(sqlite);
	return id == APPLICATION_ID && format == FORMAT ? SQLITE_OK : SQLITE_MISMATCH;
}

static int set_up(struct db *db)
{
	char sql[512];
	/* One process, one connection: exclusive locking needs no shared memory file and fewer system calls.
	 */
	snprintf(sql, sizeof(sql),
	        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = 0; PRAGMA cell_size_check = 1;"
	        "PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -%zu;"
	        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304",
	        db->cache_bytes / 1024 + 1);
	int code = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = check_format(db->sqlite);
	if (code != SQLITE_OK)
		return code;
	/* A header that asks for a newer SQLite: as nothing newer has written it, a bit of it is wrong. */
	if (sqlite3_db_readonly(db->sqlite, NULL))
		return SQLITE_NOTADB;
	sqlite3_wal_hook(db->sqlite, count_log, db); /* takes the place of automatic checkpoints */
	for (size_t i = 0; i < STATEMENTS && code == SQLITE_OK; i++)
		code = sqlite3_prepare_v3(db->sqlite, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
		        &db->statements[i], NULL);
	/* The file bears our mark, but its tables are not there. */
	return code == SQLITE_ERROR ? SQLITE_CORRUPT : code;
}

/* A SQLite code; db->sqlite is there afterwards only when it is SQLITE_OK, *ret_cause gets the errno behind a
 * failure. */
static int connect_file(struct db *db, int *ret_cause)
{
	int code = sqlite3_open_v2(db->path, &db->sqlite,
	        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code == SQLITE_OK) {
		sqlite3_extended_result_codes(db->sqlite, 1);
		sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_LOOKASIDE, NULL, 128, 64);
		sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		code = set_up(db);
	}
	*ret_cause = code == SQLITE_OK || !db->sqlite ? 0 : sqlite3_system_errno(db->sqlite);
	if (code != SQLITE_OK) {
		/* A damaged file is kept as it was found. */
		if (db->sqlite && damaged(code))
			sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		disconnect(db);
	}
	db->broken = code != SQLITE_OK;
	return code;
}

static void sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(free_charp) char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	CLEANUP(close_fdp) int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd >= 0 && fsync(fd) < 0)
		log_warning("store", "cannot sync the folder of %s: %s", path, strerror(errno));
}

static int move_file(const char *from, const char *to, const char *suffix)
{
	char a[4096], b[4096];
	if (snprintf(a, sizeof(a), "%s%s", from, suffix) >= (int)sizeof(a) ||
	        snprintf(b, sizeof(b), "%s%s", to, suffix) >= (int)sizeof(b))
		return -ENAMETOOLONG;
	return rename(a, b) < 0 && errno != ENOENT ? -errno : 0;
}

/* Moves the file and what belongs to it to a name that is free. */
static int set_aside(const char *path)
{
	time_t now = time(NULL);
	struct tm tm;
	gmtime_r(&now, &tm);
	char stamp[32], to[4096];
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &tm);
	struct stat st;
	for (int n = 0; n < 1000; n++) {
		int len = n ? snprintf(to, sizeof(to), "%s.damaged-%s-%d", path, stamp, n)
		            : snprintf(to, sizeof(to), "%s.damaged-%s", path, stamp);
		if (len < 0 || len >= (int)sizeof(to))
			return -ENAMETOOLONG;
		if (lstat(to, &st) < 0)
			break;
	}
	int r = move_file(path, to, "-wal");
	if (!r)
		r = move_file(path, to, "-shm");
	if (!r)
		r = move_file(path, to, "");
	sync_folder(path);
	if (r)
		log_error("store", "%s is damaged, and cannot be moved aside: %s", path, strerror(-r));
	else
		log_error("store", "%s is damaged: it was moved to %s, and an empty one takes its place",
		        path, to);
	return r;
}

/* The tables of a new file, without a single sync: nobody sees the file before it is complete. */
static int make_unsynced(const char *path)
{
	sqlite3 *sqlite = NULL;
	int code = sqlite3_open_v2(path, &sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_exec(sqlite, "PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE", NULL,
		        NULL, NULL);
	if (code == SQLITE_OK)
		code = make_tables(sqlite);
	if (code == SQLITE_OK)
		code = sqlite3_exec(sqlite, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
	int closed = sqlite3_close(sqlite);
	return code == SQLITE_OK ? closed : code;
}

/* Made beside its place, synced and moved there: two syncs instead of eight, and a power cut leaves all or nothing. */
static int make_file(const char *path, struct err *err)
{
	char fresh[4096];
	if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
		return err_set(err, -ENAMETOOLONG, "the name %s is too long", path);
	if (unlink(fresh) < 0 && errno != ENOENT)
		return err_set(err, -errno, "cannot remove %s: %s", fresh, strerror(errno));
	CLEANUP(close_fdp) int fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(err, -errno, "cannot make %s: %s", fresh, strerror(errno));
	int code = make_unsynced(fresh);
	if (code != SQLITE_OK) {
		int r = (code & 0xff) == SQLITE_FULL    ? -ENOSPC
		        : (code & 0xff) == SQLITE_NOMEM ? -ENOMEM
		                                        : -EIO;
		unlink(fresh);
		return err_set(err, r, "cannot make %s: %s", fresh, sqlite3_errstr(code));
	}
	if (fsync(fd) < 0 || rename(fresh, path) < 0)
		return err_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
	sync_folder(path);
	return 0;
}

static int prepare_file(const char *path, struct err *err)
{
	struct stat st;
	if (lstat(path, &st) < 0 && errno == ENOENT)
		return make_file(path, err);
	CLEANUP(close_fdp) int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return err_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s is not a regular file", path);
	if ((st.st_mode & 077) && fchmod(fd, 0600) < 0)
		return err_set(err, -errno, "others may read %s, and its mode cannot be set to 0600: %s",
		        path, strerror(errno));
	return 0;
}

static int open_error(struct db *db, int code, int cause, struct err *err)
{
	if (code == SQLITE_MISMATCH)
		return err_set(err, -EINVAL,
		        "%s was made by another program or by a newer version of this one", db->path);
	if ((code & 0xff) == SQLITE_BUSY)
		return err_set(err, -EBUSY, "%s is in use by another program", db->path);
	if (code == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM)
		return err_set(err, -ENOMEM, "no memory to open %s", db->path);
	int r = (code & 0xff) == SQLITE_FULL || means_full(cause) ? -ENOSPC : -EIO;
	return err_set(err, r, "cannot open %s: %s%s%s", db->path, sqlite3_errstr(code), cause ? ": " : "",
	        cause ? strerror(cause) : "");
}

/* Opens what is there, or moves it aside and begins anew when it is damaged. */
static int open_or_replace(struct db *db, bool *ret_damaged, struct err *err)
{
	int cause, r = prepare_file(db->path, err);
	if (r)
		return r;
	int code = connect_file(db, &cause);
	bool bad = damaged(code);
	if (bad) {
		r = set_aside(db->path);
		if (r)
			return err_set(err, r, "%s is damaged, and cannot be moved aside: %s", db->path,
			        strerror(-r));
		r = prepare_file(db->path, err);
		if (r)
			return r;
		code = connect_file(db, &cause);
	}
	if (code != SQLITE_OK)
		return open_error(db, code, cause, err);
	if (ret_damaged && bad)
		*ret_damaged = true;
	return 0;
}

int db_open(const char *path, size_t cache_bytes, struct db **ret, bool *ret_damaged, struct err *err)
{
	struct db *db = calloc(1, sizeof(*db));
	if (!db)
		return err_set(err, -ENOMEM, "no memory to open %s", path);
	db->cache_bytes = cache_bytes;
	db->generation = 1; /* 0 stands for: never looked up */
	db->path = strdup(path);
	int r = db->path ? open_or_replace(db, ret_damaged, err)
	                 : err_set(err, -ENOMEM, "no memory to open %s", path);
	if (r) {
		db_free(db);
		return r;
	}
	*ret = db;
	return 0;
}

void db_free(struct db *db)
{
	if (!db)
		return;
	disconnect(db);
	free(db->path);
	free(db);
}

int db_ready(struct db *db)
{
	if (db->sqlite && !db->broken)
		return 0;
	disconnect(db);
	struct err err;
	int r = open_or_replace(db, NULL, &err);
	if (r)
		log_error("store", "%s", err.text);
	return r;
}

int db_replace(struct db *db)
{
	if (db->sqlite)
		sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	disconnect(db);
	db->broken = true;
	int r = set_aside(db->path);
	return r ? r : db_ready(db);
}

unsigned db_generation(const struct db *db)
{
	return db->generation;
}

static int run(struct db *db, enum statement which)
{
	sqlite3_stmt *statement = db->statements[which];
	int r = judge(db, sqlite3_step(statement));
	sqlite3_reset(statement);
	return r;
}

int db_begin(struct db *db)
{
	return run(db, BEGIN);
}

int db_commit(struct db *db)
{
	return run(db, COMMIT);
}

void db_rollback(struct db *db)
{
	/* SQLite has rolled back by itself after some errors. */
	if (db->sqlite && !sqlite3_get_autocommit(db->sqlite) && run(db, ROLLBACK))
		db->broken = true;
	db->generation++;
}

static void bind_blob(sqlite3_stmt *statement, int i, struct edged_slice bytes)
{
	/* A NULL pointer would be the SQL value NULL, which is not the empty blob. */
	sqlite3_bind_blob64(statement, i, bytes.len ? bytes.ptr : "", bytes.len, SQLITE_STATIC);
}

static struct edged_slice column(sqlite3_stmt *statement, int i)
{
	const void *bytes = sqlite3_column_blob(statement, i);
	return edged_slice(bytes, (size_t)sqlite3_column_bytes(statement, i));
}

int db_table(struct db *db, const char *name, bool create, int64_t *ret)
{
	sqlite3_stmt *find = db->statements[TABLE_FIND];
	sqlite3_bind_text(find, 1, name, -1, SQLITE_STATIC);
	int code = sqlite3_step(find);
	if (code == SQLITE_ROW)
		*ret = sqlite3_column_int64(find, 0);
	int r = judge(db, code);
	sqlite3_reset(find);
	if (r || code == SQLITE_ROW)
		return r;
	if (!create)
		return DB_ABSENT;
	sqlite3_bind_text(db->statements[TABLE_ADD], 1, name, -1, SQLITE_STATIC);
	r = run(db, TABLE_ADD);
	if (!r)
		*ret = sqlite3_last_insert_rowid(db->sqlite);
	return r;
}

int db_put(struct db *db, int64_t table, struct edged_slice key, struct edged_slice value)
{
	sqlite3_stmt *put = db->statements[PUT];
	sqlite3_bind_int64(put, 1, table);
	bind_blob(put, 2, key);
	bind_blob(put, 3, value);
	return run(db, PUT);
}

int db_del(struct db *db, int64_t table, struct edged_slice key)
{
	sqlite3_stmt *del = db->statements[DEL];
	sqlite3_bind_int64(del, 1, table);
	bind_blob(del, 2, key);
	return run(db, DEL);
}

int db_get(struct db *db, int64_t table, struct edged_slice key, struct edged_slice *ret)
{
	sqlite3_stmt *get = db->statements[GET];
	sqlite3_bind_int64(get, 1, table);
	bind_blob(get, 2, key);
	int code = sqlite3_step(get);
	if (code == SQLITE_ROW) {
		struct edged_slice value = column(get, 0);
		if (value.ptr || !value.len) {
			*ret = value;
			return 0;
		}
		code = sqlite3_errcode(db->sqlite); /* a value of many pages is read only now */
	}
	int r = judge(db, code);
	sqlite3_reset(get);
	return r ? r : DB_ABSENT;
}

void db_get_end(struct db *db)
{
	sqlite3_reset(db->statements[GET]);
}

void db_scan(struct db *db, int64_t table, struct edged_slice from, struct edged_slice to)
{
	db->scan = db->statements[to.len ? SCAN_TO : SCAN];
	sqlite3_bind_int64(db->scan, 1, table);
	bind_blob(db->scan, 2, from);
	if (to.len)
		bind_blob(db->scan, 3, to);
}

int db_scan_next(struct db *db, struct edged_slice *ret_key, struct edged_slice *ret_value)
{
	int code = sqlite3_step(db->scan);
	if (code == SQLITE_ROW) {
		*ret_key = column(db->scan, 0);
		*ret_value = column(db->scan, 1);
		if (ret_key->ptr && (ret_value->ptr || !ret_value->len))
			return 0;
		code = sqlite3_errcode(db->sqlite);
	}
	int r = judge(db, code);
	return r ? r : DB_ABSENT;
}

void db_scan_end(struct db *db)
{
	if (db->scan)
		sqlite3_reset(db->scan);
	db->scan = NULL;
}

unsigned db_log_pages(const struct db *db)
{
	return db->log_pages;
}

static int checkpoint(struct db *db, int how)
{
	if (!db->sqlite || db->broken)
		return -EIO;
	int r = judge(db, sqlite3_wal_checkpoint_v2(db->sqlite, NULL, how, NULL, NULL));
	if (!r)
		db->log_pages = 0;
	return r;
}

int db_checkpoint(struct db *db)
{
	return checkpoint(db, SQLITE_CHECKPOINT_PASSIVE);
}

int db_make_room(struct db *db)
{
	return checkpoint(db, SQLITE_CHECKPOINT_TRUNCATE);
}

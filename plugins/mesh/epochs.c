/* SPDX-License-Identifier: Apache-2.0 */
#include "epochs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "../broker/wire.h"

static const char table[] = "epochs";

static struct epoch_row *find(const struct mesh *mesh, const char *id)
{
	struct epoch_row *row = mesh->epochs;
	while (row && strcmp(row->id, id) != 0)
		row = row->next;
	return row;
}

static struct epoch_row *add(struct mesh *mesh, struct edged_slice id, uint64_t epoch)
{
	struct epoch_row *row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	memcpy(row->id, id.ptr, id.len);
	row->epoch = epoch;
	row->next = mesh->epochs;
	mesh->epochs = row;
	return row;
}

/* When the disk is full the old number stays there: at worst packet ids are forgotten once more. */
static int write_down(const struct mesh *mesh, const char *id, uint64_t epoch)
{
	uint8_t bytes[8];
	struct writer w = writer(bytes, sizeof(bytes));
	write_u64(&w, epoch);
	int r = mesh->store->put(mesh->host, table, edged_str(id), edged_slice(bytes, sizeof(bytes)));
	return r ? r : mesh->store->commit(mesh->host, NULL, NULL);
}

/* --- the start ------------------------------------------------------------------------------------------------------------- */

static int read_row(void *arg, struct edged_slice key, struct edged_slice value)
{
	struct mesh *mesh = arg;
	struct reader r = reader(value.ptr, value.len);
	uint64_t epoch = read_u64(&r);
	if (r.failed || key.len > MESH_ID)
		return 0;
	return add(mesh, key, epoch) ? 0 : -ENOMEM;
}

static int make_ours(struct mesh *mesh)
{
	const struct epoch_row *row = find(mesh, mesh->id);
	if (row) {
		mesh->epoch = row->epoch;
		return 0;
	}
	if (getrandom(&mesh->epoch, sizeof(mesh->epoch), 0) != sizeof(mesh->epoch))
		return -EIO;
	return write_down(mesh, mesh->id, mesh->epoch);
}

static void read_end(void *arg, int result)
{
	struct mesh *mesh = arg;
	mesh->loaded(mesh, result ? result : make_ours(mesh));
}

int epochs_load(struct mesh *mesh)
{
	const struct edged_slice all = { NULL, 0 };
	return mesh->store->scan(mesh->host, table, all, all, 0, read_row, read_end, mesh);
}

uint64_t epochs_ours(const struct mesh *mesh, edged_handle session)
{
	struct edged_session_figures f = { .struct_size = sizeof(f) };
	(void)mesh->session->figures(mesh->session->ctx, session, &f);
	return mesh->epoch ^ f.number;
}

/* --- later ----------------------------------------------------------------------------------------------------------------- */

bool epochs_same(struct mesh *mesh, const char *id, uint64_t epoch)
{
	struct epoch_row *row = find(mesh, id);
	if (row && row->epoch == epoch)
		return true;
	bool known = row != NULL;
	if (!row)
		row = add(mesh, edged_str(id), epoch);
	if (row)
		row->epoch = epoch;
	(void)write_down(mesh, id, epoch);
	return !known;
}

void epochs_forget(struct mesh *mesh, const char *id)
{
	for (struct epoch_row **at = &mesh->epochs; *at; at = &(*at)->next) {
		struct epoch_row *row = *at;
		if (strcmp(row->id, id) != 0)
			continue;
		*at = row->next;
		free(row);
		break;
	}
	int r = mesh->store->del(mesh->host, table, edged_str(id));
	if (!r)
		r = mesh->store->commit(mesh->host, NULL, NULL);
	if (r)
		mesh->log->log(mesh->host, EDGED_WARNING, "node %.8s is not forgotten on the disk: %s", id,
		        strerror(-r));
}

void epochs_free(struct mesh *mesh)
{
	for (struct epoch_row *row = mesh->epochs, *next; row; row = next) {
		next = row->next;
		free(row);
	}
}

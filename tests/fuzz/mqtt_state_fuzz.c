/* layers: plugins/broker testlib base */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's store, read back when some of it is damaged. Clients leave sessions, subscriptions, queues and retained messages of
 * all kinds behind, the daemon is killed, and the input changes rows and records of the disk, takes some away and makes others.
 * Whatever it is: the broker starts, serves, and starts again; what is not damaged beside it is served.
 */
#include <stdlib.h>
#include "../../plugins/broker/codec.h"
#include "fake_disk.h"
#include "fake_host.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern const struct edged_plugin edged_plugin_v1;

struct world {
	const uint8_t *at, *end;
	struct fake_disk *disk;
	struct fake_host *host;
};

static uint8_t next(struct world *w)
{
	return w->at < w->end ? *w->at++ : 0;
}

/* --- what is on the disk before ---------------------------------------------------------------------------------------------------- */

#define SAY(peer, bytes) fake_send(peer, bytes, sizeof(bytes) - 1, 0)
#define JOIN_5(id)       "\x10\x13\0\4MQTT\5\0\0\0\5\x11\xff\xff\xff\xff\0\1" id
#define JOIN_5_WILL(id)  "\x10\x1a\0\4MQTT\5\x0c\0\0\5\x11\xff\xff\xff\xff\0\1" id "\0\0\1w\0\1x"
#define JOIN_4(id)       "\x10\x0d\0\4MQTT\4\0\0\0\0\1" id

static void boot(struct world *w, unsigned loops)
{
	w->host = fake_host_new(&edged_plugin_v1, w->disk, loops, NULL);
	MUST(w->host);
	fake_auto_commit(w->host, true);
}

static struct fake_peer *join(struct world *w, unsigned loop, const char *bytes, size_t n)
{
	struct fake_peer *peer = fake_connect(w->host, loop, true);
	fake_send(peer, bytes, n, 0);
	return peer;
}
#define JOIN(w, loop, bytes) join(w, loop, bytes, sizeof(bytes) - 1)

static void furnish(struct world *w)
{
	boot(w, 1);
	struct fake_peer *a = JOIN(w, 0, JOIN_5_WILL("a")), *b = JOIN(w, 0, JOIN_4("b"));
	SAY(a, "\x82\x09\0\1\2\x0b\7\0\1#\2\x82\x08\0\2\0\0\2t/\1");
	SAY(b, "\x82\x0f\0\1\0\x0a$share/g/t\1\x82\6\0\2\0\1t\1");
	fake_hang_up(b);
	struct fake_peer *p = JOIN(w, 0, JOIN_5("p"));
	SAY(p, "\x33\x0e\0\1t\0\1\6\x26\0\1k\0\0m1");
	SAY(p, "\x34\x08\0\1t\0\2\0m2\x34\x08\0\1u\0\3\0m3\x62\2\0\3");
	SAY(p, "\x33\x0d\0\1v\0\4\5\2\0\0\xff\xff"
	       "m4");
	SAY(a, "\x50\2\0\2\x40\2\0\1");
	fake_hang_up(p);
	fake_host_free(w->host, false);
}

/* --- damage ---------------------------------------------------------------------------------------------------------------------------- */

static struct row *pick_row(const struct world *w, uint8_t n)
{
	const struct rows *rows = &w->disk->rows;
	return rows->count ? rows->all[n % rows->count] : NULL;
}

/* A row of the same table with as many bytes of the input, under the same key or another one. */
static void write_row(struct world *w, const struct row *like)
{
	uint8_t bytes[300], key[64];
	char table[sizeof(like->table)];
	size_t n = next(w), key_len = like->key_len < sizeof(key) ? like->key_len : sizeof(key);
	memcpy(table, like->table, sizeof(table));
	memcpy(key, like->key, key_len);
	if (key_len)
		key[key_len - 1] ^= next(w);
	for (size_t i = 0; i < n; i++)
		bytes[i] = next(w);
	struct edged_slice value = edged_slice((char *)bytes, n);
	fake_apply(&w->disk->rows, table, edged_slice((char *)key, key_len), &value);
}

static void damage(struct world *w)
{
	uint8_t what = next(w);
	struct row *row = pick_row(w, next(w));
	if (!row)
		return;
	switch (what % 4) {
	case 0:
		if (row->value_len)
			row->value[next(w) % row->value_len] ^= (char)(1 | next(w));
		break;
	case 1:
		row->value_len = row->value_len ? next(w) % row->value_len : 0;
		break;
	case 2:
		fake_apply(&w->disk->rows, row->table, edged_slice(row->key, row->key_len), NULL);
		break;
	case 3:
		write_row(w, row);
		break;
	}
}

/* --- and after --------------------------------------------------------------------------------------------------------------------------- */

static void serve(struct world *w, unsigned loops)
{
	boot(w, loops);
	struct fake_peer *s = JOIN(w, 0, JOIN_5("s"));
	fake_take(s);
	struct fake_peer *a = JOIN(w, loops - 1, JOIN_5("a")), *b = JOIN(w, 0, JOIN_4("b"));
	SAY(a, "\x82\x07\0\x9\0\0\1#\1");
	SAY(b, "\xa2\5\0\x9\0\1t");
	SAY(b, "\x32\6\0\1t\0\x9y");
	JOIN(w, 0, JOIN_5("p"));
	fake_sleep(w->host, 1000);
	fake_take(s);
	SAY(s, "\xc0\0");
	MUST(edged_slice_eq(fake_take(s), edged_slice("\xd0\0", 2)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .at = data, .end = data + size };
	uint8_t how = next(&w);
	w.disk = fake_disk_new();
	furnish(&w);
	for (unsigned i = 0; i < 64 && w.at < w.end; i++)
		damage(&w);
	serve(&w, 1 + how % 3);
	fake_host_free(w.host, how & 4);
	serve(&w, 1);
	fake_host_free(w.host, true);
	fake_disk_free(w.disk);
	return 0;
}

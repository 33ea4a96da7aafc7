/* SPDX-License-Identifier: Apache-2.0 */
#include "io/proxy_door.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "io/deadline.h"

struct waiting {
	struct list link;
	struct proxy_door *door;
	struct proxy_guest guest;
	struct watch *watch;
	struct deadline deadline;
	uint64_t since;
	size_t have;
	uint8_t bytes[PROXY_HEADER_MAX]; /* most headers touch the first page only */
};

struct proxy_door {
	struct loop *loop;
	void (*done)(void *arg, const struct proxy_guest *guest, int result,
	        const struct proxy_header *header, uint64_t waited_ms);
	void *arg;
	struct list waiting;
	uint32_t count;
	struct deadlines deadlines;
};

static void waiting_free(struct waiting *w)
{
	deadline_clear(&w->door->deadlines, &w->deadline);
	watch_free(w->watch);
	list_remove(&w->link);
	w->door->count--;
	free(w);
}

static void end(struct waiting *w, int result, const struct proxy_header *header)
{
	struct proxy_door *door = w->door;
	struct proxy_guest guest = w->guest;
	uint64_t waited = loop_now(door->loop) - w->since;
	waiting_free(w);
	door->done(door->arg, &guest, result, header, waited);
}

static void on_late(struct deadline *deadline)
{
	end(CONTAINER_OF(deadline, struct waiting, deadline), -ETIMEDOUT, NULL);
}

/* Looks at what is there, and takes as much of it as belongs to the header. */
static void on_bytes(void *arg, int what)
{
	(void)what;
	struct waiting *w = arg;
	struct proxy_header header;
	ssize_t n = recv(w->guest.fd, w->bytes + w->have, sizeof(w->bytes) - w->have, MSG_PEEK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end(w, n ? -errno : -ECONNRESET, NULL);
		return;
	}
	int r = proxy_header_read(w->bytes, w->have + (size_t)n, &header);
	if (r < 0) {
		end(w, r, NULL);
		return;
	}
	size_t wanted = r == PROXY_HEADER_MORE ? (size_t)n : header.len - w->have;
	n = recv(w->guest.fd, w->bytes + w->have, wanted, 0);
	if (n != (ssize_t)wanted)
		end(w, n < 0 ? -errno : -ECONNRESET, NULL);
	else if (r == 0)
		end(w, 0, &header);
	else
		w->have += wanted;
}

int proxy_door_wait(struct proxy_door *door, const struct proxy_guest *guest, uint64_t ms)
{
	struct waiting *w = malloc(sizeof(*w)); /* the buffer costs memory only as far as it is used */
	if (!w || deadlines_reserve(&door->deadlines, door->count + 1)) {
		free(w);
		return -ENOMEM;
	}
	w->door = door;
	w->guest = *guest;
	w->deadline = (struct deadline){ 0 };
	w->since = loop_now(door->loop);
	w->have = 0;
	int r = watch_new(door->loop, guest->fd, WATCH_READ, on_bytes, w, &w->watch);
	if (r) {
		free(w);
		return r;
	}
	list_append(&door->waiting, &w->link);
	door->count++;
	deadline_set(&door->deadlines, &w->deadline, w->since + ms);
	return 0;
}

int proxy_door_new(struct loop *loop,
        void (*done)(void *arg, const struct proxy_guest *guest, int result,
                const struct proxy_header *header, uint64_t waited_ms),
        void *arg, struct proxy_door **ret)
{
	struct proxy_door *door = calloc(1, sizeof(*door));
	if (!door)
		return -ENOMEM;
	door->loop = loop;
	door->done = done;
	door->arg = arg;
	list_init(&door->waiting);
	int r = deadlines_init(&door->deadlines, loop, on_late);
	if (r)
		free(door);
	else
		*ret = door;
	return r;
}

void proxy_door_free(struct proxy_door *door, void (*gone)(struct stream_owner *owner, int reason))
{
	if (!door)
		return;
	list_each_safe (node, &door->waiting) {
		struct waiting *w = list_entry(node, struct waiting, link);
		close(w->guest.fd);
		gone(w->guest.owner, -ECANCELED);
		waiting_free(w);
	}
	deadlines_fini(&door->deadlines);
	free(door);
}

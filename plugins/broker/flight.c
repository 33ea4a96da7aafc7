/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "flight.h"

struct flight *flight_new(void)
{
	return calloc(1, sizeof(struct flight));
}

void entry_fini(struct entry *entry)
{
	message_unref(entry->message);
	free(entry->more_ids);
	*entry = (struct entry){ 0 };
}

void flight_free(struct flight *flight)
{
	if (!flight)
		return;
	for (uint32_t i = 0; i < flight->count; i++)
		entry_fini(flight_at(flight, i));
	free(flight->ring);
	free(flight->incoming);
	free(flight);
}

static int grow(struct flight *flight)
{
	uint32_t size = flight->size ? flight->size * 2 : 4;
	struct entry *ring = malloc(size * sizeof(struct entry));
	if (!ring)
		return -ENOMEM;
	for (uint32_t i = 0; i < flight->count; i++)
		ring[i] = *flight_at(flight, i);
	free(flight->ring);
	flight->ring = ring;
	flight->size = size;
	flight->head = 0;
	return 0;
}

struct entry *flight_push(struct flight *flight)
{
	if (flight->count == flight->size && grow(flight))
		return NULL;
	struct entry *entry = flight_at(flight, flight->count++);
	*entry = (struct entry){ 0 };
	return entry;
}

/* What was sent ahead of stored entries is like the others once those are gone. */
static void close_gap(struct flight *flight)
{
	if (flight->stored)
		return;
	flight->sent += flight->ahead;
	flight->ahead = 0;
}

void flight_next_stored(struct flight *flight)
{
	flight->stored--;
	flight->sent++;
	close_gap(flight);
}

static void remove_unsent(struct flight *flight, uint32_t i)
{
	if (i < flight->sent + flight->stored)
		flight->stored--;
	else if (flight_is_sent(flight, i))
		flight->ahead--;
	close_gap(flight);
}

void flight_remove(struct flight *flight, uint32_t i)
{
	entry_fini(flight_at(flight, i));
	for (uint32_t k = i; k > 0; k--)
		*flight_at(flight, k) = *flight_at(flight, k - 1);
	flight->head = (flight->head + 1) & (flight->size - 1);
	flight->count--;
	if (i < flight->sent)
		flight->sent--;
	else
		remove_unsent(flight, i);
	if (flight->count == 0) { /* an idle session keeps no ring */
		free(flight->ring);
		flight->ring = NULL;
		flight->size = flight->head = 0;
	}
}

int64_t flight_find(const struct flight *flight, uint16_t id)
{
	for (uint32_t i = 0; i < flight->sent; i++)
		if (flight_at(flight, i)->id == id)
			return i;
	for (uint32_t n = 0, i = flight->sent + flight->stored; n < flight->ahead; n++, i++)
		if (flight_at(flight, i)->id == id)
			return i;
	return -1;
}

/* How many ids after last_id come before the next one in use. */
static void look_ahead(struct flight *flight)
{
	uint16_t clear = UINT16_MAX;
	for (uint32_t i = 0; i < flight->count; i++) {
		uint16_t id = flight_at(flight, i)->id;
		uint16_t ahead = (uint16_t)(id - flight->last_id - 1);
		if (id && ahead < clear)
			clear = ahead;
	}
	flight->clear = clear;
}

uint16_t flight_take_id(struct flight *flight)
{
	for (uint32_t tries = 0; tries <= UINT16_MAX; tries++) {
		if (flight->clear == 0)
			look_ahead(flight);
		flight->last_id++;
		if (flight->clear == 0)
			continue; /* the next one is in use */
		flight->clear--;
		if (flight->last_id)
			return flight->last_id;
	}
	return 0;
}

void flight_rewind(struct flight *flight)
{
	flight->sent = flight->stored = flight->ahead = 0;
}

struct incoming *flight_incoming(const struct flight *flight, uint16_t id)
{
	for (uint16_t i = 0; i < flight->incoming_count; i++)
		if (flight->incoming[i].id == id)
			return &flight->incoming[i];
	return NULL;
}

int flight_add_incoming(struct flight *flight, uint16_t id, enum incoming_kept kept)
{
	if (flight->incoming_count == flight->incoming_size) {
		uint16_t size = (uint16_t)(flight->incoming_size ? flight->incoming_size * 2 : 8);
		struct incoming *all = realloc(flight->incoming, size * sizeof(*all));
		if (!all)
			return -ENOMEM;
		flight->incoming = all;
		flight->incoming_size = size;
	}
	flight->incoming[flight->incoming_count++] = (struct incoming){ id, (uint8_t)kept, false };
	return 0;
}

bool flight_drop_incoming(struct flight *flight, uint16_t id)
{
	struct incoming *found = flight_incoming(flight, id);
	if (found)
		*found = flight->incoming[--flight->incoming_count];
	return found != NULL;
}

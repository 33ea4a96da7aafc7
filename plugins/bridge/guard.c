/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include "../broker/props.h"

struct marks marks_read(struct edged_slice props, struct edged_slice here, struct edged_slice remote)
{
	struct marks m = { 0 };
	struct reader r = reader(props.ptr, props.len);
	struct prop p;
	while (prop_next(&r, &p)) {
		if (p.id != PROP_USER || !edged_slice_is(p.bytes, MARK_NAME))
			continue;
		m.last = edged_slice_eq(p.value, here);
		m.here |= m.last;
		m.remote |= remote.len && edged_slice_eq(p.value, remote);
	}
	return m;
}

void marks_write(struct writer *w, struct edged_slice id)
{
	write_u8(w, PROP_USER);
	write_binary(w, edged_str(MARK_NAME));
	write_binary(w, id);
}

/* FNV-1a over both, with a secret start. */
static uint64_t add(uint64_t hash, struct edged_slice bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		hash = (hash ^ (uint8_t)bytes.ptr[i]) * UINT64_C(0x100000001b3);
	return (hash ^ bytes.len) * UINT64_C(0x100000001b3);
}

uint64_t guard_hash(const struct guard *guard, struct edged_slice topic, struct edged_slice payload)
{
	uint64_t hash = add(add(UINT64_C(0xcbf29ce484222325) ^ guard->key, topic), payload);
	return hash ? hash : 1;
}

void guard_note(struct guard *guard, uint64_t hash, uint64_t now)
{
	guard->traces[guard->next++ % GUARD_SIZE] = (struct trace){ hash, now };
}

bool guard_take(struct guard *guard, uint64_t hash, uint64_t now, uint64_t window)
{
	for (uint32_t i = 0; i < GUARD_SIZE; i++) { /* the oldest first */
		struct trace *t = &guard->traces[(guard->next + i) % GUARD_SIZE];
		if (t->hash != hash || now - t->at > window)
			continue;
		t->hash = 0;
		return true;
	}
	return false;
}

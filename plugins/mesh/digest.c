/* SPDX-License-Identifier: Apache-2.0 */
#include "digest.h"

#include <string.h>
#include "hash.h"
#include "mesh.h"

size_t digest_part(struct edged_slice topic)
{
	return hash_add(HASH_START, topic) >> 56;
}

/* Two nodes may have published with the same stamp: then the content counts, of which the beginning does. */
static uint64_t hash_of(const struct edged_session_message *message)
{
	uint8_t bytes[16];
	struct writer w = writer(bytes, sizeof(bytes));
	write_u64(&w, message->stamp);
	write_u64(&w, message->payload.len);
	size_t n = message->payload.len < 64 ? message->payload.len : 64;
	uint64_t hash = hash_add(hash_add(HASH_START, message->topic), edged_slice(bytes, sizeof(bytes)));
	return hash_add(hash, edged_slice(message->payload.ptr, n));
}

static void add_message(void *arg, const struct edged_session_message *message)
{
	struct mesh *m = arg;
	if (topic_travels(&m->settings.travel, message->topic))
		m->digest.parts[digest_part(message->topic)] ^= hash_of(message);
}

/* One with a message that has expired since differs from others': then that part is told once more. */
const struct digest *digest_of_all(struct mesh *m)
{
	const struct edged_session_1 *session = m->session;
	uint64_t version = session->retained_version(session->ctx);
	if (m->digest.made && m->digest.version == version)
		return &m->digest;
	m->digest = (struct digest){ .made = true, .version = version };
	session->retained(session->ctx, edged_slice(NULL, 0), add_message, m);
	m->digest.sum = hash_add(HASH_START, edged_slice(m->digest.parts, sizeof(m->digest.parts)));
	return &m->digest;
}

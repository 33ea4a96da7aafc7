/* SPDX-License-Identifier: Apache-2.0 */
#include "digest.h"

#include <string.h>
#include "hash.h"
#include "mesh.h"

size_t digest_part(struct edged_slice topic)
{
	return hash_add(HASH_START, topic) >> 56;
}

static void add_message(void *arg, const struct edged_session_message *message)
{
	struct mesh *m = arg;
	uint8_t bytes[8];
	struct writer w = writer(bytes, sizeof(bytes));
	write_u64(&w, message->stamp);
	if (topic_travels(&m->settings.travel, message->topic))
		m->digest.parts[digest_part(message->topic)] ^=
		        hash_add(hash_add(HASH_START, message->topic), edged_slice(bytes, sizeof(bytes)));
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

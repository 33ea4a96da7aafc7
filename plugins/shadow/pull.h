/* SPDX-License-Identifier: Apache-2.0 */
/* What another node has: asked for page by page, and told of what changes. Main loop only. */
#ifndef SHADOW_PULL_H
#define SHADOW_PULL_H

#include "peers.h"

/* All that it has from the beginning. */
void pull_begin(struct peer *peer);
void pull_end(struct peer *peer); /* from now on what is known of it grows old */
void pull_page(struct peer *peer, const struct frame *frame);
void pull_have(struct peer *peer, const struct frame *frame);
void pull_copy(struct peer *peer, const struct frame *frame);
/* Since when may the copy differ from what its home has? Its age in seconds. */
int64_t copy_age(const struct peers *peers, const struct other *other);
/* It does not: its home would have told. */
bool copy_is_current(const struct peers *peers, const struct other *other);

#endif

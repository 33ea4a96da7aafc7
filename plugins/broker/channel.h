/* SPDX-License-Identifier: Apache-2.0 */
/* "edged.channel/1": joins plugins that say things to other nodes with the one that brings them there. Main loop only. */
#ifndef BROKER_CHANNEL_H
#define BROKER_CHANNEL_H

#include "edged/cap_channel.h"

struct channels;

EDGED_MUST_CHECK int channels_new(struct channels **ret); /* -ENOMEM */
void channels_free(struct channels *channels);
const struct edged_channel_1 *channels_capability(const struct channels *channels);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Offers something, but has no offer(). */
#include "edged/plugin.h"

static const char *const offers[] = { "test.b/1", NULL };

static int create(struct edged_host *host, void **ret_self)
{
	*ret_self = host;
	return 0;
}

EDGED_PLUGIN(.name = "no-offer", .version = "1", .offers = offers, .create = create);

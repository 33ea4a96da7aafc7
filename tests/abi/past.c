/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin from the past: built with the headers of ABI 1.0 as they were published (tests/abi/v1.0). */
#include <errno.h>
#include "edged/plugin.h"
#include "edged/cap_log.h"

#if EDGED_ABI_MINOR != 0
#error "these are not the headers of ABI 1.0"
#endif

static int create(struct edged_host *host, void **ret_self)
{
	const struct edged_log_1 *log = edged_cap(host, EDGED_LOG_1);
	log->log(host, EDGED_INFO, "greetings from %s", "the past");
	*ret_self = host;
	return 0;
}

static int serve(void *self, edged_handle request)
{
	(void)self;
	return request ? -EIO : 0;
}

static const struct edged_route routes[] = { { .method = "GET", .path = "/past/v1", .serve = serve }, { 0 } };
static const struct edged_setting settings[] = {
	{ "years", EDGED_TYPE_INT, "10", 1, 100, NULL, NULL, "How long ago it was" }, { 0 }
};

EDGED_PLUGIN(.name = "past", .version = "0.9", .create = create, .routes = routes, .settings = settings);

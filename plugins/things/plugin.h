/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin as a whole: what its parts share. */
#ifndef THINGS_PLUGIN_H
#define THINGS_PLUGIN_H

#include "edged/cap_http.h"
#include "edged/cap_loop.h"
#include "edged/cap_work.h"
#include "../shadow/gate.h"
#include "authority.h"
#include "registry.h"

enum {
	POLICIES_MAX = 10,
	GROUPS_MAX = 10,
	ATTRIBUTES_MAX = 50
}; /* of one thing, certificate or user (AWS: quotas) */

struct edged_node_1;
struct pairing;

struct things {
	struct edged_host *host;
	const struct edged_log_1 *log;
	const struct edged_http_1 *http;
	const struct edged_loop_1 *loop;
	const struct edged_node_1 *node;
	const struct edged_work_1 *work;
	struct registry *registry;
	struct authority *authority;
	struct gate gate;
	struct pairing *pairing;
	size_t policy_bytes; /* of a document */
};

#endif

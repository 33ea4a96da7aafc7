/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration loaded anew while the daemon runs (SIGHUP). */
#ifndef RELOAD_H
#define RELOAD_H

#include <stdbool.h>

struct args;
struct conf;
struct http_server;
struct listeners;
struct plugins;
struct requests;
struct tls_context;

/* All borrowed. */
struct reload_parts {
	const struct args *args;
	struct conf *conf; /* in effect; changes */
	struct plugins *plugins;
	struct listeners *listeners;
	struct tls_context *tls;
	struct requests *requests;
	struct http_server *http;
};

/* Judges the configuration as it is written now. With an error in it nothing changes. Else what takes effect at a reload
 * does, and the log says which keys did, and which wait for a restart. True: other listeners are open than before. */
bool reload(const struct reload_parts *parts);

#endif

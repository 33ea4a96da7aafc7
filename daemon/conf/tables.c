/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/tables.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include "base/cleanup.h"

#define SECOND 1000
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define KIB    1024
#define MIB    (1024 * KIB)
#define GIB    (1024LL * MIB)

/* clang-format off */
static const struct edged_setting log_table[] = {
	{ "level", EDGED_TYPE_CHOICE, "\"info\"", 0, 0, NULL, "error|warning|notice|info|debug",
		"The least important lines that are logged" },
	{ 0 }
};

static const struct edged_setting net_table[] = {
	{ "listen", EDGED_TYPE_STRINGS, "[\"http=127.0.0.1:8083\", \"mqtt=127.0.0.1:1883\", \"tls=*:8443\"]", 0, 32, NULL, NULL,
		"Where clients connect: PROTOCOL=ADDRESS:PORT each. Protocols are http, mqtt and auto (told apart by the first "
		"bytes), and over TLS https, mqtts and tls (told apart by ALPN); an address may be * for all or unix:/PATH; port 0 "
		"takes a free one. PROTOCOL+proxy is for proxies that begin each connection with a PROXY header (version 1 or 2), "
		"see net.proxies. Other nodes come by tls; when that is open on loopback only, nodes of other hosts are neither "
		"looked for nor told of this one" },
	{ "proxies", EDGED_TYPE_STRINGS, "[]", 0, 256, NULL, NULL,
		"Addresses and networks (10.0.0.0/8) of the proxies that may connect to listeners with +proxy, and are believed "
		"when they say who the client is; at a Unix socket it is root and the user of edged" },
	{ "control", EDGED_TYPE_STRING, "\"\"", 0, 107, NULL, NULL,
		"Path of the Unix socket that edgectl talks to; empty means edged.sock in the state folder" },
	{ "loops", EDGED_TYPE_INT, "1", 1, 64, "threads", NULL,
		"Threads that carry connections; 1 is best on small machines" },
	{ "connections", EDGED_TYPE_INT, "1000", 1, 1000000, "connections", NULL,
		"Most connections at once, of all listeners together" },
	{ "connections_per_source", EDGED_TYPE_INT, "32", 1, 1000000, "connections", NULL,
		"Most connections at once from one address (IPv6: one /64 network); loopback is exempt" },
	{ "accepts_per_second", EDGED_TYPE_INT, "50", 1, 1000000, "connections", NULL,
		"Most new connections a second from one address, with a burst of as many; loopback is exempt" },
	{ "handshake", EDGED_TYPE_DURATION, "\"5s\"", 100, 5 * MINUTE, "ms", NULL,
		"Time for the TLS handshake and the first bytes of a connection" },
	{ 0 }
};

static const struct edged_setting tls_table[] = {
	{ "min_version", EDGED_TYPE_CHOICE, "\"1.2\"", 0, 0, NULL, "1.2|1.3",
		"The oldest TLS version that clients may use; nodes use 1.3 among themselves" },
	{ 0 }
};

static const struct edged_setting http_table[] = {
	{ "header_time", EDGED_TYPE_DURATION, "\"5s\"", 100, HOUR, "ms", NULL,
		"Time for a client to send the header of a request, from its first byte to its last" },
	{ "body_time", EDGED_TYPE_DURATION, "\"30s\"", 100, HOUR, "ms", NULL,
		"Time for a client to send the body of a request, from its first byte to its last" },
	{ "idle_time", EDGED_TYPE_DURATION, "\"60s\"", 100, HOUR, "ms", NULL,
		"How long a connection may wait for its next request" },
	{ "answer_time", EDGED_TYPE_DURATION, "\"30s\"", 100, HOUR, "ms", NULL,
		"Time for a service to answer; the client gets 504 when it is over" },
	{ "header", EDGED_TYPE_SIZE, "\"8k\"", KIB, MIB, "bytes", NULL,
		"Longest header of a request, request line included" },
	{ "headers", EDGED_TYPE_INT, "64", 8, 128, "fields", NULL,
		"Most header fields of a request" },
	{ "body", EDGED_TYPE_SIZE, "\"1M\"", 0, GIB, "bytes", NULL,
		"Longest body of a request, unless its service reads it as it comes" },
	{ "bodies", EDGED_TYPE_SIZE, "\"16M\"", 64 * KIB, GIB, "bytes", NULL,
		"Most bytes of bodies from other nodes that are kept until they are whole and answered; beyond, requests get "
		"503" },
	{ "body_window", EDGED_TYPE_SIZE, "\"64k\"", 16 * KIB, GIB, "bytes", NULL,
		"Bytes of a body that are kept for a service that reads it as it comes, before the client is held back" },
	{ "requests", EDGED_TYPE_INT, "256", 1, 100000, "requests", NULL,
		"Most requests that wait for their answers at once; beyond, clients get 503" },
	{ "streams", EDGED_TYPE_INT, "64", 1, 100000, "answers", NULL,
		"Most streamed answers (server-sent events) at once; beyond, clients get 503" },
	{ "stream_mark", EDGED_TYPE_SIZE, "\"64k\"", KIB, GIB, "bytes", NULL,
		"Bytes waiting in a streamed answer from which its service is asked to pause" },
	{ "stream_limit", EDGED_TYPE_SIZE, "\"1M\"", KIB, GIB, "bytes", NULL,
		"Most bytes waiting in a streamed answer; a client that is slower is cut off" },
	{ 0 }
};

static const struct edged_setting store_table[] = {
	{ "group", EDGED_TYPE_DURATION, "\"3ms\"", 0, 10 * SECOND, "ms", NULL,
		"Commits that come in company wait until none has come for so long, and are written with one "
		"sync of the disk; one that comes alone does not wait, unless others come all the time; 0: none "
		"ever waits" },
	{ "group_max", EDGED_TYPE_DURATION, "\"75ms\"", 0, 10 * SECOND, "ms", NULL,
		"How long they wait at most while more keep coming; the longer, the fewer bytes are written for "
		"small messages" },
	{ "queue", EDGED_TYPE_SIZE, "\"8M\"", 64 * KIB, GIB, "bytes", NULL,
		"Most bytes of writes that wait for the disk, for each plugin" },
	{ "cache", EDGED_TYPE_SIZE, "\"1M\"", 64 * KIB, GIB, "bytes", NULL,
		"Memory for pages of the database" },
	{ "log", EDGED_TYPE_SIZE, "\"512M\"", 4 * MIB, 1024 * GIB, "bytes", NULL,
		"What the files of one log may take, such as that of the broker's queued messages; beyond it, "
		"what would be written there is refused" },
	{ 0 }
};

static const struct edged_setting plugin_table[] = {
	{ "folders", EDGED_TYPE_STRINGS, "[]", 0, 16, NULL, NULL,
		"Folders that are watched for plugins; none means the one edged was built for" },
	{ "deny", EDGED_TYPE_STRINGS, "[]", 0, 256, NULL, NULL,
		"What plugins do not get: CAPABILITY for all of them, or PLUGIN:CAPABILITY for one, "
		"such as \"hello:edged.store/1\"" },
	{ "start_time", EDGED_TYPE_DURATION, "\"30s\"", 100, HOUR, "ms", NULL,
		"Time for a plugin to start; one that takes longer has failed" },
	{ "timers", EDGED_TYPE_INT, "100000", 1, 10000000, "timers", NULL,
		"Most timers of one plugin" },
	{ "store_calls", EDGED_TYPE_INT, "100000", 1, 10000000, "calls", NULL,
		"Most calls of one plugin to the store that wait for their results" },
	{ "posts", EDGED_TYPE_INT, "10000", 1, 10000000, "posts", NULL,
		"Most calls of one plugin from one loop to another that wait for their turn" },
	{ "deferred", EDGED_TYPE_INT, "100000", 1, 10000000, "calls", NULL,
		"Most calls of one plugin, on each loop, that wait for the end of the loop's turn" },
	{ "logins", EDGED_TYPE_INT, "10000", 1, 1000000, "logins", NULL,
		"Most clients that wait, in one plugin, for the plugin that says who they are" },
	{ "workers", EDGED_TYPE_INT, "1", 1, 16, "threads", NULL,
		"Threads for slow work of all plugins, such as hashing passwords (19 MiB of memory each)" },
	{ "works", EDGED_TYPE_INT, "1000", 1, 100000, "pieces", NULL,
		"Most pieces of slow work of one plugin that wait or are being done, such as passwords of clients that come "
		"back all at once (20 ms each); beyond, clients are told to try later" },
	{ 0 }
};

static const struct edged_setting auth_table[] = {
	{ "decider", EDGED_TYPE_STRING, "\"\"", 0, 31, NULL, NULL,
		"The plugin that says who clients are and what they may do; while it does not run, nothing that it would "
		"have to judge is allowed. Empty means the first one that offers to, if any" },
	{ "time", EDGED_TYPE_DURATION, "\"10s\"", 100, 5 * MINUTE, "ms", NULL,
		"Time for that plugin to say who a client is; the client is refused when it is over" },
	{ 0 }
};

static const struct edged_setting cluster_table[] = {
	{ "enabled", EDGED_TYPE_BOOL, "true", 0, 0, NULL, NULL,
		"Whether this node looks for others and can be found" },
	{ "name", EDGED_TYPE_STRING, "\"\"", 0, 63, NULL, NULL,
		"What people call this node; empty means the name of the host" },
	{ "discovery", EDGED_TYPE_CHOICE, "\"mdns\"", 0, 0, NULL, "mdns|off",
		"How other nodes of the network are found: by multicast DNS, or from the seeds alone" },
	{ "seeds", EDGED_TYPE_STRINGS, "[]", 0, 64, NULL, NULL,
		"Nodes to greet at the start, HOST:PORT each, for networks without multicast" },
	{ "interfaces", EDGED_TYPE_STRINGS, "[]", 0, 32, NULL, NULL,
		"Network interfaces used for multicast DNS; none means all" },
	{ "eligible", EDGED_TYPE_BOOL, "true", 0, 0, NULL, NULL,
		"Whether this node may become the supernode of its network" },
	{ "pin", EDGED_TYPE_INT, "0", 0, 255, NULL, NULL,
		"Preference of this node as supernode: the highest of all nodes wins, before anything else counts" },
	{ "probe", EDGED_TYPE_DURATION, "500", 100, 10000, "ms", NULL,
		"How often another member is asked whether it is there" },
	{ "suspicion", EDGED_TYPE_DURATION, "1500", 500, 60000, "ms", NULL,
		"How long a silent member is suspected, at least, before it counts as gone" },
	{ "lease", EDGED_TYPE_DURATION, "700", 400, 5000, "ms", NULL,
		"How long the supernode may be silent before another takes its place" },
	{ "links", EDGED_TYPE_INT, "256", 1, 4096, "links", NULL,
		"Most links to other nodes at once, and as many from them" },
	{ "link_requests", EDGED_TYPE_INT, "256", 1, 100000, "requests", NULL,
		"Most requests to one other node at once; beyond, clients get 503" },
	{ "link_window", EDGED_TYPE_SIZE, "\"128k\"", 64 * KIB, 64 * MIB, "bytes", NULL,
		"Bytes of a request's or an answer's body from another node that are kept before that node is held back" },
	{ "websockets", EDGED_TYPE_INT, "100", 0, 10000, "WebSockets", NULL,
		"Most WebSockets that go through this node to others at once; beyond, clients get 503" },
	{ "link_dial", EDGED_TYPE_DURATION, "\"5s\"", 100, 5 * MINUTE, "ms", NULL,
		"Time to connect to another node, the TLS handshake included" },
	{ "link_idle", EDGED_TYPE_DURATION, "\"60s\"", SECOND, HOUR, "ms", NULL,
		"How long a link without requests is kept; the side that serves keeps it twice as long" },
	{ "services", EDGED_TYPE_SIZE, "\"1M\"", 0, GIB, "bytes", NULL,
		"Memory for the lists of services of other nodes; what does not fit is left out of /mds/v1/nodes" },
	{ "invite_life", EDGED_TYPE_DURATION, "\"10m\"", SECOND, 24 * HOUR, "ms", NULL,
		"How long an invite is good when edgectl invite is not told" },
	{ "join_tries", EDGED_TYPE_INT, "5", 1, 1000, "tries", NULL,
		"Wrong proofs of an invite from one address, after which it is refused for a while" },
	{ "join_penalty", EDGED_TYPE_DURATION, "\"10m\"", SECOND, 24 * HOUR, "ms", NULL,
		"For how long it is refused" },
	{ "pairing_life", EDGED_TYPE_DURATION, "\"5m\"", SECOND, HOUR, "ms", NULL,
		"How long a pairing code is good that edgectl pair shows" },
	{ "pairing_tries", EDGED_TYPE_INT, "5", 1, 10, "tries", NULL,
		"How often a pairing code may be tried, rightly or wrongly, before it is dead" },
	{ "pairing_gap", EDGED_TYPE_DURATION, "\"1s\"", 100, MINUTE, "ms", NULL,
		"Time between two tries of pairing codes, at least" },
	{ "max_members", EDGED_TYPE_INT, "512", 2, 4096, "nodes", NULL,
		"Most nodes of the network that are kept in the table, those gone lately included" },
	{ 0 }
};

static const struct edged_setting access_table[] = {
	{ "key_file", EDGED_TYPE_STRING, "\"\"", 0, 4095, NULL, NULL,
		"File with the key that HTTP clients over TCP must show; empty means access.key in the state folder, made at "
		"the first start" },
	{ 0 }
};
/* clang-format on */

/* What takes effect at a reload. The other keys make parts that live as long as the daemon. */
static const char *const log_reload[] = { "level", NULL };
static const char *const net_reload[] = { "listen", "proxies", "connections", "connections_per_source",
	"accepts_per_second", "handshake", NULL };
static const char *const http_reload[] = { "header_time", "body_time", "idle_time", "answer_time", "headers",
	"body", "bodies", "body_window", "requests", "streams", "stream_mark", "stream_limit", NULL };
static const char *const plugin_reload[] = { "start_time", "timers", "store_calls", "posts", "deferred",
	"logins", "works", NULL };

/* The mark below the limit, or a service is cut off before it is asked to pause. */
static int check_http(struct edged_slice config, char *why, size_t why_size)
{
	json_t *http = json_loadb(config.ptr, config.len, 0, NULL);
	int64_t mark = json_integer_value(json_object_get(http, "stream_mark"));
	int64_t limit = json_integer_value(json_object_get(http, "stream_limit"));
	json_decref(http);
	if (mark <= limit)
		return 0;
	snprintf(why, why_size, "stream_mark must not be more than stream_limit");
	return -EINVAL;
}

int conf_declare_daemon(struct conf *conf, struct conf_findings *findings)
{
	static const struct {
		const char *name;
		const struct edged_setting *table;
		const char *const *reload;
		int (*check)(struct edged_slice config, char *why, size_t why_size);
	} sections[] = {
		{ "log", log_table, log_reload, NULL },
		{ "net", net_table, net_reload, NULL },
		{ "tls", tls_table, NULL, NULL },
		{ "http", http_table, http_reload, check_http },
		{ "store", store_table, NULL, NULL },
		{ "plugin", plugin_table, plugin_reload, NULL },
		{ "auth", auth_table, NULL, NULL },
		{ "cluster", cluster_table, NULL, NULL },
		{ "access", access_table, NULL, NULL },
	};
	int result = 0;
	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		int r = conf_declare(conf, sections[i].name, sections[i].table, sizeof(struct edged_setting),
		        sections[i].check, findings);
		if (!r)
			r = conf_reloadable(conf, sections[i].name, sections[i].reload, findings);
		if (r && r != -EINVAL)
			return r;
		result = r ? r : result;
	}
	return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "figures.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "core/request.h"
#include "io/http_server.h"
#include "io/loop.h"
#include "io/stream.h"
#include "mesh.h"
#include "mesh_figures.h"
#include "plugin/metrics.h"
#include "store/store.h"

/* One of a family that the HTTP server counts by name. */
struct family_reader {
	const struct http_server *http;
	size_t i;
};

struct figures {
	struct figures_deps deps;
	struct family_reader refusals[HTTP_REFUSAL_COUNT], late[HTTP_LATE_COUNT];
};

/* One reader for each figure; the counts come as structs that are cheap to take. */
#define READER(name, expression)                                                                             \
	static int64_t name(void *arg)                                                                       \
	{                                                                                                    \
		const struct figures *figures = arg;                                                         \
		(void)figures;                                                                               \
		return (int64_t)(expression);                                                                \
	}

READER(streams_open, stream_counts().open)
READER(streams_accepted, stream_counts().accepted)
READER(streams_refused, stream_counts().refused)
READER(proxies_refused, stream_counts().proxy_refused)
READER(bytes_waiting, stream_counts().waiting)
READER(bytes_in, stream_counts().bytes_in)
READER(bytes_out, stream_counts().bytes_out)
READER(requests_open_now, requests_counts(figures->deps.requests).open)
READER(requests_streams, requests_counts(figures->deps.requests).streams)
READER(bodies_open, requests_counts(figures->deps.requests).bodies_open)
READER(body_waiting, requests_counts(figures->deps.requests).body_waiting)
READER(bodies_collected, requests_counts(figures->deps.requests).collected)
READER(answered_2xx, requests_counts(figures->deps.requests).answered_2xx)
READER(answered_3xx, requests_counts(figures->deps.requests).answered_3xx)
READER(answered_4xx, requests_counts(figures->deps.requests).answered_4xx)
READER(answered_5xx, requests_counts(figures->deps.requests).answered_5xx)
READER(requests_left, requests_counts(figures->deps.requests).gone)
READER(requests_expired, requests_counts(figures->deps.requests).expired)
READER(http_connections, http_server_counts(figures->deps.http).connections)
READER(http_half_closed, http_server_counts(figures->deps.http).half_closed)
READER(http_upgraded, http_server_counts(figures->deps.http).upgraded)
READER(store_transactions, store_counts(figures->deps.store).transactions)
READER(store_commits, store_counts(figures->deps.store).commits)
READER(store_failures, store_counts(figures->deps.store).failures)
READER(store_writes, store_counts(figures->deps.store).writes)
READER(store_queued, store_counts(figures->deps.store).queued_bytes)
READER(store_bytes, store_counts(figures->deps.store).file_bytes)
READER(store_records, store_counts(figures->deps.store).records)
READER(store_log_bytes, store_counts(figures->deps.store).log_bytes)
READER(store_log_records, store_counts(figures->deps.store).log_records)
READER(store_log_squeezed, store_counts(figures->deps.store).log_squeezed)
READER(store_log_written, store_counts(figures->deps.store).log_written)
READER(store_log_syncs, store_counts(figures->deps.store).syncs)
READER(slow_callbacks, loop_slow_count())

static int64_t resident_bytes(void *arg)
{
	(void)arg;
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (!file)
		return 0;
	if (fscanf(file, "%*d %ld", &pages) != 1)
		pages = 0;
	fclose(file);
	return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static const struct row {
	enum edged_metric_type type;
	const char *name, *labels, *help;
	int64_t (*read)(void *arg);
} rows[] = {
	{ EDGED_GAUGE, "connections", NULL, "Open connections", streams_open },
	{ EDGED_COUNTER, "connections_accepted_total", NULL, "Connections accepted", streams_accepted },
	{ EDGED_COUNTER, "connections_refused_total", NULL, "Connections refused by a limit",
	        streams_refused },
	{ EDGED_COUNTER, "connections_proxy_refused_total", NULL,
	        "Connections to +proxy listeners that came from no listed proxy or without a sound header",
	        proxies_refused },
	{ EDGED_COUNTER, "received_bytes_total", NULL, "Bytes received", bytes_in },
	{ EDGED_COUNTER, "sent_bytes_total", NULL, "Bytes sent", bytes_out },
	{ EDGED_GAUGE, "send_queue_bytes", NULL, "Bytes that wait because their receivers do not read",
	        bytes_waiting },
	{ EDGED_GAUGE, "http_requests_open", NULL, "Requests that wait for their answers",
	        requests_open_now },
	{ EDGED_GAUGE, "http_streams_open", NULL, "Streamed answers under way", requests_streams },
	{ EDGED_GAUGE, "http_bodies_open", NULL, "Bodies of requests that are read as they come",
	        bodies_open },
	{ EDGED_GAUGE, "http_body_waiting_bytes", NULL,
	        "Bytes of those that were read and are not dealt with yet "
	        "(limits for each: http.body_window, cluster.link_window)",
	        body_waiting },
	{ EDGED_GAUGE, "http_collected_bytes", NULL,
	        "Bytes of bodies from other nodes that are kept until they are whole and answered (limit: "
	        "http.bodies)",
	        bodies_collected },
	{ EDGED_COUNTER, "http_answers_total", "class=\"2xx\"", "Requests answered", answered_2xx },
	{ EDGED_COUNTER, "http_answers_total", "class=\"3xx\"", "Requests answered", answered_3xx },
	{ EDGED_COUNTER, "http_answers_total", "class=\"4xx\"", "Requests answered", answered_4xx },
	{ EDGED_COUNTER, "http_answers_total", "class=\"5xx\"", "Requests answered", answered_5xx },
	{ EDGED_COUNTER, "http_requests_left_total", NULL, "Requests whose client left first",
	        requests_left },
	{ EDGED_COUNTER, "http_requests_expired_total", NULL, "Requests that no service answered in time",
	        requests_expired },
	{ EDGED_GAUGE, "http_connections", NULL, "Open connections that speak HTTP/1.1", http_connections },
	{ EDGED_COUNTER, "http_half_closed_total", NULL,
	        "Clients that finished sending before they had their answer", http_half_closed },
	{ EDGED_COUNTER, "http_websockets_total", NULL, "Connections that became WebSockets", http_upgraded },
	{ EDGED_COUNTER, "store_transactions_total", NULL, "Transactions written to the disk",
	        store_transactions },
	{ EDGED_COUNTER, "store_commits_total", NULL, "Commits that they held", store_commits },
	{ EDGED_COUNTER, "store_failures_total", NULL, "Transactions that failed", store_failures },
	{ EDGED_COUNTER, "store_writes_total", NULL, "Rows written or deleted", store_writes },
	{ EDGED_GAUGE, "store_queued_bytes", NULL, "Writes that wait for the disk", store_queued },
	{ EDGED_GAUGE, "store_file_bytes", NULL, "Size of the database", store_bytes },
	{ EDGED_COUNTER, "store_records_total", NULL, "Records appended to logs", store_records },
	{ EDGED_GAUGE, "store_log_bytes", NULL, "Size of the files of all logs", store_log_bytes },
	{ EDGED_COUNTER, "store_log_record_bytes_total", NULL, "Bytes of records appended to logs",
	        store_log_records },
	{ EDGED_COUNTER, "store_log_squeezed_bytes_total", NULL,
	        "What those bytes could be squeezed to; they are stored so where that saves a block",
	        store_log_squeezed },
	{ EDGED_COUNTER, "store_log_written_bytes_total", NULL, "Bytes written to logs, in whole blocks",
	        store_log_written },
	{ EDGED_COUNTER, "store_log_syncs_total", NULL, "Syncs of logs", store_log_syncs },
	{ EDGED_COUNTER, "slow_callbacks_total", NULL, "Callbacks that held a loop over 50 ms",
	        slow_callbacks },
	{ EDGED_GAUGE, "process_resident_bytes", NULL, "Memory of the process", resident_bytes },
};

static int64_t read_refusal(void *arg)
{
	const struct family_reader *reader = arg;
	return (int64_t)http_server_counts(reader->http).refused[reader->i];
}

static int64_t read_late(void *arg)
{
	const struct family_reader *reader = arg;
	return (int64_t)http_server_counts(reader->http).late[reader->i];
}

/* The families of the HTTP server, a figure for each reason. */
static int add_http(struct figures *figures)
{
	struct metrics *metrics = figures->deps.metrics;
	char label[64];
	int r = 0;
	for (size_t i = 0; i < HTTP_REFUSAL_COUNT && !r; i++) {
		figures->refusals[i] = (struct family_reader){ figures->deps.http, i };
		snprintf(label, sizeof(label), "reason=\"%s\"", http_refusal_name(i));
		r = metrics_read(metrics, figures, EDGED_COUNTER, "http_refused_total", label,
		        "Requests refused before any service saw them", read_refusal, &figures->refusals[i]);
	}
	for (size_t i = 0; i < HTTP_LATE_COUNT && !r; i++) {
		figures->late[i] = (struct family_reader){ figures->deps.http, i };
		snprintf(label, sizeof(label), "what=\"%s\"", http_late_name((enum http_late)i));
		r = metrics_read(metrics, figures, EDGED_COUNTER, "http_timeouts_total", label,
		        "Connections ended for taking too long", read_late, &figures->late[i]);
	}
	return r;
}

int figures_new(const struct figures_deps *deps, struct figures **ret)
{
	struct figures *figures = calloc(1, sizeof(*figures));
	if (!figures)
		return -ENOMEM;
	figures->deps = *deps;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int r = metrics_read(deps->metrics, figures, rows[i].type, rows[i].name, rows[i].labels,
		        rows[i].help, rows[i].read, figures);
		if (r) {
			figures_free(figures);
			return r;
		}
	}
	int r = add_http(figures);
	if (!r)
		r = mesh_figures_add(deps->metrics, figures, mesh_parts(deps->mesh));
	if (r) {
		figures_free(figures);
		return r;
	}
	*ret = figures;
	return 0;
}

void figures_free(struct figures *figures)
{
	if (!figures)
		return;
	metrics_remove(figures->deps.metrics, figures);
	free(figures);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs over HTTP. For devices, as AWS IoT's jobs data plane has it: GET /things/{thing}/jobs, PUT /things/{thing}/jobs/$next,
 * GET and POST /things/{thing}/jobs/{job}; errors in AWS's shape. For operators: /jobs/v1 (rest_jobs.c), with problem documents.
 */
#ifndef JOBS_REST_H
#define JOBS_REST_H

#include "../shadow/gate.h"
#include "service.h"

struct rest {
	struct edged_host *host;
	const struct edged_http_1 *http;
	const struct edged_things_1 *registry;
	struct service *service;
	struct gate *gate;
	size_t document; /* bytes */
};

/* What follows once the gate has said who asks; self is a struct rest. */
gate_done rest_pending, rest_start_next, rest_describe, rest_update;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs for operators: /jobs/v1. Main loop. */
#ifndef JOBS_REST_JOBS_H
#define JOBS_REST_JOBS_H

#include "rest.h"

/* Each answers the request. */
int jobs_create(struct rest *rest, edged_handle request);
int jobs_list(struct rest *rest, edged_handle request);
int jobs_show(struct rest *rest, edged_handle request);
int jobs_cancel(struct rest *rest, edged_handle request);
int jobs_delete(struct rest *rest, edged_handle request);
int jobs_list_executions(struct rest *rest, edged_handle request);
int jobs_show_execution(struct rest *rest, edged_handle request);
int jobs_cancel_execution(struct rest *rest, edged_handle request);

#endif

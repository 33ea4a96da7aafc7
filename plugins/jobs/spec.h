/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job as an operator writes it, and jobs and executions as operators see them (/jobs/v1). Pure.
 *
 *     {"id", "targets": ["lamp", "group:hall"], "document": {..}, "description", "targetSelection": "SNAPSHOT" or "CONTINUOUS",
 *      "inProgressTimeoutInMinutes", "maximumPerMinute"}
 */
#ifndef JOBS_SPEC_H
#define JOBS_SPEC_H

#include "job.h"

enum { SPEC_WHY_MAX = 200, TARGETS_MAX = 100, DESCRIPTION_MAX = 2028 };

/* -EINVAL with a sentence; -ENOMEM. */
int spec_parse(const json_t *spec, size_t document_bytes, struct job **ret, char why[SPEC_WHY_MAX]);

/* NULL: no memory. `whole`: with targets and document. */
json_t *spec_job(const struct job *job, bool whole);
json_t *spec_execution(const struct execution *execution);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and topics of jobs (AWS IoT Developer Guide, "Reserved topics", job topics; API reference of IoT Jobs data). The names
 * of things are those of shadows (../shadow/name.h). Pure.
 */
#ifndef JOBS_TOPIC_H
#define JOBS_TOPIC_H

#include <stdbool.h>
#include "../shadow/name.h"

enum { JOB_ID_MAX = 64, JOBS_TOPIC_MAX = 256 };

#define JOBS_NEXT "$next" /* stands for the next pending job in DescribeJobExecution */

enum jobs_verb { JOBS_PENDING, JOBS_START_NEXT, JOBS_DESCRIBE, JOBS_UPDATE, JOBS_VERBS };

/* [a-zA-Z0-9_-]{1,64} */
bool job_id_valid(struct edged_slice id);
/* The order of ids and things, as that of keys in the store: below, equal to or above 0. */
int name_compare(const char *name, struct edged_slice other);

/* Takes a request topic apart: $aws/things/T/jobs/{get,start-next} or .../jobs/ID/{get,update}; false: it is none. What stands
 * for thing and job may be anything, and ret_job is empty for the first two. */
bool jobs_topic_parse(struct edged_slice topic, struct edged_slice *ret_thing, struct edged_slice *ret_job,
        enum jobs_verb *ret_verb);

/* "$aws/things/T/jobs/" + suffix into `topic`, which holds JOBS_TOPIC_MAX bytes. Returns its length. */
size_t jobs_topic_print(char *topic, const char *thing, const char *suffix);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job: what is to be done by which things, and how far it is (AWS IoT Developer Guide, "Jobs and job execution states"). Pure.
 *
 * Its targets become executions little by little (rollout.h). `waiting` are the things that have none yet: of a snapshot, all
 * that the targets meant when the job was made; of a continuous job, also those that come later.
 */
#ifndef JOBS_JOB_H
#define JOBS_JOB_H

#include "execution.h"
#include "topic.h"

#define JOB_STATES(ROW)                                                                                      \
	ROW(IN_PROGRESS)                                                                                     \
	ROW(COMPLETED)                                                                                       \
	ROW(CANCELED)                                                                                        \
	ROW(DELETION_IN_PROGRESS)

enum job_status {
#define ROW(name) JOB_##name,
	JOB_STATES(ROW)
#undef ROW
	        JOB_STATUSES
};

enum { TIMEOUT_MAX = 10080, RATE_MAX = 1000 }; /* minutes, executions a minute (AWS: quotas) */

const char *job_status_text(enum job_status status);
bool job_status_parse(const char *text, enum job_status *ret);

struct job {
	char id[JOB_ID_MAX + 1];
	json_t *targets;             /* an array of strings, see target_name() */
	json_t *document;            /* an object */
	size_t document_bytes;       /* as compact JSON */
	char *description, *comment; /* or NULL; the comment says why it was canceled */
	enum job_status status;
	bool continuous;
	bool force;                          /* canceled: also what is in progress */
	int64_t timeout;                     /* minutes that an execution may be in progress; 0: any */
	int64_t rate;                        /* executions that may be queued in a minute */
	int64_t created, updated, completed; /* seconds since 1970; completed 0: not yet */

	json_t *waiting;     /* an array of names of things */
	size_t waiting_next; /* those before it are done with */
	bool unchecked; /* the registry may have changed: things that are not meant any more are to be found */

	struct execution **list; /* by thing */
	size_t count, size;
	size_t by_status[EXECUTION_STATUSES];
};

/* NULL: no memory */
struct job *job_new(struct edged_slice id);
/* With its executions, which must be in no line any more. NULL is fine. */
void job_free(struct job *job);

/* The form in the store, without what waits and the executions. -EINVAL: it is none; -ENOMEM. */
int job_parse(struct edged_slice id, struct edged_slice text, struct job **ret);
char *job_print(const struct job *job); /* free(); NULL: no memory */

/* The first execution whose thing is not smaller; the end is job->count. */
size_t job_place(const struct job *job, struct edged_slice thing);
struct execution *job_find(const struct job *job, struct edged_slice thing); /* NULL: there is none */
/* Takes the execution; there is none of its thing. -ENOMEM */
int job_add(struct job *job, struct execution *execution);
/* Frees it. */
void job_remove(struct job *job, struct execution *execution);
/* job->by_status after an execution has changed from `before`. */
void job_recount(struct job *job, enum execution_status before, enum execution_status after);

size_t job_pending(const struct job *job);
size_t job_waiting(const struct job *job);

/* A target as people write it: "group:NAME", "thing:NAME", or the name of a thing. Returns the name. */
struct edged_slice target_name(const char *target, bool *ret_group);
bool target_valid(const json_t *target);

#endif

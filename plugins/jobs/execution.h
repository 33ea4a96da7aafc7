/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One execution of a job by a thing: its states, and what it is in the store (AWS IoT Developer Guide, "Jobs and job execution
 * states"). Pure; time comes in.
 *
 * Time-outs run by the clock that nobody sets; in the store they are moments of the calendar, so that they go on through a
 * restart.
 */
#ifndef JOBS_EXECUTION_H
#define JOBS_EXECUTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include "edged/slice.h"

struct job;
struct line;

/* The first two are pending, the others final. */
#define EXECUTION_STATES(ROW)                                                                                \
	ROW(QUEUED)                                                                                          \
	ROW(IN_PROGRESS)                                                                                     \
	ROW(SUCCEEDED)                                                                                       \
	ROW(FAILED)                                                                                          \
	ROW(TIMED_OUT)                                                                                       \
	ROW(REJECTED)                                                                                        \
	ROW(REMOVED)                                                                                         \
	ROW(CANCELED)

enum execution_status {
#define ROW(name) EXECUTION_##name,
	EXECUTION_STATES(ROW)
#undef ROW
	        EXECUTION_STATUSES
};

const char *execution_status_text(enum execution_status status);
bool execution_status_parse(const char *text, enum execution_status *ret);
/* May a device report this state? */
bool execution_may_report(enum execution_status status);
bool execution_pending(enum execution_status status);

struct moment {
	int64_t wall;  /* seconds since 1970 */
	uint64_t mono; /* ms of CLOCK_MONOTONIC */
};

struct execution {
	struct job *job;
	struct line *line; /* of its thing, while it is pending */
	TAILQ_ENTRY(execution) in_line;
	enum execution_status status;
	json_t *details;                  /* an object of strings, or NULL */
	int64_t queued, started, updated; /* seconds since 1970; started 0: not yet */
	int64_t version, number;          /* of changes; of executions of this job by this thing; from 1 */
	uint64_t place;                   /* in the line; each is given once */
	uint64_t until, step_until;       /* ms of CLOCK_MONOTONIC; 0: no limit */
	char thing[];
};

/* NULL: no memory. It is queued, in no line yet. */
struct execution *execution_new(struct job *job, struct edged_slice thing, struct moment now);
void execution_free(struct execution *execution); /* NULL is fine */

/* The form in the store; *ret is in no line. -EINVAL: it is none; -ENOMEM. */
int execution_parse(struct job *job, struct edged_slice thing, struct edged_slice text, struct moment now,
        struct execution **ret);
char *execution_print(const struct execution *execution, struct moment now); /* free(); NULL: no memory */

/* It changes to a state, which may be its own. The first IN_PROGRESS starts the time that it may take, in minutes (0: any). */
void execution_move(
        struct execution *execution, enum execution_status status, int64_t timeout, struct moment now);
/* It is queued again, after its thing was away. */
void execution_again(struct execution *execution, struct moment now);
void execution_set_details(struct execution *execution, json_t *details); /* a reference is taken */
/* The time for this step, from now on; 0: none. */
void execution_set_step(struct execution *execution, int64_t minutes, struct moment now);

/* When its time is over; 0: never. */
uint64_t execution_deadline(const struct execution *execution);
/* Bytes of memory for what its device says. */
size_t execution_bytes(const struct execution *execution);

#endif

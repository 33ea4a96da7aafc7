/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of executions, and what their things are told of them: `notify` when the list of what is pending has gained or lost
 * one, `notify-next` when another one is next (AWS IoT Developer Guide, "Jobs notifications"). Nothing is made that nobody would
 * get. Main loop.
 */
#ifndef JOBS_NOTIFY_H
#define JOBS_NOTIFY_H

#include "ledger.h"

/* Moves an execution to a state, in the book and in the batch. */
void change_execution(struct batch *batch, struct ledger *ledger, struct execution *execution,
        enum execution_status status);
/* A new execution of the job for a thing, or another one for a thing that was away. */
void queue_execution(struct batch *batch, struct ledger *ledger, struct job *job, struct edged_slice thing);
/* It is as if it had never been. */
void delete_execution(struct batch *batch, struct ledger *ledger, struct execution *execution);

#endif

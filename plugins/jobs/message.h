/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of the jobs service as compact JSON (AWS IoT Developer Guide, "Jobs device MQTT and HTTPS data types" and "Jobs
 * notifications"). Pure. All are the caller's to free(); NULL: no memory.
 */
#ifndef JOBS_MESSAGE_H
#define JOBS_MESSAGE_H

#include "book.h"
#include "request.h"

enum { NOTIFY_MAX = 10 }; /* executions in a notification */

/* What an answer is framed with. Over HTTP neither time nor token is told, and the job document is text. */
struct frame {
	bool http;
	const char *token; /* or NULL */
	struct moment now;
};

/* GetPendingJobExecutions. line NULL: nothing is pending. */
char *message_pending(const struct line *line, const struct frame *frame);
/* StartNextPendingJobExecution and DescribeJobExecution. execution NULL: there is none. */
char *message_execution(const struct execution *execution, bool document, const struct frame *frame);
/* UpdateJobExecution */
char *message_updated(
        const struct execution *execution, const struct jobs_request *request, const struct frame *frame);
/* A refusal over MQTT; execution NULL: its state is not told. */
char *message_rejected(
        const struct jobs_error *error, const struct execution *execution, const struct frame *frame);
/* JobExecutionsChanged, NextJobExecutionChanged */
char *message_changed(const struct line *line, struct moment now);
char *message_next(const struct execution *execution, struct moment now);

#endif

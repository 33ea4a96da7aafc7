/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All jobs in memory, by id; and for each thing that has pending executions its line of them, in the order in which they were
 * queued. Pure.
 */
#ifndef JOBS_BOOK_H
#define JOBS_BOOK_H

#include "job.h"

struct line {
	const char *thing; /* first member: a name is looked up without making a line */
	TAILQ_HEAD(executions_of_line, execution) executions;
	char text[];
};

struct book {
	struct job **jobs; /* by id */
	size_t count, size;
	size_t executions; /* of all jobs */
	uint64_t last_place;
	void *lines; /* tsearch(3), by thing */
};

void book_fini(struct book *book);

struct job *book_find(const struct book *book, struct edged_slice id); /* NULL: there is none */
/* The first job whose id is not smaller; the end is book->count. */
size_t book_place(const struct book *book, struct edged_slice id);
/* Takes the job; there is none of that id. -ENOMEM */
int book_add(struct book *book, struct job *job);
/* Frees it. */
void book_remove(struct book *book, struct job *job);

/* Takes the execution, which has its place or gets the last one; a pending one stands in line then. -ENOMEM: it is the caller's
 * still. */
int book_add_execution(struct book *book, struct execution *execution);
/* Frees it. */
void book_remove_execution(struct book *book, struct execution *execution);
/* Puts one that is pending again behind all others. -ENOMEM: it is in no line. */
int book_enqueue(struct book *book, struct execution *execution);
/* It is not pending any more. */
void book_leave(struct book *book, struct execution *execution);

/* NULL: nothing is pending. */
struct line *book_line(const struct book *book, struct edged_slice thing);
/* The next one: of those in progress the first, else the first. line NULL: NULL. */
struct execution *line_next(const struct line *line);

#endif

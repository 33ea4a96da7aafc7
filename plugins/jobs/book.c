/* SPDX-License-Identifier: Apache-2.0 */
#include "book.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

/* --- jobs -------------------------------------------------------------------------------------------------------------- */

void book_fini(struct book *book)
{
	while (book->count)
		book_remove(book, book->jobs[book->count - 1]);
	free(book->jobs);
	*book = (struct book){ .last_place = book->last_place };
}

size_t book_place(const struct book *book, struct edged_slice id)
{
	size_t low = 0, high = book->count;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (name_compare(book->jobs[mid]->id, id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct job *book_find(const struct book *book, struct edged_slice id)
{
	size_t at = book_place(book, id);
	return at < book->count && name_compare(book->jobs[at]->id, id) == 0 ? book->jobs[at] : NULL;
}

int book_add(struct book *book, struct job *job)
{
	if (book->count == book->size) {
		size_t size = book->size * 2 + 8;
		struct job **jobs = realloc(book->jobs, size * sizeof(struct job *));
		if (!jobs)
			return -ENOMEM;
		book->jobs = jobs;
		book->size = size;
	}
	size_t at = book_place(book, edged_str(job->id));
	memmove(book->jobs + at + 1, book->jobs + at, (book->count - at) * sizeof(struct job *));
	book->jobs[at] = job;
	book->count++;
	return 0;
}

void book_remove(struct book *book, struct job *job)
{
	size_t at = book_place(book, edged_str(job->id));
	for (size_t i = 0; i < job->count; i++)
		book_leave(book, job->list[i]);
	book->executions -= job->count;
	memmove(book->jobs + at, book->jobs + at + 1, (--book->count - at) * sizeof(struct job *));
	job_free(job);
}

/* --- lines ------------------------------------------------------------------------------------------------------------- */

static int by_thing(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct line *book_line(const struct book *book, struct edged_slice thing)
{
	char name[THING_NAME_MAX + 1];
	const char *key = name;
	if (thing.len > THING_NAME_MAX)
		return NULL;
	memcpy(name, thing.ptr, thing.len);
	name[thing.len] = '\0';
	struct line **found = tfind(&key, &book->lines, by_thing);
	return found ? *found : NULL;
}

static struct line *line_of(struct book *book, const char *thing)
{
	struct line *line = book_line(book, edged_str(thing));
	size_t n = strlen(thing) + 1;
	if (line || !(line = malloc(sizeof(*line) + n)))
		return line;
	memcpy(line->text, thing, n);
	line->thing = line->text;
	TAILQ_INIT(&line->executions);
	if (tsearch(line, &book->lines, by_thing))
		return line;
	free(line);
	return NULL;
}

/* In the order of the places; what is new comes last, what is read from the store anywhere. */
static int stand_in_line(struct book *book, struct execution *execution)
{
	struct line *line = line_of(book, execution->thing);
	if (!line)
		return -ENOMEM;
	execution->line = line;
	struct execution *before = TAILQ_LAST(&line->executions, executions_of_line);
	while (before && before->place > execution->place)
		before = TAILQ_PREV(before, executions_of_line, in_line);
	if (before)
		TAILQ_INSERT_AFTER(&line->executions, before, execution, in_line);
	else
		TAILQ_INSERT_HEAD(&line->executions, execution, in_line);
	return 0;
}

int book_enqueue(struct book *book, struct execution *execution)
{
	execution->place = ++book->last_place;
	return stand_in_line(book, execution);
}

void book_leave(struct book *book, struct execution *execution)
{
	struct line *line = execution->line;
	if (!line)
		return;
	TAILQ_REMOVE(&line->executions, execution, in_line);
	execution->line = NULL;
	if (!TAILQ_EMPTY(&line->executions))
		return;
	tdelete(line, &book->lines, by_thing);
	free(line);
}

struct execution *line_next(const struct line *line)
{
	struct execution *e;
	if (!line)
		return NULL;
	TAILQ_FOREACH(e, &line->executions, in_line)
	if (e->status == EXECUTION_IN_PROGRESS)
		return e;
	return TAILQ_FIRST(&line->executions);
}

/* --- executions -------------------------------------------------------------------------------------------------------- */

int book_add_execution(struct book *book, struct execution *execution)
{
	if (!execution->place)
		execution->place = book->last_place + 1;
	int r = execution_pending(execution->status) ? stand_in_line(book, execution) : 0;
	if (!r)
		r = job_add(execution->job, execution);
	if (r) {
		book_leave(book, execution);
		return r;
	}
	if (execution->place > book->last_place)
		book->last_place = execution->place;
	book->executions++;
	return 0;
}

void book_remove_execution(struct book *book, struct execution *execution)
{
	book_leave(book, execution);
	book->executions--;
	job_remove(execution->job, execution);
}

/* layers: plugins/jobs */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs: the first part (up to a NUL) is a topic, the rest a payload, a job as operators write it, and rows of the store. What can be
 * read can be shown, and what was stored is read again as it was.
 */
#include <stdlib.h>

#include "../../plugins/jobs/message.h"
#include "../../plugins/jobs/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct moment now = { 1700000000, 5000 };

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void read_request(struct edged_slice topic, struct edged_slice payload)
{
	static const struct details_limits limits = { 10, 12288 };
	struct edged_slice thing, job;
	struct jobs_request request;
	struct jobs_error error = { 0 };
	enum jobs_verb verb = topic.len % JOBS_VERBS;
	(void)jobs_topic_parse(topic, &thing, &job, &verb);
	int r = jobs_request_parse(&request, verb, payload, &limits, &error);
	must((r != 0) == (error.code != JOBS_DONE) && (r == 0 || error.message[0]));
	jobs_request_fini(&request);
}

static void read_execution(struct job *job, struct edged_slice text)
{
	struct execution *execution, *again;
	if (execution_parse(job, edged_str("lamp"), text, now, &execution))
		return;
	const struct frame frame = { .now = now };
	char *first = execution_print(execution, now), *shown = message_execution(execution, true, &frame);
	must(execution_parse(job, edged_str("lamp"), edged_str(first), now, &again) == 0);
	char *second = execution_print(again, now);
	must(shown && strcmp(first, second) == 0);
	execution_free(again);
	execution_free(execution);
	free(first);
	free(second);
	free(shown);
}

static void read_job(struct edged_slice text)
{
	struct job *job, *again;
	if (job_parse(edged_str("j"), text, &job))
		return;
	char *first = job_print(job);
	must(job_parse(edged_str("j"), edged_str(first), &again) == 0);
	char *second = job_print(again);
	must(strcmp(first, second) == 0);
	json_decref(spec_job(job, true));
	job_free(again);
	job_free(job);
	free(first);
	free(second);
}

static void read_spec(struct edged_slice text, struct job **ret)
{
	char why[SPEC_WHY_MAX] = "";
	json_t *spec = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(spec))
		must((spec_parse(spec, 32768, ret, why) == 0) == (why[0] == '\0'));
	json_decref(spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
	size_t n = end ? (size_t)(end - data) : 0;
	struct edged_slice topic = edged_slice(data, n);
	struct edged_slice rest = end ? edged_slice(end + 1, size - n - 1) : edged_slice(data, size);
	struct job *job = NULL;
	if (!rest.len)
		return 0;
	read_request(topic, rest);
	read_job(rest);
	read_spec(rest, &job);
	if (!job)
		job = job_new(edged_str("j"));
	if (!job->document)
		job->document = json_object();
	read_execution(job, rest);
	job_free(job);
	return 0;
}

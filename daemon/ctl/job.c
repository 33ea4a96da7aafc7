/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/job.h"

#include <time.h>
#include "ctl/show.h"

static int no_memory(void)
{
	return ctl_say(EXIT_REFUSED, "no memory");
}

static int job_path(const struct ctl *ctl, const char *tail, struct buf *ret)
{
	return buf_add_str(ret, "/jobs/v1/jobs/") ||
	                       http_add_encoded(ret, edged_str(ctl->options->arguments[1]), false) ||
	                       buf_add_str(ret, tail)
	               ? no_memory()
	               : EXIT_DONE;
}

static int send_json(struct ctl *ctl, const char *path, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	int code = text ? ctl_send(ctl, "POST", path, edged_str(text), false) : no_memory();
	free(text);
	return code;
}

/* --- making ------------------------------------------------------------------------------------------------------------- */

static int read_document(const struct ctl *ctl, json_t **ret)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	const char *name = ctl->options->arguments[2];
	json_error_t why;
	int code = ctl_read_file(name, &text);
	if (code)
		return code;
	*ret = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &why);
	return *ret ? EXIT_DONE
	            : ctl_say(EXIT_REFUSED, "%s is no JSON: line %d: %s", name, why.line, why.text);
}

/* Minutes, so that there is time enough. */
static json_int_t minutes(int64_t seconds)
{
	return (seconds + 59) / 60;
}

static int set(json_t *spec, const char *name, json_t *value)
{
	return json_object_set_new(spec, name, value) ? no_memory() : EXIT_DONE;
}

static int set_options(const struct options *options, json_t *spec)
{
	int code = EXIT_DONE;
	if (options->description)
		code = set(spec, "description", json_string(options->description));
	if (!code && options->continuous)
		code = set(spec, "targetSelection", json_string("CONTINUOUS"));
	if (!code && options->time_s)
		code = set(spec, "inProgressTimeoutInMinutes", json_integer(minutes(options->time_s)));
	if (!code && options->rate)
		code = set(spec, "maximumPerMinute", json_integer((json_int_t)options->rate));
	return code;
}

static int create(struct ctl *ctl)
{
	const struct options *options = ctl->options;
	json_t *document = NULL, *targets = json_array(), *spec = NULL;
	int code = targets ? read_document(ctl, &document) : no_memory();
	for (int i = 3; !code && i < options->count; i++)
		if (json_array_append_new(targets, json_string(options->arguments[i])))
			code = ctl_say(EXIT_USAGE, "a target is not UTF-8");
	if (!code)
		spec = json_pack("{s:s, s:O, s:O}", "id", options->arguments[1], "targets", targets,
		        "document", document);
	if (!code)
		code = spec ? set_options(options, spec) : no_memory();
	if (!code)
		code = send_json(ctl, "/jobs/v1/jobs", spec);
	json_decref(document);
	json_decref(targets);
	json_decref(spec);
	return code;
}

/* --- seeing ------------------------------------------------------------------------------------------------------------- */

static const char *sum(const json_t *job, const char *const *states, struct ctl_text *ret)
{
	const json_t *counts = json_object_get(job, "executions");
	json_int_t n = 0;
	for (; *states; states++)
		n += json_integer_value(json_object_get(counts, *states));
	snprintf(ret->text, sizeof(ret->text), "%" JSON_INTEGER_FORMAT, n);
	return ret->text;
}

static const char *queued(const json_t *job, struct ctl_text *ret)
{
	static const char *const states[] = { "waiting", "QUEUED", NULL };
	return sum(job, states, ret);
}

static const char *in_progress(const json_t *job, struct ctl_text *ret)
{
	static const char *const states[] = { "IN_PROGRESS", NULL };
	return sum(job, states, ret);
}

static const char *succeeded(const json_t *job, struct ctl_text *ret)
{
	static const char *const states[] = { "SUCCEEDED", NULL };
	return sum(job, states, ret);
}

static const char *failed(const json_t *job, struct ctl_text *ret)
{
	static const char *const states[] = { "FAILED", "REJECTED", "TIMED_OUT", NULL };
	return sum(job, states, ret);
}

static int list(struct ctl *ctl)
{
	static const struct column columns[] = { { "ID", "id", NULL }, { "STATUS", "status", NULL },
		{ "QUEUED", NULL, queued }, { "IN PROGRESS", NULL, in_progress },
		{ "SUCCEEDED", NULL, succeeded }, { "FAILED", NULL, failed },
		{ "DESCRIPTION", "description", NULL }, { 0 } };
	return show_list(ctl, "/jobs/v1/jobs", columns, "no jobs");
}

static const char *updated(const json_t *execution, struct ctl_text *ret)
{
	time_t at = (time_t)json_integer_value(json_object_get(execution, "lastUpdatedAt"));
	struct tm parts;
	if (!localtime_r(&at, &parts) || !strftime(ret->text, sizeof(ret->text), "%Y-%m-%d %H:%M:%S", &parts))
		return NULL;
	return ret->text;
}

/* "step=2 of 3, file=7.bin" */
static const char *details(const json_t *execution, struct ctl_text *ret)
{
	const char *name;
	json_t *value;
	size_t n = 0;
	ret->text[0] = '\0';
	json_object_foreach(json_object_get(execution, "statusDetails"), name, value)
	{
		if (n < sizeof(ret->text))
			n += (size_t)snprintf(ret->text + n, sizeof(ret->text) - n, "%s%s=%s", n ? ", " : "",
			        name, json_string_value(value));
	}
	return n ? ret->text : NULL;
}

/* The job, then its executions. */
static int describe(struct ctl *ctl)
{
	static const struct column columns[] = { { "THING", "thing", NULL }, { "STATUS", "status", NULL },
		{ "SINCE", NULL, updated }, { "DETAILS", NULL, details }, { 0 } };
	CLEANUP(http_answer_fini) struct http_answer answer = { 0 };
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	int code = job_path(ctl, "", &path);
	if (code)
		return code;
	struct http_request request = { .method = "GET", .path = path.ptr };
	code = ctl_call(ctl, &request, &answer);
	if (code)
		return code;
	ctl_print_json(ctl, &answer);
	if (ctl->options->json)
		return EXIT_DONE;
	return buf_add_str(&path, "/executions") ? no_memory()
	                                         : show_list(ctl, path.ptr, columns, "no executions yet");
}

/* --- ending ------------------------------------------------------------------------------------------------------------- */

static int cancel(struct ctl *ctl)
{
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	json_t *body = json_pack("{s:b}", "force", ctl->options->force);
	int code = job_path(ctl, "/cancel", &path);
	if (!code)
		code = send_json(ctl, path.ptr, body);
	json_decref(body);
	return code;
}

static int delete (struct ctl *ctl)
{
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	int code = job_path(ctl, ctl->options->force ? "?force=true" : "", &path);
	return code ? code : ctl_send(ctl, "DELETE", path.ptr, edged_slice(NULL, 0), false);
}

int job_verb(struct ctl *ctl)
{
	static const struct {
		const char *name;
		int least, most;
		int (*run)(struct ctl *ctl);
	} actions[] = { { "create", 4, 103, create }, { "list", 1, 1, list }, { "describe", 2, 2, describe },
		{ "cancel", 2, 2, cancel }, { "delete", 2, 2, delete } };
	const struct options *options = ctl->options;
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(options->arguments[0], actions[i].name) == 0 &&
		        options->count >= actions[i].least && options->count <= actions[i].most) {
			int code = actions[i].run(ctl);
			return code ? code : ctl_flush();
		}
	return ctl_say(EXIT_USAGE, "usage: edgectl job create ID FILE|- TARGET..., job list, job describe "
	                           "ID, job cancel ID, job delete ID");
}

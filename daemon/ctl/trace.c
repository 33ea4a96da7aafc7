/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>
#include "ctl/sse.h"
#include "ctl/table.h"

static int add_time(struct buf *buf, const json_t *event)
{
	int64_t ms = json_integer_value(json_object_get(event, "timestamp"));
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	char text[32];
	if (!localtime_r(&seconds, &tm) || !strftime(text, sizeof(text), "%H:%M:%S", &tm))
		return -EINVAL;
	return buf_addf(buf, "%s.%03d", text, (int)(ms % 1000));
}

/* What has a column of its own, or stands at the end. */
static bool is_apart(const char *name)
{
	static const char *const names[] = { "timestamp", "direction", "clientId", "packet", "topic",
		"payload", "payloadBase64" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static int add_member(struct buf *buf, const char *name, const json_t *value)
{
	if (json_is_false(value))
		return 0;
	if (json_is_true(value))
		return buf_addf(buf, " %s", name);
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	int r = text ? buf_addf(buf, " %s=%s", name, text) : -ENOMEM;
	free(text);
	return r;
}

static int add_text(struct buf *buf, const json_t *event, const char *name, const char *missing)
{
	const char *text = json_string_value(json_object_get(event, name));
	if (!text && !missing)
		return 0;
	return buf_addf(buf, " %s", text ? text : missing);
}

static int add_event(struct buf *buf, json_t *event)
{
	const char *name;
	json_t *value;
	int r = add_time(buf, event);
	if (!r)
		r = add_text(buf, event, "direction", "-");
	if (!r)
		r = add_text(buf, event, "clientId", "-");
	if (!r)
		r = add_text(buf, event, "packet", NULL);
	json_object_foreach(event, name, value) if (!r && !is_apart(name)) r = add_member(buf, name, value);
	if (!r)
		r = add_text(buf, event, "topic", NULL);
	if (!r)
		r = add_text(buf, event, "payload", NULL);
	return r ? r : add_text(buf, event, "payloadBase64", NULL);
}

int trace_format(struct edged_slice data, bool safe, struct buf *ret)
{
	CLEANUP(buf_fini) struct buf line = BUF_EMPTY;
	json_t *event = json_loadb(data.ptr ? data.ptr : "", data.len, 0, NULL);
	int r = event ? add_event(&line, event) : -EINVAL;
	json_decref(event);
	if (!r)
		r = safe ? text_add_safe(ret, buf_slice(&line), false) : buf_add(ret, line.ptr, line.len);
	return r ? r : buf_add(ret, "\n", 1);
}

struct follower {
	const struct options *options;
	struct sse sse;
	bool terminal;
};

static int show_event(void *arg, struct edged_slice event, struct edged_slice data)
{
	const struct follower *follower = arg;
	CLEANUP(buf_fini) struct buf line = BUF_EMPTY;
	int r;
	if (edged_slice_is(event, "end"))
		return 0; /* the answer ends with it */
	if (follower->options->json)
		r = buf_add(&line, data.ptr, data.len) || buf_add(&line, "\n", 1) ? -ENOMEM : 0;
	else if (edged_slice_is(event, "lost"))
		r = buf_addf(&line, "too much to show: %.*s\n", EDGED_SLICE_FMT(data));
	else
		r = trace_format(data, follower->terminal, &line);
	if (r)
		return r;
	return fwrite(line.ptr, 1, line.len, stdout) != line.len || fflush(stdout) ? -EIO : 0;
}

static int feed(void *arg, struct edged_slice bytes)
{
	return sse_feed(&((struct follower *)arg)->sse, bytes);
}

int trace_follow(struct ctl *ctl)
{
	const struct options *options = ctl->options;
	CLEANUP(buf_fini) struct buf path = BUF_EMPTY;
	CLEANUP(http_answer_fini) struct http_answer answer = { 0 };
	struct follower follower = { .options = options, .terminal = isatty(STDOUT_FILENO) };
	const char *what = options->arguments[0];
	if (strcmp(what, "client") != 0 && strcmp(what, "topic") != 0)
		return ctl_say(EXIT_USAGE, "usage: edgectl trace client ID, trace topic FILTER");
	if (buf_addf(&path, "/pubsub/v1/trace?for=%" PRId64 "&%s=", options->time_s ? options->time_s : 60,
	            what) ||
	        http_add_encoded(&path, edged_str(options->arguments[1]), false))
		return ctl_say(EXIT_REFUSED, "no memory");
	struct http_request request = { .method = "GET", .path = path.ptr, .bytes = feed, .arg = &follower };
	sse_init(&follower.sse, show_event, &follower);
	int code = ctl_call(ctl, &request, &answer);
	sse_fini(&follower.sse);
	return code ? code : ctl_flush();
}

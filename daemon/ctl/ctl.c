/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "ctl/table.h"

#define INPUT_LIMIT (16u << 20)

int ctl_say(int code, const char *format, ...)
{
	char text[2048];
	CLEANUP(buf_fini) struct buf safe = BUF_EMPTY;
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (text_add_safe(&safe, edged_str(text), true) == 0)
		fprintf(stderr, "edgectl: %s\n", safe.ptr ? safe.ptr : "");
	return code;
}

int ctl_refused(const struct ctl *ctl, const struct http_answer *answer)
{
	struct err err;
	http_refusal(answer, &err);
	if (ctl->options->json && answer->body.len)
		ctl_print_json(ctl, answer);
	return ctl_say(EXIT_REFUSED, "%s", err.text);
}

int ctl_call(struct ctl *ctl, const struct http_request *request, struct http_answer *answer)
{
	struct err err = { "" };
	if (http_call(ctl->http, request, answer, &err))
		return ctl_say(EXIT_UNREACHABLE, "%s", err.text);
	if (answer->status >= 200 && answer->status < 300)
		return EXIT_DONE;
	int code = ctl_refused(ctl, answer);
	http_answer_fini(answer);
	return code;
}

int ctl_call_json(struct ctl *ctl, const char *method, const char *path, const json_t *body, json_t **ret)
{
	CLEANUP(http_answer_fini) struct http_answer answer = { 0 };
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	if (body && !text)
		return ctl_say(EXIT_REFUSED, "no memory");
	struct http_request request = { .method = method,
		.path = path,
		.body = edged_str(text),
		.content_type = text ? "application/json" : NULL };
	int code = ctl_call(ctl, &request, &answer);
	free(text);
	if (code)
		return code;
	json_t *json = json_loadb(answer.body.ptr ? answer.body.ptr : "", answer.body.len, 0, NULL);
	if (!json && answer.body.len)
		return ctl_say(EXIT_REFUSED, "edged answered %s with something that is no JSON", path);
	if (ret)
		*ret = json;
	else
		json_decref(json);
	return EXIT_DONE;
}

int ctl_send(struct ctl *ctl, const char *method, const char *path, struct edged_slice body, bool quiet)
{
	CLEANUP(http_answer_fini) struct http_answer answer = { 0 };
	struct http_request request = { .method = method,
		.path = path,
		.body = body,
		.content_type = body.len ? "application/json" : NULL };
	int code = ctl_call(ctl, &request, &answer);
	if (!code && !quiet && ctl->options->json && answer.body.len)
		ctl_print_json(ctl, &answer);
	return code;
}

int ctl_get(struct ctl *ctl, const char *path, json_t **ret)
{
	CLEANUP(http_answer_fini) struct http_answer answer = { 0 };
	struct http_request request = { .method = "GET", .path = path };
	int code = ctl_call(ctl, &request, &answer);
	if (code)
		return code;
	if (ctl->options->json) {
		ctl_print_json(ctl, &answer);
		return EXIT_DONE;
	}
	*ret = json_loadb(answer.body.ptr ? answer.body.ptr : "", answer.body.len, 0, NULL);
	return *ret ? EXIT_DONE
	            : ctl_say(EXIT_REFUSED, "edged answered %s with something that is no JSON", path);
}

void ctl_print_json(const struct ctl *ctl, const struct http_answer *answer)
{
	json_t *document = NULL;
	char *text = NULL;
	if (!ctl->options->json)
		document = json_loadb(
		        answer->body.ptr ? answer->body.ptr : "", answer->body.len, JSON_DECODE_ANY, NULL);
	if (document)
		text = json_dumps(document, JSON_INDENT(2) | JSON_ENCODE_ANY);
	const char *shown = text ? text : answer->body.ptr;
	size_t n = text ? strlen(text) : answer->body.len;
	if (n)
		fwrite(shown, 1, n, stdout);
	if (n && shown[n - 1] != '\n')
		fputc('\n', stdout);
	free(text);
	json_decref(document);
}

int ctl_read_argument(const char *argument, struct buf *ret)
{
	if (strcmp(argument, "-") != 0)
		return buf_add_str(ret, argument) ? ctl_say(EXIT_REFUSED, "no memory") : EXIT_DONE;
	char bytes[16384];
	ssize_t n;
	while ((n = read(STDIN_FILENO, bytes, sizeof(bytes))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ctl_say(EXIT_REFUSED, "cannot read standard input: %s", strerror(errno));
		if (ret->len + (size_t)n > INPUT_LIMIT || buf_add(ret, bytes, (size_t)n))
			return ctl_say(
			        EXIT_REFUSED, "standard input is larger than %u MiB", INPUT_LIMIT >> 20);
	}
	return EXIT_DONE;
}

int ctl_read_file(const char *name, struct buf *ret)
{
	char bytes[16384];
	ssize_t n;
	if (strcmp(name, "-") == 0)
		return ctl_read_argument(name, ret);
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ctl_say(EXIT_REFUSED, "cannot read %s: %s", name, strerror(errno));
	int code = EXIT_DONE;
	while (!code && (n = read(fd, bytes, sizeof(bytes))) != 0)
		if (n < 0)
			code = ctl_say(EXIT_REFUSED, "cannot read %s: %s", name, strerror(errno));
		else if (buf_add(ret, bytes, (size_t)n))
			code = ctl_say(EXIT_REFUSED, "no memory");
	close(fd);
	return code;
}

int ctl_flush(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_DONE;
	return ctl_say(EXIT_REFUSED, "cannot write the output: %s", strerror(errno));
}

const char *ctl_member(const json_t *object, const char *name, struct ctl_text *ret)
{
	const json_t *value = json_object_get(object, name);
	if (json_is_string(value))
		snprintf(ret->text, sizeof(ret->text), "%s", json_string_value(value));
	else if (json_is_integer(value))
		snprintf(ret->text, sizeof(ret->text), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		snprintf(ret->text, sizeof(ret->text), "%g", json_real_value(value));
	else if (json_is_boolean(value))
		snprintf(ret->text, sizeof(ret->text), "%s", json_is_true(value) ? "yes" : "no");
	else
		return NULL;
	return ret->text;
}

json_t *ctl_list(json_t *answer)
{
	return json_is_array(answer) ? answer : json_object_get(answer, "data");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/listen.h"

#include <errno.h>
#include <openssl/evp.h>
#include <unistd.h>
#include "ctl/sse.h"
#include "ctl/table.h"

#define FILTERS_LIMIT 64

static int add(struct buf *ret, struct edged_slice text, bool safe)
{
	return safe ? text_add_safe(ret, text, true) : buf_add(ret, text.ptr, text.len);
}

static int add_base64(struct buf *ret, const char *text, size_t n, bool safe)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_EMPTY;
	int r = buf_reserve(&bytes, n / 4 * 3 + 4);
	if (r)
		return r;
	int length = n > INT32_MAX ? -1
	                           : EVP_DecodeBlock(
	                                     (unsigned char *)bytes.ptr, (const unsigned char *)text, (int)n);
	if (length < 0)
		return -EINVAL;
	/* Padding is counted as bytes. */
	for (size_t i = n; i > 0 && text[i - 1] == '=' && length > 0; i--)
		length--;
	return add(ret, edged_slice(bytes.ptr, (size_t)length), safe);
}

int listen_format(struct edged_slice data, bool safe, struct buf *ret)
{
	json_t *message = json_loadb(data.ptr ? data.ptr : "", data.len, 0, NULL);
	const json_t *topic = json_object_get(message, "topic"),
	             *payload = json_object_get(message, "payload");
	const json_t *base64 = json_object_get(message, "payloadBase64");
	int r = json_is_string(topic) ? 0 : -EINVAL;
	if (!r)
		r = add(ret, edged_slice(json_string_value(topic), json_string_length(topic)), safe);
	if (!r)
		r = buf_add(ret, " ", 1);
	if (!r && json_is_string(payload)) {
		r = add(ret, edged_slice(json_string_value(payload), json_string_length(payload)), safe);
	} else if (!r && json_is_string(base64)) {
		r = add_base64(ret, json_string_value(base64), json_string_length(base64), safe);
	} else if (!r && payload) {
		char *text = json_dumps(payload, JSON_COMPACT | JSON_ENCODE_ANY);
		r = text ? add(ret, edged_str(text), safe) : -ENOMEM;
		free(text);
	}
	json_decref(message);
	return r ? r : buf_add(ret, "\n", 1);
}

struct subscription {
	struct listener *listener;
	struct sse sse;
	struct buf path;
};

struct listener {
	const struct options *options;
	bool terminal;
	uint64_t messages;
	struct subscription *subscriptions;
	size_t count;
};

#define ENOUGH 1 /* as many messages as were asked for */

static bool enough(const struct listener *listener)
{
	return listener->options->messages && listener->messages >= listener->options->messages;
}

static int show_message(void *arg, struct edged_slice event, struct edged_slice data)
{
	struct listener *listener = ((struct subscription *)arg)->listener;
	CLEANUP(buf_fini) struct buf line = BUF_EMPTY;
	int r;
	if (enough(listener))
		return ENOUGH; /* another subscription brought the last one in the same turn */
	if (listener->options->json)
		r = buf_add(&line, data.ptr, data.len) || buf_add(&line, "\n", 1) ? -ENOMEM : 0;
	else
		r = listen_format(data, listener->terminal, &line);
	if (r == -EINVAL && event.len)
		return 0; /* an event of another kind */
	if (r)
		return r;
	if (fwrite(line.ptr, 1, line.len, stdout) != line.len || fflush(stdout))
		return -EIO;
	listener->messages++;
	return enough(listener) ? ENOUGH : 0;
}

static int feed(void *arg, struct edged_slice bytes)
{
	return sse_feed(&((struct subscription *)arg)->sse, bytes);
}

static int prepare(struct listener *listener, struct http_request *requests)
{
	for (size_t i = 0; i < listener->count; i++) {
		struct subscription *subscription = &listener->subscriptions[i];
		subscription->listener = listener;
		sse_init(&subscription->sse, show_message, subscription);
		if (buf_add_str(&subscription->path, "/pubsub/v1/subscribe?filter=") ||
		        http_add_encoded(
		                &subscription->path, edged_str(listener->options->arguments[i]), false))
			return -ENOMEM;
		requests[i] = (struct http_request){
			.method = "GET", .path = subscription->path.ptr, .bytes = feed, .arg = subscription
		};
	}
	return 0;
}

static int wait_for_end(struct ctl *ctl, struct listener *listener, const struct http_request *requests)
{
	CLEANUP(http_answer_fini) struct http_answer answer = { 0 };
	struct err err = { "" };
	size_t which = 0;
	if (http_stream(ctl->http, requests, listener->count, &which, &answer, &err))
		return ctl_say(EXIT_UNREACHABLE, "%s", err.text);
	if (answer.status < 200 || answer.status >= 300)
		return ctl_refused(ctl, &answer);
	if (enough(listener))
		return EXIT_DONE;
	if (ferror(stdout))
		return ctl_flush();
	return ctl_say(
	        EXIT_UNREACHABLE, "edged ended the subscription of %s", listener->options->arguments[which]);
}

int listen_subscribe(struct ctl *ctl)
{
	struct subscription subscriptions[FILTERS_LIMIT] = { 0 };
	struct http_request requests[FILTERS_LIMIT];
	struct listener listener = { .options = ctl->options,
		.terminal = isatty(STDOUT_FILENO),
		.subscriptions = subscriptions,
		.count = (size_t)ctl->options->count };
	if (listener.count > FILTERS_LIMIT)
		return ctl_say(EXIT_USAGE, "at most %d filters at once", FILTERS_LIMIT);
	int code = prepare(&listener, requests) ? ctl_say(EXIT_REFUSED, "no memory")
	                                        : wait_for_end(ctl, &listener, requests);
	for (size_t i = 0; i < listener.count; i++) {
		sse_fini(&subscriptions[i].sse);
		buf_fini(&subscriptions[i].path);
	}
	return code;
}

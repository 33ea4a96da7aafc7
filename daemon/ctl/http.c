/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>

#define ANSWER_SECONDS 120L
#define FILTERS_LIMIT  64

struct http {
	char *socket;
};

/* --- where the daemon is
 * ------------------------------------------------------------------------------------------------- */

/* In the order of trust: a service, a service without /run, one that a user started. malloc'ed or NULL. */
static char *place(unsigned i)
{
	static const char *const fixed[] = { "/run/edged/edged.sock", "/var/lib/edged/edged.sock" };
	char *path = NULL;
	const char *base = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	if (i < ARRAY_LEN(fixed))
		return strdup(fixed[i]);
	if (i == ARRAY_LEN(fixed) && base && base[0] == '/')
		return asprintf(&path, "%s/edged/edged.sock", base) < 0 ? NULL : path;
	if (i == ARRAY_LEN(fixed) && home)
		return asprintf(&path, "%s/.local/state/edged/edged.sock", home) < 0 ? NULL : path;
	return NULL;
}

static int find_socket(char **ret, struct err *err)
{
	char tried[600] = "";
	for (unsigned i = 0;; i++) {
		CLEANUP(free_charp) char *path = place(i);
		struct stat st;
		if (!path)
			break;
		if (stat(path, &st) == 0 || errno == EACCES) {
			*ret = TAKE(path);
			return 0;
		}
		size_t n = strlen(tried);
		snprintf(tried + n, sizeof(tried) - n, "%s%s", n ? ", " : "", path);
	}
	return err_set(err, -ENOENT,
	        "no edged found: there is no socket at %s. Start it (systemctl start edged), or name its "
	        "socket with "
	        "--socket PATH or its state folder with --state DIR",
	        tried);
}

int http_new(const char *socket, struct http **ret, struct err *err)
{
	struct http *http = calloc(1, sizeof(*http));
	if (!http)
		return err_set(err, -ENOMEM, "no memory");
	int r = 0;
	if (socket)
		http->socket = strdup(socket);
	else
		r = find_socket(&http->socket, err);
	if (!r && !http->socket)
		r = err_set(err, -ENOMEM, "no memory");
	if (!r && strlen(http->socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		r = err_set(err, -ENAMETOOLONG, "%s: the path of a Unix socket has at most 107 bytes",
		        http->socket);
	if (r) {
		http_free(http);
		return r;
	}
	*ret = http;
	return 0;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	free(http->socket);
	free(http);
}

static int unreachable(const struct http *http, int error, struct err *err)
{
	const char *advice =
	        error == EACCES ? "This user may not use it: become root or the user that edged runs as"
	                        : "Is edged running? Start it (systemctl start edged), or name its socket "
	                          "with --socket PATH or its state folder with --state DIR";
	return err_set(err, error > 0 ? -error : -EIO, "cannot reach edged at %s: %s. %s", http->socket,
	        strerror(error), advice);
}

/* --- one request
 * ---------------------------------------------------------------------------------------------------------
 */

struct call {
	const struct http_request *request;
	CURL *curl;
	struct curl_slist *headers;
	struct http_answer answer;
	int stopped; /* what bytes() returned */
	bool full;
};

static size_t received(char *bytes, size_t size, size_t count, void *arg)
{
	struct call *call = arg;
	size_t n = size * count;
	long status = 0;
	curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
	if (call->request->bytes && status >= 200 && status < 300) {
		call->stopped = call->request->bytes(call->request->arg, edged_slice(bytes, n));
		return call->stopped ? 0 : n;
	}
	call->full = buf_add(&call->answer.body, bytes, n) != 0;
	return call->full ? 0 : n;
}

static int add_header(struct call *call, const char *text)
{
	struct curl_slist *list = curl_slist_append(call->headers, text);
	if (!list)
		return -ENOMEM;
	call->headers = list;
	return 0;
}

static int call_prepare(struct call *call, const struct http *http, const struct http_request *request)
{
	CLEANUP(buf_fini) struct buf url = BUF_EMPTY;
	*call = (struct call){ .request = request, .curl = curl_easy_init() };
	buf_init(&call->answer.body, HTTP_ANSWER_LIMIT);
	int r = call->curl ? buf_addf(&url, "http://localhost%s", request->path) : -ENOMEM;
	char type[128];
	snprintf(type, sizeof(type), "Content-Type: %s", request->content_type ? request->content_type : "");
	if (!r && request->content_type)
		r = add_header(call, type);
	if (!r)
		r = add_header(call, "Expect:");
	if (r)
		return r;
	CURL *curl = call->curl;
	bool has_body = request->body.len > 0 || request->content_type;
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, http->socket);
	curl_easy_setopt(curl, CURLOPT_URL, url.ptr);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "edgectl/" EDGED_VERSION);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, request->bytes ? 0L : ANSWER_SECONDS);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, call->headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, received);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
	if (has_body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body.len ? request->body.ptr : "");
	}
	if (strcmp(request->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	return 0;
}

static void call_fini(struct call *call)
{
	curl_easy_cleanup(call->curl);
	curl_slist_free_all(call->headers);
	http_answer_fini(&call->answer);
}

void http_answer_fini(struct http_answer *answer)
{
	buf_fini(&answer->body);
}

/* Gives the answer away, or says what went wrong. */
static int call_end(struct call *call, const struct http *http, CURLcode code, struct http_answer *answer,
        struct err *err)
{
	long error = 0;
	curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &call->answer.status);
	curl_easy_getinfo(call->curl, CURLINFO_OS_ERRNO, &error);
	if (code == CURLE_COULDNT_CONNECT)
		return unreachable(http, error ? (int)error : ECONNREFUSED, err);
	if (call->full)
		return err_set(err, -EFBIG, "the answer is larger than %u MiB", HTTP_ANSWER_LIMIT >> 20);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return err_set(err, -ETIMEDOUT, "edged at %s did not answer within %ld s", http->socket,
		        ANSWER_SECONDS);
	if (code != CURLE_OK && !call->stopped)
		return err_set(
		        err, -EIO, "edged at %s broke off: %s", http->socket, curl_easy_strerror(code));
	*answer = call->answer;
	buf_init(&call->answer.body, 0);
	return 0;
}

int http_call(
        struct http *http, const struct http_request *request, struct http_answer *answer, struct err *err)
{
	CLEANUP(call_fini) struct call call;
	if (call_prepare(&call, http, request))
		return err_set(err, -ENOMEM, "no memory");
	return call_end(&call, http, curl_easy_perform(call.curl), answer, err);
}

/* --- several at once
 * ----------------------------------------------------------------------------------------------------- */

/* Runs until the first one ends. */
static int run(CURLM *multi, CURL **ret_ended, CURLcode *ret_code)
{
	for (;;) {
		int running = 0, waiting;
		if (curl_multi_perform(multi, &running))
			return -EIO;
		CURLMsg *message = curl_multi_info_read(multi, &waiting);
		if (message && message->msg == CURLMSG_DONE) {
			*ret_ended = message->easy_handle;
			*ret_code = message->data.result;
			return 0;
		}
		if (curl_multi_poll(multi, NULL, 0, 60000, NULL))
			return -EIO;
	}
}

int http_stream(struct http *http, const struct http_request *requests, size_t count, size_t *ret_which,
        struct http_answer *answer, struct err *err)
{
	struct call calls[FILTERS_LIMIT];
	if (count > FILTERS_LIMIT)
		return err_set(err, -E2BIG, "at most %d at once", FILTERS_LIMIT);
	CURLM *multi = curl_multi_init();
	CURL *ended = NULL;
	CURLcode code = CURLE_OK;
	int r = multi ? 0 : -ENOMEM;
	size_t n = 0;
	for (; n < count && !r; n++) {
		r = call_prepare(&calls[n], http, &requests[n]);
		if (!r && curl_multi_add_handle(multi, calls[n].curl))
			r = -ENOMEM;
	}
	if (!r)
		r = run(multi, &ended, &code);
	if (r)
		err_set(err, r, "cannot wait for answers: %s", strerror(-r));
	for (size_t i = 0; i < n; i++) {
		if (!r && calls[i].curl == ended) {
			*ret_which = i;
			r = call_end(&calls[i], http, code, answer, err);
			ended = NULL;
		}
		curl_multi_remove_handle(multi, calls[i].curl);
		call_fini(&calls[i]);
	}
	curl_multi_cleanup(multi);
	return r;
}

/* --- text
 * ------------------------------------------------------------------------------------------------------------------
 */

int http_add_encoded(struct buf *buf, struct edged_slice text, bool path)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	int r = 0;
	for (size_t i = 0; i < text.len && !r; i++) {
		char c = text.ptr[i];
		if ((c && strchr(plain, c)) || (path && c == '/'))
			r = buf_add(buf, &c, 1);
		else
			r = buf_addf(buf, "%%%02X", (unsigned char)c);
	}
	return r;
}

void http_refusal(const struct http_answer *answer, struct err *ret)
{
	json_t *problem = json_loadb(answer->body.ptr ? answer->body.ptr : "", answer->body.len, 0, NULL);
	const char *title = json_string_value(json_object_get(problem, "title"));
	const char *detail = json_string_value(json_object_get(problem, "detail"));
	if (!title)
		title = json_string_value(json_object_get(problem, "message"));
	if (!title)
		err_set(ret, 0, "edged answered %ld without saying why", answer->status);
	else
		err_set(ret, 0, "%s%s%s (%ld)", title, detail ? ": " : "", detail ? detail : "",
		        answer->status);
	json_decref(problem);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* app.c with all that it makes (mesh, figures, reload among it): the daemon without plugins, in this process. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "app.h"
#include "base/buf.h"
#include "heap.h"
#include "temp.h"

static struct temp temp;
static char state[300], plugins[300], config[300];

static int setup(void **unused)
{
	(void)unused;
	temp_init(&temp);
	temp_file(&temp, "state", state, sizeof(state));
	temp_file(&temp, "plugins", plugins, sizeof(plugins));
	temp_file(&temp, "edged.conf", config, sizeof(config));
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	temp_fini(&temp);
	return 0;
}

static void configure(const char *text)
{
	FILE *file = fopen(config, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static struct args arguments(void)
{
	static const char *folders[] = { plugins, NULL };
	static const char *listen[] = { "http=127.0.0.1:0", "tls=127.0.0.1:0", NULL };
	static const char *set[] = { "cluster.discovery=\"off\"", NULL };
	return (struct args){ .config = config,
		.state = state,
		.plugins = folders,
		.listen = listen,
		.set = set,
		.dev = true };
}

/* --- the client, a thread of its own: no assertions here, what it hears is judged afterwards --- */

struct heard {
	char figures[65536], config[16384];
	bool reloaded;
};

/* The answer to a GET over the control socket; false: none. */
static bool get(const char *path, char *out, size_t size)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	if (snprintf(to.sun_path, sizeof(to.sun_path), "%s/edged.sock", state) >= (int)sizeof(to.sun_path))
		return false;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char request[200];
	int n = snprintf(request, sizeof(request),
	        "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
	size_t have = 0;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 && send(fd, request, (size_t)n, 0) == n)
		for (ssize_t got; have < size - 1 && (got = recv(fd, out + have, size - 1 - have, 0)) > 0;)
			have += (size_t)got;
	out[have] = '\0';
	close(fd);
	return have > 0;
}

static bool get_until(const char *path, const char *words, char *out, size_t size)
{
	for (int i = 0; i < 2000; i++) {
		if (get(path, out, size) && strstr(out, words))
			return true;
		poll(NULL, 0, 5);
	}
	return false;
}

static void *use(void *arg)
{
	struct heard *heard = arg;
	(void)get_until("/readyz", " 200 ", heard->config, sizeof(heard->config));
	(void)get("/metrics", heard->figures, sizeof(heard->figures));
	FILE *file = fopen(config, "w");
	if (file) {
		fputs("{\"http\": {\"idle_time\": \"7s\"}}", file);
		fclose(file);
	}
	kill(getpid(), SIGHUP);
	heard->reloaded = get_until("/edge/v1/config", "\"7s\"", heard->config, sizeof(heard->config));
	kill(getpid(), SIGTERM);
	return NULL;
}

/* --- tests --- */

static void it_serves_reloads_and_stops(void **unused)
{
	(void)unused;
	configure("{}");
	static struct heard heard;
	struct args args = arguments();
	struct app *app = NULL;
	struct err err = { "" };
	pthread_t thread;
	assert_int_equal(app_new(&args, &app, &err), 0);
	assert_int_equal(pthread_create(&thread, NULL, use, &heard), 0);
	assert_int_equal(app_run(app, &err), 0);
	pthread_join(thread, NULL);
	app_free(app);
	/* of each part that counts something, one figure */
	static const char *const figures[] = { "edged_connections ", "edged_http_requests_open ",
		"edged_store_commits_total ", "edged_links", "edged_process_resident_bytes " };
	for (size_t i = 0; i < ARRAY_LEN(figures); i++)
		if (!strstr(heard.figures, figures[i]))
			fail_msg("%s is not among the figures", figures[i]);
	assert_true(heard.reloaded);
	assert_int_equal(temp_count(&temp, "state"), 1);
}

static void a_bad_configuration_is_refused_before_anything_is_made(void **unused)
{
	(void)unused;
	configure("{\"http\": {\"idle\": 1}}");
	struct args args = arguments();
	struct app *app = NULL;
	struct err err = { "" };
	assert_int_equal(app_new(&args, &app, &err), -EINVAL);
	assert_non_null(strstr(err.text, "1 error"));
	app_free(app);
	assert_int_equal(temp_count(&temp, "state"), 0);
}

static void every_lack_of_memory_is_survived(void **unused)
{
	(void)unused;
	if (!heap_can_fail())
		skip();
	configure("{}");
	struct args args = arguments();
	for (long n = 0;; n++) {
		struct app *app = NULL;
		struct err err = { "" };
		heap_fail_at(n);
		int r = app_new(&args, &app, &err);
		bool failed = heap_failed();
		heap_fail_at(-1);
		if (r)
			assert_true(*err.text);
		app_free(app);
		if (!failed)
			break;
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(it_serves_reloads_and_stops),
		T(a_bad_configuration_is_refused_before_anything_is_made),
		T(every_lack_of_memory_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

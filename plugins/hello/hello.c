/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest useful plugin: cc $(pkg-config --cflags edged-plugin) -o hello.so hello.c */
#include <stdio.h>
#include "edged/cap_config.h"
#include "edged/cap_http.h"

static int about(void *host, edged_handle request)
{
	const struct edged_http_1 *http = edged_cap(host, EDGED_HTTP_1);
	return http->reply(host, request, 200, "application/json", edged_str("{\"greets\":\"everybody\"}\n"));
}

static int greet(void *host, edged_handle request)
{
	const struct edged_http_1 *http = edged_cap(host, EDGED_HTTP_1);
	const struct edged_config_1 *config = edged_cap(host, EDGED_CONFIG_1);
	struct edged_slice name = http->param(host, request, "name");
	char text[512];
	if (name.len > 200)
		return http->problem(host, request, 400, "long-name", "Long name", "Use up to 200 bytes.");
	int n = snprintf(
	        text, sizeof(text), "%s, %.*s!\n", config->string(host, "greeting"), EDGED_SLICE_FMT(name));
	return http->reply(host, request, 200, "text/plain; charset=utf-8", edged_slice(text, (size_t)n));
}

static int create(struct edged_host *host, void **ret_self)
{
	*ret_self = host; /* all there is to remember */
	return 0;
}

static const char *const needs[] = { EDGED_HTTP_1, EDGED_CONFIG_1, NULL };
static const struct edged_setting settings[] = { { "greeting", EDGED_TYPE_STRING, "\"Hello\"", 1, 100, NULL,
	                                                 NULL, "What is said in front of the name" },
	{ 0 } };
static const struct edged_route routes[] = { { .method = "GET", .path = "/hello/v1", .serve = about },
	{ .method = "GET", .path = "/hello/v1/greet/{name}", .serve = greet, .summary = "Greets" }, { 0 } };
EDGED_PLUGIN(.name = "hello", .version = "1.0", .summary = "Greets", .needs = needs, .settings = settings,
        .routes = routes, .create = create, .reload_settings = (const char *const[]){ "greeting", NULL });

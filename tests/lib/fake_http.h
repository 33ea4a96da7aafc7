/* SPDX-License-Identifier: Apache-2.0 */
/* `edged.http/1` on a fake host: requests to the routes of its plugin, and what is answered. A few at a time, in memory. */
#ifndef TESTS_FAKE_HTTP_H
#define TESTS_FAKE_HTTP_H

#include "edged/cap_http.h"
#include "fake_host.h"

struct fake_answer {
	int status;     /* 0: none yet */
	char type[64];  /* content type, or the short name of a problem */
	char text[400]; /* of a problem: title and detail */
	char *body;     /* with a NUL behind it; of a stream: what was written since fake_heard() */
	size_t len;
	bool streaming, ended;
	unsigned answers; /* how often it was answered, which must be once */
};

extern const struct edged_http_1 fake_http_cap;

/* Method, path and query as on the wire, "GET /things?limit=2", then fake_run(). The answer lives until fake_http_reset(), to
 * which the last use of a host belongs, too. Aborts when there is no such route. */
struct fake_answer *fake_ask(struct fake_host *host, const struct edged_plugin *plugin, const char *request);
/* The client of a stream goes away, then fake_run(). */
void fake_leave(struct fake_host *host, struct fake_answer *answer);
/* Forgets what a stream has said so far. */
void fake_heard(struct fake_answer *answer);
/* Writers of the stream hear EDGED_HTTP_FULL from now on; false: it has room again, and they are told. */
void fake_fill(struct fake_host *host, struct fake_answer *answer, bool full);
void fake_http_reset(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What every verb of edgectl needs: its options, the daemon, and how to end. */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <jansson.h>
#include "ctl/http.h"
#include "ctl/options.h"

struct ctl {
	const struct options *options;
	const struct verb *verbs;
	struct http *http; /* NULL for verbs that need no daemon */
};

/* Each returns EXIT_DONE, or has said on stderr what is wrong and returns the exit code. */

/* Sends a request; an answer that is no 2xx is a refusal. */
EDGED_MUST_CHECK int ctl_call(
        struct ctl *ctl, const struct http_request *request, struct http_answer *answer);
/* Sends JSON, or nothing; with --json what comes back is printed, unless `quiet`. */
EDGED_MUST_CHECK int ctl_send(
        struct ctl *ctl, const char *method, const char *path, struct edged_slice body, bool quiet);
/* GET of a JSON document; with --json it is printed and *ret stays NULL. */
EDGED_MUST_CHECK /* JSON there and back, whatever --json says of the output; ret may be NULL. */
        int
        ctl_call_json(
                struct ctl *ctl, const char *method, const char *path, const json_t *body, json_t **ret);
int ctl_get(struct ctl *ctl, const char *path, json_t **ret);
/* Says why the daemon refused; with --json what it answered goes to stdout. */
int ctl_refused(const struct ctl *ctl, const struct http_answer *answer);
int ctl_say(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints JSON of the daemon: as it is with --json, else indented. */
void ctl_print_json(const struct ctl *ctl, const struct http_answer *answer);
/* An argument, or all of standard input when it is "-". At most 16 MiB. */
EDGED_MUST_CHECK int ctl_read_argument(const char *argument, struct buf *ret);
/* A file, or standard input when it is "-". */
EDGED_MUST_CHECK int ctl_read_file(const char *name, struct buf *ret);
/* stdout could be written? Else EXIT_REFUSED with a sentence. */
int ctl_flush(void);

/* "name" of an object as text: strings as they are, numbers and truth values written out, else NULL. `ret`
 * keeps it. */
struct ctl_text {
	char text[256];
};
const char *ctl_member(const json_t *object, const char *name, struct ctl_text *ret);
/* The list in an answer: {"data": [...]}, or the array itself. */
json_t *ctl_list(json_t *answer);

#endif

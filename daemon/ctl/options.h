/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of edgectl. */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/err.h"

struct ctl;

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_UNREACHABLE = 3 };

struct verb {
	const char *name, *arguments; /* arguments as the help shows them */
	int least, most;              /* how many; most < 0: any number */
	const char *options;          /* short letters of those it takes beyond the general ones */
	bool offline;                 /* needs no daemon */
	int (*run)(struct ctl *ctl);  /* an exit code */
	const char *text;
};

struct options {
	const struct verb *verb;
	char **arguments;
	int count;
	const char *socket; /* NULL: the usual places */
	char *state_socket; /* DIR/edged.sock of --state */
	bool json, retain, session, continuous, force, help;
	int qos;
	int64_t time_s; /* --for, 0: not given */
	const char *name, *folder, *policy, *csr, *thing, *description;
	uint64_t messages; /* --count, 0: no limit */
	uint64_t rate;     /* --rate, 0: not given */
};

/* `verbs` ends with a NULL name. -EINVAL with a sentence. */
EDGED_MUST_CHECK int options_parse(
        struct options *options, const struct verb *verbs, int argc, char **argv, struct err *err);
void options_fini(struct options *options);
void options_help(const struct verb *verbs, FILE *out);

#endif

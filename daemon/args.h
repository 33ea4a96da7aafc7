/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of edged. */
#ifndef ARGS_H
#define ARGS_H

#include <stdbool.h>
#include <stdio.h>
#include "base/err.h"

struct conf;
struct conf_findings;

#define ARGS_USAGE_EXIT 2                       /* exit code when the command line is wrong */
#define ARGS_CONFIG     "/etc/edged/edged.conf" /* read when it exists and no other is named */

enum args_mode {
	ARGS_RUN,
	ARGS_CHECK,        /* --check: judge the configuration and leave */
	ARGS_PRINT_CONFIG, /* --print-config: what is in effect, with its origin */
	ARGS_PRINT_SAMPLE, /* --print-sample: a file to begin with */
	ARGS_PRINT_SCHEMA, /* --print-schema: JSON Schema */
	ARGS_PRINT_MANUAL, /* --print-manual: edged.conf(5), the generated part */
	ARGS_VERSION,
	ARGS_HELP
};

/* Strings are borrowed from argv, lists end with NULL. */
struct args {
	enum args_mode mode;
	const char *config; /* NULL: ARGS_CONFIG, if there is one */
	const char *state;  /* NULL: the default */
	const char **plugins;
	const char **listen;
	const char **set;
	bool dev;
};

/* -EINVAL with a sentence: print it and exit with ARGS_USAGE_EXIT. */
EDGED_MUST_CHECK int args_parse(struct args *args, int argc, char **argv, struct err *err);
void args_fini(struct args *args);
void args_help(FILE *out);

/* Loads what the command line says into a configuration whose daemon sections are declared: the file, then
 * --plugins and
 * --listen (which replace plugin.folders and net.listen), then --set. Faults of all of them are findings. */
EDGED_MUST_CHECK int args_configure(
        const struct args *args, struct conf *conf, struct conf_findings *findings);

#endif

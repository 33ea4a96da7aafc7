/* SPDX-License-Identifier: Apache-2.0 */
/* edged: arguments, build, run. */
#include <stdio.h>
#include <malloc.h>
#include <stdlib.h>

#include "app.h"
#include "settings.h"

static int run(const struct args *args)
{
	struct app *app = NULL;
	struct err err = { "" };
	int r = app_new(args, &app, &err);
	if (!r)
		r = app_run(app, &err);
	app_free(app);
	if (r && *err.text)
		fprintf(stderr, "edged: %s\n", err.text);
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* A packet of 64 KiB that comes and goes at the end of the heap would otherwise give its pages back to the kernel
 * each time, and fault them in again for the next one. */
static void keep_heap(void)
{
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	mallopt(M_TRIM_THRESHOLD, 2 << 20);
}

int main(int argc, char **argv)
{
	keep_heap();
	struct args args;
	struct err err = { "" };
	if (args_parse(&args, argc, argv, &err)) {
		fprintf(stderr, "edged: %s\n", err.text);
		return ARGS_USAGE_EXIT;
	}
	int code = EXIT_SUCCESS;
	switch (args.mode) {
	case ARGS_RUN:
		code = run(&args);
		break;
	case ARGS_VERSION:
		puts("edged " EDGED_VERSION);
		break;
	case ARGS_HELP:
		args_help(stdout);
		break;
	case ARGS_CHECK:
	case ARGS_PRINT_CONFIG:
	case ARGS_PRINT_SAMPLE:
	case ARGS_PRINT_SCHEMA:
	case ARGS_PRINT_MANUAL:
		code = settings_inspect(&args);
		break;
	}
	args_fini(&args);
	return code;
}

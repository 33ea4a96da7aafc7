/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "conf/conf.h"
#include "conf/suggest.h"

enum {
	OPTION_CONFIG = 256,
	OPTION_STATE,
	OPTION_PLUGINS,
	OPTION_LISTEN,
	OPTION_SET,
	OPTION_DEV,
	OPTION_MODE /* + enum args_mode */
};

static const struct row {
	const char *name, *argument; /* argument NULL: takes none */
	int value;
	const char *text;
} rows[] = {
	{ "config", "FILE", OPTION_CONFIG, "configuration; without it " ARGS_CONFIG ", if there is one" },
	{ "state", "DIR", OPTION_STATE, "where everything is kept that must last" },
	{ "plugins", "DIR", OPTION_PLUGINS, "folder to load plugins from; may be given several times" },
	{ "listen", "PROTOCOL=ADDRESS:PORT", OPTION_LISTEN,
	        "listen here instead of what the configuration says; several times" },
	{ "set", "KEY=JSON", OPTION_SET, "set one key of the configuration; several times" },
	{ "dev", NULL, OPTION_DEV, "for trying things out: loopback needs no access key" },
	{ "check", NULL, OPTION_MODE + ARGS_CHECK, "judge the configuration, and do no more" },
	{ "print-config", NULL, OPTION_MODE + ARGS_PRINT_CONFIG,
	        "print what is in effect and where it comes from" },
	{ "print-sample", NULL, OPTION_MODE + ARGS_PRINT_SAMPLE, "print a configuration file to begin with" },
	{ "print-schema", NULL, OPTION_MODE + ARGS_PRINT_SCHEMA,
	        "print the JSON Schema of the configuration" },
	{ "print-manual", NULL, OPTION_MODE + ARGS_PRINT_MANUAL,
	        "print the keys as a part of a manual page" },
	{ "version", NULL, OPTION_MODE + ARGS_VERSION, "print the version" },
	{ "help", NULL, OPTION_MODE + ARGS_HELP, "print this" },
};
#define ROWS ARRAY_LEN(rows)

void args_help(FILE *out)
{
	fputs("usage: edged [OPTION]...\n"
	      "Runs an edge gateway in the foreground. Nothing needs to be configured.\n\n",
	        out);
	for (size_t i = 0; i < ROWS; i++) {
		char option[64];
		snprintf(option, sizeof(option), "--%s%s%s", rows[i].name, rows[i].argument ? " " : "",
		        rows[i].argument ? rows[i].argument : "");
		if (strlen(option) > 20)
			fprintf(out, "  %s\n  %-20s  %s\n", option, "", rows[i].text);
		else
			fprintf(out, "  %-20s  %s\n", option, rows[i].text);
	}
	fputs("\nSee edged(8) and edged.conf(5); edgectl(1) talks to a running edged.\n", out);
}

static void list_options(struct option *ret)
{
	for (size_t i = 0; i < ROWS; i++)
		ret[i] = (struct option){ rows[i].name, rows[i].argument ? required_argument : no_argument,
			NULL, rows[i].value };
	ret[ROWS] = (struct option){ 0 };
}

static const struct row *find(int value)
{
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].value == value)
			return &rows[i];
	return NULL;
}

/* What was written has no row, or several that begin with it. */
static int unknown(const char *word, struct err *err)
{
	char name[64];
	struct suggestion suggestion;
	if (word[0] != '-' || word[1] != '-')
		return err_set(
		        err, -EINVAL, "unknown option %.80s; options begin with --, see edged --help", word);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	suggest_begin(&suggestion, name);
	for (size_t i = 0; i < ROWS; i++)
		suggest_try(&suggestion, rows[i].name);
	for (size_t i = 0; i < ROWS && !suggestion.best; i++)
		if (strncmp(rows[i].name, name, strlen(name)) == 0)
			suggestion.best = rows[i].name;
	if (suggestion.best)
		return err_set(
		        err, -EINVAL, "unknown option --%s; did you mean --%s?", name, suggestion.best);
	return err_set(err, -EINVAL, "unknown option --%s; see edged --help", name);
}

static int complain(char **argv, const struct row *row, struct err *err)
{
	if (!row)
		return unknown(argv[optind - 1], err);
	if (row->argument)
		return err_set(err, -EINVAL, "--%s needs its %s", row->name, row->argument);
	return err_set(err, -EINVAL, "--%s takes no value", row->name);
}

static void append(const char **list, const char *text)
{
	while (*list)
		list++;
	*list = text;
}

static int take(struct args *args, int value, struct err *err)
{
	switch (value) {
	case OPTION_CONFIG:
		args->config = optarg;
		return 0;
	case OPTION_STATE:
		args->state = optarg;
		return optarg[0] ? 0 : err_set(err, -EINVAL, "--state needs its DIR");
	case OPTION_PLUGINS:
		append(args->plugins, optarg);
		return 0;
	case OPTION_LISTEN:
		append(args->listen, optarg);
		return 0;
	case OPTION_SET:
		append(args->set, optarg);
		return 0;
	case OPTION_DEV:
		args->dev = true;
		return 0;
	}
	enum args_mode mode = (enum args_mode)(value - OPTION_MODE);
	if (args->mode != ARGS_RUN && args->mode != mode)
		return err_set(err, -EINVAL, "--%s and --%s exclude each other",
		        find(OPTION_MODE + (int)args->mode)->name, find(value)->name);
	args->mode = mode;
	return 0;
}

static int parse(struct args *args, int argc, char **argv, struct err *err)
{
	struct option options[ROWS + 1];
	int value, r = 0;
	list_options(options);
	opterr = 0;
	optind = 0; /* glibc: begin anew */
	while (!r && (value = getopt_long(argc, argv, ":", options, NULL)) != -1)
		r = value == '?' || value == ':' ? complain(argv, find(optopt), err) : take(args, value, err);
	if (!r && optind < argc)
		r = err_set(err, -EINVAL, "\"%.80s\" is no option; see edged --help", argv[optind]);
	return r;
}

int args_parse(struct args *args, int argc, char **argv, struct err *err)
{
	size_t most = (size_t)(argc > 0 ? argc : 0) + 1;
	*args = (struct args){ 0 };
	args->plugins = calloc(most, sizeof(*args->plugins));
	args->listen = calloc(most, sizeof(*args->listen));
	args->set = calloc(most, sizeof(*args->set));
	int r = args->plugins && args->listen && args->set ? 0 : err_set(err, -ENOMEM, "no memory");
	if (!r)
		r = parse(args, argc, argv, err);
	if (r)
		args_fini(args);
	return r;
}

void args_fini(struct args *args)
{
	free(args->plugins);
	free(args->listen);
	free(args->set);
	*args = (struct args){ 0 };
}

/* --- into the configuration
 * ---------------------------------------------------------------------------------------------- */

/* key = ["a", "b"] from a list that is not empty. */
static int set_list(struct conf *conf, const char *key, const char *const *list, const char *origin,
        struct conf_findings *findings)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	if (!list[0])
		return 0;
	int r = buf_addf(&text, "%s=", key);
	for (size_t i = 0; list[i] && !r; i++) {
		r = buf_add(&text, i ? "," : "[", 1);
		if (!r)
			r = buf_add_json(&text, edged_str(list[i]));
	}
	if (!r)
		r = buf_add_str(&text, "]");
	return r ? r : conf_set(conf, text.ptr, origin, findings);
}

static int load_file(const struct args *args, struct conf *conf, struct conf_findings *findings)
{
	if (args->config)
		return conf_load_file(conf, args->config, findings);
	return access(ARGS_CONFIG, F_OK) == 0 ? conf_load_file(conf, ARGS_CONFIG, findings) : 0;
}

int args_configure(const struct args *args, struct conf *conf, struct conf_findings *findings)
{
	int result = load_file(args, conf, findings);
	int r = set_list(conf, "plugin.folders", args->plugins, "--plugins", findings);
	result = result ? result : r;
	r = set_list(conf, "net.listen", args->listen, "--listen", findings);
	result = result ? result : r;
	for (const char **set = args->set; *set; set++) {
		r = conf_set(conf, *set, "--set", findings);
		result = result ? result : r;
	}
	return result;
}

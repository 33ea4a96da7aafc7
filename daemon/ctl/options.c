/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "conf/suggest.h"
#include "conf/units.h"

/* Those without a short letter of their own use a capital one, which the verbs name, too. */
static const struct row {
	const char *name, *argument;
	char letter;
	bool general, shown; /* has its letter as a short option */
	const char *text;
} rows[] = {
	{ "socket", "PATH", 'S', true, false, "the daemon's Unix socket (environment: EDGED_SOCKET)" },
	{ "state", "DIR", 'D', true, false, "the daemon's state folder, which holds its socket" },
	{ "json", NULL, 'J', true, false, "JSON for programs instead of tables" },
	{ "help", NULL, 'h', true, true, "print this" },
	{ "for", "TIME", 'F', false, false,
	        "invite: how long it is good; trace: how long it lasts; thing rotate: how long the old "
	        "certificate "
	        "is; job create: how long an execution may be in progress; such as 10m" },
	{ "qos", "N", 'q', false, true, "pub: quality of service, 0 to 2" },
	{ "retain", NULL, 'r', false, true, "pub: keep it for those who subscribe later" },
	{ "count", "N", 'n', false, true, "sub: end after N messages" },
	{ "session", NULL, 'X', false, false, "kick: delete its session, too" },
	{ "name", "NAME", 'N', false, false, "shadow: the named shadow instead of the classic one" },
	{ "folder", "DIR", 'O', false, false,
	        "thing create, rotate: where the device's files go, instead of ./THING" },
	{ "policy", "NAME", 'P', false, false,
	        "thing create, pair, key create: its policy, instead of one for its own topics" },
	{ "thing", "THING", 'T', false, false, "key create: whose topics it may use, and whose shadow" },
	{ "csr", "FILE", 'C', false, false,
	        "thing create, rotate: a certificate request; the key stays where it is" },
	{ "description", "TEXT", 'd', false, false, "job create: what it is for" },
	{ "rate", "N", 'R', false, false, "job create: so many things in a minute, up to 1000" },
	{ "continuous", NULL, 'K', false, false,
	        "job create: also for things that come into the groups later" },
	{ "force", NULL, 'E', false, false, "job cancel, delete: even what is in progress" },
};

void options_help(const struct verb *verbs, FILE *out)
{
	fputs("usage: edgectl [OPTION]... VERB [ARGUMENT]...\nTalks to the edged of this machine.\n\n", out);
	for (const struct verb *verb = verbs; verb->name; verb++) {
		char line[80];
		snprintf(line, sizeof(line), "%s %s", verb->name, verb->arguments);
		fprintf(out, strlen(line) > 28 ? "  %s\n  %-28s  %s\n" : "  %-28s%.0s  %s\n", line, "",
		        verb->text);
	}
	fputs("\n", out);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char line[64], letter[8] = "";
		if (rows[i].shown)
			snprintf(letter, sizeof(letter), "-%c, ", rows[i].letter);
		snprintf(line, sizeof(line), "%s--%s %s", letter, rows[i].name,
		        rows[i].argument ? rows[i].argument : "");
		fprintf(out, "  %-28s  %s\n", line, rows[i].text);
	}
	fputs("\nA MESSAGE, BODY or document of - is read from standard input; what begins with - goes "
	      "behind --.\n"
	      "Exit code: 0 done, 1 the daemon refused, 2 wrong usage, 3 the daemon cannot be reached. See "
	      "edgectl(1).\n",
	        out);
}

static const struct row *find(int letter)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].letter == letter)
			return &rows[i];
	return NULL;
}

static void list_options(struct option *longs, char *shorts)
{
	*shorts++ = ':';
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int has = rows[i].argument ? required_argument : no_argument;
		longs[i] = (struct option){ rows[i].name, has, NULL, rows[i].letter };
		if (!rows[i].shown)
			continue;
		*shorts++ = rows[i].letter;
		if (has)
			*shorts++ = ':';
	}
	*shorts = '\0';
	longs[ARRAY_LEN(rows)] = (struct option){ 0 };
}

static int unknown_option(const char *word, struct err *err)
{
	char name[64];
	struct suggestion suggestion;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
	suggest_begin(&suggestion, name + strspn(name, "-"));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		suggest_try(&suggestion, rows[i].name);
	if (suggestion.best)
		return err_set(err, -EINVAL, "unknown option %s; did you mean --%s?", name, suggestion.best);
	return err_set(err, -EINVAL, "unknown option %s; see edgectl help", name);
}

static int take_number(const char *text, uint64_t most, uint64_t *ret, const char *what, struct err *err)
{
	char *end;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || value > most)
		return err_set(err, -EINVAL, "%s takes a number up to %llu, not \"%.40s\"", what,
		        (unsigned long long)most, text);
	*ret = value;
	return 0;
}

static int take_time(struct options *options, const char *text, struct err *err)
{
	int64_t ms;
	if (units_parse_duration(text, &ms) || ms < 1000)
		return err_set(
		        err, -EINVAL, "--for takes a time such as 90s, 10m or 1h, not \"%.40s\"", text);
	options->time_s = ms / 1000;
	return 0;
}

static int take_state(struct options *options, const char *folder, struct err *err)
{
	char *path;
	if (asprintf(&path, "%s/edged.sock", folder) < 0)
		return err_set(err, -ENOMEM, "no memory");
	free(options->state_socket);
	options->state_socket = path;
	return 0;
}

static int take(struct options *options, int letter, struct err *err)
{
	uint64_t number = 0;
	int r = 0;
	switch (letter) {
	case 'S':
		options->socket = optarg;
		break;
	case 'D':
		return take_state(options, optarg, err);
	case 'J':
		options->json = true;
		break;
	case 'h':
		options->help = true;
		break;
	case 'F':
		return take_time(options, optarg, err);
	case 'q':
		r = take_number(optarg, 2, &number, "--qos", err);
		options->qos = (int)number;
		break;
	case 'r':
		options->retain = true;
		break;
	case 'n':
		r = take_number(optarg, 1000000000, &options->messages, "--count", err);
		break;
	case 'X':
		options->session = true;
		break;
	case 'N':
		options->name = optarg;
		break;
	case 'O':
		options->folder = optarg;
		break;
	case 'P':
		options->policy = optarg;
		break;
	case 'T':
		options->thing = optarg;
		break;
	case 'C':
		options->csr = optarg;
		break;
	case 'd':
		options->description = optarg;
		break;
	case 'R':
		r = take_number(optarg, 1000, &options->rate, "--rate", err);
		if (!r && !options->rate)
			r = err_set(err, -EINVAL, "--rate takes a number from 1");
		break;
	case 'K':
		options->continuous = true;
		break;
	case 'E':
		options->force = true;
		break;
	}
	return r;
}

static int find_verb(struct options *options, const struct verb *verbs, const char *name, struct err *err)
{
	struct suggestion suggestion;
	suggest_begin(&suggestion, name);
	for (const struct verb *verb = verbs; verb->name; verb++) {
		suggest_try(&suggestion, verb->name);
		if (strcmp(verb->name, name) == 0) {
			options->verb = verb;
			return 0;
		}
	}
	if (suggestion.best)
		return err_set(err, -EINVAL, "unknown verb %.60s; did you mean %s?", name, suggestion.best);
	return err_set(err, -EINVAL, "unknown verb %.60s; see edgectl help", name);
}

/* Does the verb take what was given? `given` are letters of options that are not general. */
static int fit_verb(const struct options *options, const char *given, struct err *err)
{
	const struct verb *verb = options->verb;
	for (; *given; given++)
		if (!strchr(verb->options, *given))
			return err_set(
			        err, -EINVAL, "edgectl %s takes no --%s", verb->name, find(*given)->name);
	if (verb->most == 0 && options->count > 0)
		return err_set(err, -EINVAL, "edgectl %s takes no arguments", verb->name);
	if (options->count < verb->least || (verb->most >= 0 && options->count > verb->most))
		return err_set(err, -EINVAL, "usage: edgectl %s %s", verb->name, verb->arguments);
	return 0;
}

static int parse(struct options *options, const struct verb *verbs, int argc, char **argv, struct err *err)
{
	struct option longs[ARRAY_LEN(rows) + 1];
	char shorts[3 * ARRAY_LEN(rows) + 2], given[32] = "";
	int letter, r = 0;
	size_t n = 0;
	list_options(longs, shorts);
	opterr = 0;
	optind = 0;
	while (!r && (letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct row *row = find(letter == '?' || letter == ':' ? optopt : letter);
		if (letter == '?' && row && !row->argument)
			r = err_set(err, -EINVAL, "--%s takes no value", row->name);
		else if (letter == ':' && row)
			r = err_set(err, -EINVAL, "--%s needs its %s", row->name, row->argument);
		else if (letter == '?' || !row)
			r = unknown_option(argv[optind - 1], err);
		else
			r = take(options, letter, err);
		if (!r && !row->general && n + 1 < sizeof(given))
			given[n++] = (char)letter;
	}
	if (r || options->help)
		return r;
	if (optind >= argc)
		return err_set(err, -EINVAL, "a verb is missing; see edgectl help");
	r = find_verb(options, verbs, argv[optind], err);
	options->arguments = argv + optind + 1;
	options->count = argc - optind - 1;
	return r ? r : fit_verb(options, given, err);
}

int options_parse(struct options *options, const struct verb *verbs, int argc, char **argv, struct err *err)
{
	*options = (struct options){ 0 };
	const char *environment = getenv("EDGED_SOCKET");
	int r = parse(options, verbs, argc, argv, err);
	if (!r && !options->socket)
		options->socket = options->state_socket;
	if (!r && !options->socket && environment && environment[0])
		options->socket = environment;
	if (r)
		options_fini(options);
	return r;
}

void options_fini(struct options *options)
{
	free(options->state_socket);
	*options = (struct options){ 0 };
}

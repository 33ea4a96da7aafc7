/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_words.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool quiet;

void fake_be_quiet(void)
{
	quiet = true;
}

__attribute__((format(printf, 3, 4))) static void write_log(
        struct edged_host *host, enum edged_level level, const char *format, ...)
{
	(void)host;
	if ((level > EDGED_NOTICE || quiet) && !getenv("FAKE_LOG"))
		return;
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

const struct edged_log_1 fake_log = { sizeof(fake_log), write_log };

/* "64k", "5s", 10: as the daemon reads them. */
static int64_t read_default(const struct edged_setting *setting)
{
	const char *text = setting->def + (*setting->def == '"');
	char *end;
	int64_t v = strtoll(text, &end, 10);
	bool size = setting->type == EDGED_TYPE_SIZE;
	switch (*end) {
	case 'k':
		return v * 1024;
	case 'M':
		return v * 1024 * 1024;
	case 's':
		return v * 1000;
	case 'm':
		return v * 60 * 1000;
	case 'h':
		return v * 3600 * 1000;
	case 'd':
		return v * 24 * 3600 * 1000;
	default:
		return size || end != text ? v : strncmp(text, "true", 4) == 0;
	}
}

int64_t fake_setting(
        const struct fake_setting *settings, const struct edged_setting *defaults, const char *name)
{
	for (const struct fake_setting *s = settings; s && s->name; s++)
		if (strcmp(s->name, name) == 0)
			return s->value;
	for (const struct edged_setting *s = defaults; s->name; s++)
		if (strcmp(s->name, name) == 0)
			return read_default(s);
	fprintf(stderr, "no setting %s\n", name);
	abort();
}

const char *fake_text(
        const struct fake_setting *settings, const struct edged_setting *defaults, const char *name)
{
	static char text[32];
	const struct edged_setting *s = defaults;
	while (s->name && strcmp(s->name, name) != 0)
		s++;
	if (!s->name || s->type != EDGED_TYPE_CHOICE)
		return "";
	const char *choice = s->choices;
	for (int64_t i = fake_setting(settings, defaults, name); i > 0; i--)
		choice = strchr(choice, '|') + 1;
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(choice, "|"), choice);
	return text;
}

struct edged_slice fake_json(const struct edged_setting *defaults, const char *name)
{
	const struct edged_setting *s = defaults;
	while (s->name && strcmp(s->name, name) != 0)
		s++;
	return edged_str(s->name ? s->def : "");
}

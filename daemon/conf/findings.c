/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/findings.h"

#include <errno.h>
#include <stdarg.h>

#define MOST        65536
#define LONGEST_KEY 256

void conf_findings_fini(struct conf_findings *findings)
{
	buf_fini(&findings->text);
	findings->errors = 0;
}

static void add_line(struct conf_findings *findings, const char *where, const char *kind, const char *key,
        const char *format, va_list args)
{
	struct buf *text = &findings->text;
	if (text->len > MOST)
		return;
	char message[1024];
	vsnprintf(message, sizeof(message), format, args);
	bool has_key = key && key[0];
	buf_addf(text, "%s: %s%.*s%s%s%s\n", where, kind, LONGEST_KEY, has_key ? key : "",
	        has_key && strlen(key) > LONGEST_KEY ? "..." : "", has_key ? ": " : "", message);
	if (text->len > MOST)
		buf_add_str(text, "There is more to say about this configuration; correct these first.\n");
}

int findings_addv(
        struct conf_findings *findings, const char *where, const char *key, const char *format, va_list args)
{
	findings->errors++;
	add_line(findings, where, "", key, format, args);
	return -EINVAL;
}

int findings_add(struct conf_findings *findings, const char *where, const char *key, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int r = findings_addv(findings, where, key, format, args);
	va_end(args);
	return r;
}

void findings_warn(
        struct conf_findings *findings, const char *where, const char *key, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add_line(findings, where, "warning: ", key, format, args);
	va_end(args);
}

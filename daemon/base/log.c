/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static atomic_int max_level = EDGED_INFO;

void log_set_level(enum edged_level level)
{
	atomic_store_explicit(&max_level, (int)level, memory_order_relaxed);
}

enum edged_level log_level(void)
{
	return (enum edged_level)atomic_load_explicit(&max_level, memory_order_relaxed);
}

static int prefix(char *line, size_t size, enum edged_level level, const char *area)
{
	static const char *const names[] = { "", "", "", "error", "warning", "notice", "info", "debug" };
	if (getenv("JOURNAL_STREAM"))
		return snprintf(line, size, "<%d>%s: ", (int)level, area);
	struct timespec now;
	struct tm local;
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &local);
	char stamp[32];
	strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &local);
	return snprintf(line, size, "%s.%03ld %s %s: ", stamp, now.tv_nsec / 1000000, names[level & 7], area);
}

/* Control characters from the network must not forge lines or drive a terminal. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

void log_linev(enum edged_level level, const char *area, const char *format, va_list args)
{
	if (level > log_level())
		return;
	char line[1200];
	int start = prefix(line, sizeof(line) - 1, level, area);
	if (start < 0)
		return;
	int room = (int)sizeof(line) - 1 - start;
	int n = vsnprintf(line + start, (size_t)room, format, args);
	if (n < 0)
		return;
	make_printable(line + start);
	size_t len = (size_t)start + (size_t)(n < room ? n : room - 1);
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return; /* nowhere to say it */
}

void log_line(enum edged_level level, const char *area, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	log_linev(level, area, format, args);
	va_end(args);
}

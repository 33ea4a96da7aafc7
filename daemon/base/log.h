/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one line each on stderr, from any thread, in one write(2). Under systemd (JOURNAL_STREAM set) a line
 * starts with the priority "<N>" that the journal reads, else with a time stamp. Never log secrets.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include "edged/cap_log.h" /* enum edged_level */

/* Lines above `level` are dropped from now on; the default is EDGED_INFO. Any thread. */
void log_set_level(enum edged_level level);
enum edged_level log_level(void);

/* `area` is the part of the daemon or the plugin's name. The line ends without newline. */
void log_line(enum edged_level level, const char *area, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
void log_linev(enum edged_level level, const char *area, const char *format, va_list args)
        __attribute__((format(printf, 3, 0)));

#define log_error(area, ...)   log_line(EDGED_ERROR, area, __VA_ARGS__)
#define log_warning(area, ...) log_line(EDGED_WARNING, area, __VA_ARGS__)
#define log_notice(area, ...)  log_line(EDGED_NOTICE, area, __VA_ARGS__)
#define log_info(area, ...)    log_line(EDGED_INFO, area, __VA_ARGS__)
#define log_debug(area, ...)                                                                                 \
	do {                                                                                                 \
		if (log_level() >= EDGED_DEBUG)                                                              \
			log_line(EDGED_DEBUG, area, __VA_ARGS__);                                            \
	} while (0)

#endif

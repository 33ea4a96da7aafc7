/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/cap_log.h"

#include "base/log.h"
#include "plugin/context.h"

__attribute__((format(printf, 3, 4))) static void line(
        struct edged_host *host, enum edged_level level, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	log_linev(level < EDGED_ERROR   ? EDGED_ERROR
	          : level > EDGED_DEBUG ? EDGED_DEBUG
	                                : level,
	        context_of(host)->name, format, args);
	va_end(args);
}

const struct edged_log_1 cap_log = { .struct_size = sizeof(cap_log), .log = line };

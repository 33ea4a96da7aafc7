/* SPDX-License-Identifier: Apache-2.0 */
/* Capability "edged.log/1": lines in the daemon's log, marked with the plugin's name. Any thread. */
#ifndef EDGED_CAP_LOG_H
#define EDGED_CAP_LOG_H

#include "edged/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_LOG_1 "edged.log/1"

/* Values are those of syslog (RFC 5424 table 2). */
enum edged_level { EDGED_ERROR = 3, EDGED_WARNING = 4, EDGED_NOTICE = 5, EDGED_INFO = 6, EDGED_DEBUG = 7 };

struct edged_log_1 {
	uint32_t struct_size;
	/* One line, without newline; longer than 1,000 bytes is cut. Never put secrets here. */
	__attribute__((format(printf, 3, 4))) void (*log)(
	        struct edged_host *host, enum edged_level level, const char *format, ...);
};

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Words that fake_host hears and reads: the log of a plugin, and its settings. */
#ifndef TESTS_FAKE_WORDS_H
#define TESTS_FAKE_WORDS_H

#include "edged/cap_config.h"
#include "edged/cap_log.h"
#include "fake_host.h"

/* Notices and what is worse go to standard error, all with FAKE_LOG in the environment. */
extern const struct edged_log_1 fake_log;
void fake_be_quiet(void); /* nothing does from now on, without FAKE_LOG */
/* What was set, else the default. Aborts when there is none of that name. */
int64_t fake_setting(
        const struct fake_setting *settings, const struct edged_setting *defaults, const char *name);
/* A choice is set by its number, from 0; good until the next call. All other settings of text are empty. */
const char *fake_text(
        const struct fake_setting *settings, const struct edged_setting *defaults, const char *name);
/* The default, as JSON. */
struct edged_slice fake_json(const struct edged_setting *defaults, const char *name);

#endif

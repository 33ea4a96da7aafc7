/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration: JSON with comments, judged by tables of `struct edged_setting`. The daemon's sections and
 * each plugin's section come from the same kind of table. A value knows where it came from: default, file
 * (line and column), or command line. Later sources win: default < file < --set / options.
 *
 *     { "log": {"level": "info"}, "plugins": {"broker": {"limits": {"packet": "256k"}}} }
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stdio.h>
#include "edged/plugin.h"
#include "base/buf.h"
#include "base/err.h"

struct conf;

/* All findings of one check, one line each, "FILE:LINE:COLUMN: key.path: what is wrong, what is allowed".
 * Begin with { 0 }; the same one may serve many calls. Warnings ("FILE:LINE:COLUMN: warning: ...") are in the
 * text alone. */
struct conf_findings {
	struct buf text;
	unsigned errors;
};
void conf_findings_fini(struct conf_findings *findings);

EDGED_MUST_CHECK int conf_new(struct conf **ret);
void conf_free(struct conf *conf);

/* Declares a section ("log", "http", "plugins.broker") before or after values are loaded. The table is
 * copied. Values of the section that are already loaded are judged now. setting_size as in edged_plugin.
 * `check` may be NULL; it sees durations in ms and sizes in bytes, as conf_json() gives them. -EEXIST;
 * -EINVAL (findings say what): the section is not declared, and may be declared again. */
EDGED_MUST_CHECK int conf_declare(struct conf *conf, const char *section,
        const struct edged_setting *settings, uint32_t setting_size,
        int (*check)(struct edged_slice config, char *why, size_t why_size), struct conf_findings *findings);
void conf_undeclare(struct conf *conf, const char *section);
/* Says which rows of a declared section (names as in its table, NULL-terminated; NULL: none) take effect at a reload; all
 * others do at a restart. -EINVAL: the finding names one that is no row. */
EDGED_MUST_CHECK int conf_reloadable(
        struct conf *conf, const char *section, const char *const *names, struct conf_findings *findings);
/* A reload: takes the sources of `fresh`, which has the same sections, judged and without errors, and the values of keys
 * that take effect at a reload; the others keep theirs. `changed` is called for every key whose value differs, afterwards;
 * `now`: it took effect. `fresh` is only good to be freed then. -ENOMEM: nothing has changed. */
EDGED_MUST_CHECK int conf_adopt(struct conf *conf, struct conf *fresh,
        void (*changed)(void *arg, const char *key, bool now), void *arg);

/* Reads a file (at most 1 MiB). Syntax errors and values that break a declared table are findings; all of
 * them, not only the first. -EINVAL (findings say what); other errors when it cannot be read (a finding too).
 * What is good in a file counts all the same, so that one pass finds everything. A comma behind a last member
 * is allowed. */
EDGED_MUST_CHECK int conf_load_file(struct conf *conf, const char *path, struct conf_findings *findings);
EDGED_MUST_CHECK int conf_load_text(
        struct conf *conf, const char *name, struct edged_slice text, struct conf_findings *findings);
/* --set log.level="debug": the value is JSON; text that is no JSON is taken as a string. */
EDGED_MUST_CHECK int conf_set(
        struct conf *conf, const char *assignment, const char *origin, struct conf_findings *findings);
/* Once everything is declared: keys that no table knows, with "did you mean". Sections below "plugins" of
 * plugins that are not installed are warnings in the text, not errors. */
EDGED_MUST_CHECK int conf_finish(struct conf *conf, struct conf_findings *findings);
/* A finding of the caller's own about a declared key, or about one item (>= 0) of its list, at the place
 * where the value was set. Returns -EINVAL. */
int conf_complain(struct conf *conf, const char *key, int item, struct conf_findings *findings,
        const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Reading; the key must be declared with a fitting type (else abort: a bug). "log.level",
 * "plugins.broker.limits.packet" */
bool conf_bool(const struct conf *conf, const char *key);
int64_t conf_int(const struct conf *conf, const char *key); /* INT, DURATION in ms, SIZE in bytes, BOOL */
const char *conf_string(const struct conf *conf, const char *key); /* STRING, CHOICE */
/* i-th of STRINGS, or NULL beyond the end. */
const char *conf_strings(const struct conf *conf, const char *key, size_t i);
/* Any value or whole section as JSON text with defaults filled in, durations in ms and sizes in bytes. Valid
 * until the next change of conf. An empty slice: no memory. */
struct edged_slice conf_json(const struct conf *conf, const char *key);

/* --print-config: every key with value, origin and text, as JSON with comments. */
EDGED_MUST_CHECK int conf_print(const struct conf *conf, struct buf *out);
/* The same with defaults, every key commented out: a file to begin with. */
EDGED_MUST_CHECK int conf_print_sample(const struct conf *conf, struct buf *out);
/* JSON Schema 2020-12 of all declared sections. */
EDGED_MUST_CHECK int conf_print_schema(const struct conf *conf, struct buf *out);
/* The options as a section of a manual page (mdoc(7) list items). */
EDGED_MUST_CHECK int conf_print_manual(const struct conf *conf, struct buf *out);
/* GET /edge/v1/config: {"key": {"value":..., "origin":...}} */
EDGED_MUST_CHECK int conf_print_json(const struct conf *conf, struct buf *out);

#endif

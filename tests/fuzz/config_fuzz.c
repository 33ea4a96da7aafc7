/* layers: base core conf */
/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: any bytes as a file. What loads must print, and what is printed must load to the same values. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "conf/tables.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const struct edged_setting table[] = {
	{ "limits.packet", EDGED_TYPE_SIZE, "\"256k\"", 1024, 1 << 28, "bytes", NULL, "Longest packet" },
	{ "any", EDGED_TYPE_JSON, "{}", 0, 0, NULL, NULL, "Anything" },
	{ "words", EDGED_TYPE_STRINGS, "[]", 0, 0, NULL, NULL, "Words" },
	{ 0 },
};

static struct conf *make(struct conf_findings *findings)
{
	struct conf *conf;
	if (conf_new(&conf) || conf_declare_daemon(conf, findings))
		abort();
	return conf;
}

static void check_print(const struct conf *conf)
{
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	struct conf *again = make(&findings);
	if (conf_print(conf, &text) || conf_load_text(again, "printed", buf_slice(&text), &findings) ||
	        conf_declare(again, "plugins.x", table, sizeof(table[0]), NULL, &findings) ||
	        conf_finish(again, &findings))
		abort();
	if (!edged_slice_eq(conf_json(conf, ""), conf_json(again, "")))
		abort();
	conf_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	CLEANUP(conf_findings_fini) struct conf_findings findings = { 0 };
	struct conf *conf = make(&findings);
	int loaded = conf_load_text(conf, "fuzz", edged_slice(bytes, n), &findings);
	int declared = conf_declare(conf, "plugins.x", table, sizeof(table[0]), NULL, &findings);
	int finished = conf_finish(conf, &findings);
	if ((loaded || declared || finished) != (findings.errors > 0))
		abort();
	if (!findings.errors)
		check_print(conf);
	conf_free(conf);
	return 0;
}

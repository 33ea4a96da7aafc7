/* SPDX-License-Identifier: Apache-2.0 */
/* Judges what was loaded by what was declared. */
#ifndef CONF_JUDGE_H
#define CONF_JUDGE_H

#include "conf/model.h"

/* Takes over what the sources from `first_source` on say about one section, or (NULL) about all declared
 * ones. What is wrong becomes findings; the return value is 0 or -ENOMEM. */
EDGED_MUST_CHECK int judge_sources(
        struct conf *conf, size_t first_source, struct conf_section *only, struct conf_findings *findings);
/* Keys of sections that nobody declared. */
EDGED_MUST_CHECK int judge_strangers(const struct conf *conf, struct conf_findings *findings);

#endif

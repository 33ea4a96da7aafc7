/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairing codes: eight digits that people copy by hand. The last is a check digit (ISO/IEC 7064, MOD 11,10): a single wrong
 * digit and nearly every swap of neighbours is told from a wrong code, and costs none of the few tries. Seven are random.
 */
#ifndef CLUSTER_PAIR_CODE_H
#define CLUSTER_PAIR_CODE_H

#include "edged/slice.h"
#include "base/err.h"

enum { PAIR_CODE = 8, PAIR_CODE_TEXT = PAIR_CODE + 1 /* "1234-5674", as people read it */ };

/* -EIO: no random numbers. */
EDGED_MUST_CHECK int pair_code_make(char ret[PAIR_CODE + 1]);
/* Spaces and hyphens do not count. -EINVAL with a sentence that says what is wrong with it. */
EDGED_MUST_CHECK int pair_code_read(struct edged_slice text, char ret[PAIR_CODE + 1], struct err *err);
void pair_code_format(const char code[PAIR_CODE + 1], char ret[PAIR_CODE_TEXT + 1]);

#endif

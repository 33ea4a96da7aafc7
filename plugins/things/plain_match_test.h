/* SPDX-License-Identifier: Apache-2.0 */
/* A slow and plain matcher of patterns, which pattern_match() has to agree with; for tests and the fuzzer. */
#ifndef THINGS_PLAIN_MATCH_TEST_H
#define THINGS_PLAIN_MATCH_TEST_H

#include <stdlib.h>
#include "pattern.h"

enum { PLAIN_MAX = 300 }; /* bytes of pattern and text; longer than what is searched in the short way */

/* Each byte of the pattern takes the set of places in the text where it may have come to one step further. */
static inline bool plainly_matches(struct edged_slice pattern, struct edged_slice text)
{
	bool at[PLAIN_MAX + 1] = { true };
	for (size_t p = 0; p < pattern.len; p++) {
		bool next[PLAIN_MAX + 1] = { false }, any = false;
		for (size_t i = 0; i <= text.len; i++) {
			size_t n = i < text.len;
			any = any || at[i];
			while (n && i + n < text.len && ((uint8_t)text.ptr[i + n] & 0xc0) == 0x80 &&
			        pattern.ptr[p] == '?')
				n++;
			if (pattern.ptr[p] == '*')
				next[i] = any;
			else if (at[i] && n && (pattern.ptr[p] == '?' || pattern.ptr[p] == text.ptr[i]))
				next[i + n] = true;
		}
		memcpy(at, next, sizeof(at));
	}
	return at[text.len];
}

/* Do both matchers agree? The bytes stand for others of a small alphabet, so that patterns often match. */
static inline bool matchers_agree(struct edged_slice pattern_seed, struct edged_slice text_seed)
{
	static const char signs[] = "ab/1*?\xc3\xa4", letters[] = "ab/1ab\xc3\xa4";
	char pattern[PLAIN_MAX], text[PLAIN_MAX];
	struct arena arena = { 0 };
	struct pattern read;
	const char *why;
	size_t n = pattern_seed.len < PLAIN_MAX ? pattern_seed.len : PLAIN_MAX,
	       m = text_seed.len < PLAIN_MAX ? text_seed.len : PLAIN_MAX;
	for (size_t i = 0; i < n; i++)
		pattern[i] = signs[(uint8_t)pattern_seed.ptr[i] % 8];
	for (size_t i = 0; i < m; i++)
		text[i] = letters[(uint8_t)text_seed.ptr[i] % 8];
	bool agree = pattern_read(edged_slice(pattern, n), PATTERN_WILDCARDS, &arena, &read, &why) != 0 ||
	             pattern_match(read.pieces, read.count, edged_slice(text, m)) ==
	                     plainly_matches(edged_slice(pattern, n), edged_slice(text, m));
	arena_fini(&arena);
	return agree;
}

#endif

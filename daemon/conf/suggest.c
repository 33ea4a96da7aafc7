/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define LONGEST 64

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static unsigned smallest(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;
	return m < c ? m : c;
}

/* Optimal string alignment distance over three rows of the usual table. */
static unsigned edits(const char *a, size_t an, const char *b, size_t bn)
{
	unsigned rows[3][LONGEST + 1];
	unsigned *before = rows[0], *last = rows[1], *now = rows[2];
	for (unsigned j = 0; j <= bn; j++)
		last[j] = j;
	for (unsigned i = 1; i <= an; i++) {
		now[0] = i;
		for (unsigned j = 1; j <= bn; j++) {
			unsigned change = last[j - 1] + !same(a[i - 1], b[j - 1]);
			now[j] = smallest(last[j] + 1, now[j - 1] + 1, change);
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]) &&
			        before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		unsigned *oldest = before;
		before = last;
		last = now;
		now = oldest;
	}
	return last[bn];
}

void suggest_begin(struct suggestion *suggestion, const char *word)
{
	*suggestion = (struct suggestion){ .word = word };
}

void suggest_try(struct suggestion *suggestion, const char *candidate)
{
	size_t wn = strlen(suggestion->word), cn = strlen(candidate);
	if (wn == 0 || wn > LONGEST || cn == 0 || cn > LONGEST)
		return;
	unsigned distance = edits(suggestion->word, wn, candidate, cn);
	unsigned most = cn < 3 ? 0 : (unsigned)(cn + 2) / 3;
	if (distance > most || (suggestion->best && distance >= suggestion->distance))
		return;
	suggestion->best = candidate;
	suggestion->distance = distance;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns of policies: text in which `*` means any run of characters and `?` one character, with variables ${name} and
 * the escapes ${*} ${?} ${$}. All else is literal, also the `+` and `#` of MQTT. A pattern is read once, bound to a
 * subject (values take the place of the variables, never as patterns), and then matched without allocation. Pure.
 */
#ifndef THINGS_PATTERN_H
#define THINGS_PATTERN_H

#include "arena.h"
#include "variable.h"

enum piece_kind { PIECE_TEXT, PIECE_ONE, PIECE_MANY, PIECE_VARIABLE };

struct piece {
	uint8_t kind;
	struct edged_slice text;  /* PIECE_TEXT */
	struct variable variable; /* PIECE_VARIABLE */
};

struct pattern {
	struct piece *pieces; /* in an arena, with all they point to */
	size_t count;
};

enum { PATTERN_VARIABLES = 1, PATTERN_WILDCARDS = 2 };
/* Reads `text`; what it may hold beside literal characters is said by flags. 0; -EINVAL with a sentence; -ENOMEM. */
int pattern_read(struct edged_slice text, unsigned flags, struct arena *arena, struct pattern *ret,
        const char **ret_why);

/* Whose values take the place of variables. `index` counts the values of one variable from 0. */
struct subject {
	bool (*value)(
	        const void *arg, const struct variable *variable, unsigned index, struct edged_slice *ret);
	const void *arg;
};
enum { VALUE_MAX = 1024 /* longer ones are not used (AWS: certificate policy variables) */ };

enum { BOUND = 0, BOUND_UNKNOWN = 1, BOUND_UNSAFE = 2 };
/* BOUND and *ret, without variables and neighbouring texts. BOUND_UNKNOWN: the subject has no such value. BOUND_UNSAFE: a
 * value holds a character with a meaning of its own in filters or patterns (+ # * ? and control characters), is
 * empty or too long; *ret has it as literal text. -ENOMEM. */
int pattern_bind(const struct pattern *pattern, const struct subject *subject, struct arena *arena,
        struct pattern *ret);

/* Does a bound pattern match all of `text`? No allocation. A `?` takes one UTF-8 character. */
bool pattern_match(const struct piece *pieces, size_t count, struct edged_slice text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/pair_code.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>

enum { RANDOM = 10000000 };

static char check_digit(const char *digits)
{
	unsigned product = 10;
	for (unsigned i = 0; i < PAIR_CODE - 1; i++) {
		unsigned sum = (product + (unsigned)(digits[i] - '0')) % 10;
		product = (sum ? sum : 10) * 2 % 11;
	}
	return (char)('0' + (11 - product) % 10);
}

int pair_code_make(char ret[PAIR_CODE + 1])
{
	if (sodium_init() < 0)
		return -EIO;
	snprintf(ret, PAIR_CODE + 1, "%07u", (unsigned)randombytes_uniform(RANDOM));
	ret[PAIR_CODE - 1] = check_digit(ret);
	ret[PAIR_CODE] = '\0';
	return 0;
}

int pair_code_read(struct edged_slice text, char ret[PAIR_CODE + 1], struct err *err)
{
	char digits[PAIR_CODE + 1] = "";
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (c == ' ' || c == '-')
			continue;
		if (c < '0' || c > '9')
			return err_set(err, -EINVAL, "a pairing code has digits only, such as 1234-5678");
		if (n < PAIR_CODE)
			digits[n] = c;
		n++;
	}
	if (n != PAIR_CODE)
		return err_set(err, -EINVAL, "a pairing code has %d digits, not %zu", PAIR_CODE, n);
	if (digits[PAIR_CODE - 1] != check_digit(digits))
		return err_set(err, -EINVAL,
		        "the digits do not fit together: one was mistyped or two were swapped; compare them "
		        "with the "
		        "new node's");
	memcpy(ret, digits, sizeof(digits));
	return 0;
}

void pair_code_format(const char code[PAIR_CODE + 1], char ret[PAIR_CODE_TEXT + 1])
{
	snprintf(ret, PAIR_CODE_TEXT + 1, "%.4s-%.4s", code, code + 4);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/nodeid.h"

enum {
	GROUPS = 4,
	GROUP = 13, /* characters of a group before its check character */
	DIGITS = GROUPS * GROUP,
};

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

static int digit_of(char c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= '2' && c <= '7')
		return c - '2' + 26;
	return -1;
}

/* Luhn mod 32 over one group: finds every single wrong character and nearly every swap of neighbours. */
static uint8_t check_digit(const uint8_t digits[GROUP])
{
	unsigned sum = 0, factor = 2;
	for (int i = GROUP - 1; i >= 0; i--) {
		unsigned addend = factor * digits[i];
		sum += addend / 32 + addend % 32;
		factor = 3 - factor;
	}
	return (uint8_t)((32 - sum % 32) % 32);
}

void node_id_format(const uint8_t hash[32], char ret[NODE_ID_LEN + 1])
{
	uint8_t digits[DIGITS];
	for (unsigned i = 0; i < DIGITS; i++) {
		unsigned bit = i * 5, byte = bit / 8, shift = bit % 8;
		unsigned window = (unsigned)hash[byte] << 8 | (byte + 1 < 32 ? hash[byte + 1] : 0);
		digits[i] = (uint8_t)(window >> (11 - shift) & 31);
	}
	for (unsigned g = 0; g < GROUPS; g++) {
		for (unsigned i = 0; i < GROUP; i++)
			*ret++ = alphabet[digits[g * GROUP + i]];
		*ret++ = alphabet[check_digit(digits + g * GROUP)];
	}
	*ret = '\0';
}

static bool read_digits(struct edged_slice id, uint8_t digits[DIGITS])
{
	if (id.len != NODE_ID_LEN)
		return false;
	for (unsigned g = 0; g < GROUPS; g++) {
		const char *text = id.ptr + (size_t)g * (GROUP + 1);
		for (unsigned i = 0; i < GROUP; i++) {
			int digit = digit_of(text[i]);
			if (digit < 0)
				return false;
			digits[g * GROUP + i] = (uint8_t)digit;
		}
		if (digit_of(text[GROUP]) != check_digit(digits + g * GROUP))
			return false;
	}
	return true;
}

bool node_id_parse(struct edged_slice id, uint8_t ret_hash[32])
{
	uint8_t digits[DIGITS];
	/* 52 digits hold 260 bits: the last four must be zero, so that one key has one id. */
	if (!read_digits(id, digits) || digits[DIGITS - 1] & 15)
		return false;
	uint32_t bits = 0;
	unsigned held = 0, n = 0;
	for (unsigned i = 0; i < DIGITS; i++) {
		bits = bits << 5 | digits[i];
		held += 5;
		if (held >= 8 && n < 32) {
			held -= 8;
			ret_hash[n++] = (uint8_t)(bits >> held);
		}
	}
	return true;
}

bool node_id_valid(struct edged_slice id)
{
	uint8_t hash[32];
	return node_id_parse(id, hash);
}

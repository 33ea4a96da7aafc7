/* SPDX-License-Identifier: Apache-2.0 */
#include "core/rank.h"

#include <string.h>

static const struct {
	const char *name, *label;
	size_t offset;
	uint8_t max;
} fields[RANK_COUNT] = {
#define RANK_ROW(name, label, max) { #name, label, offsetof(struct rank, name), max },
	RANK_FIELDS(RANK_ROW)
#undef RANK_ROW
};

const char *rank_field_name(enum rank_field field)
{
	return fields[field].name;
}

const char *rank_field_label(enum rank_field field)
{
	return fields[field].label;
}

uint8_t rank_value(const struct rank *rank, enum rank_field field)
{
	return *((const uint8_t *)rank + fields[field].offset);
}

void rank_set(struct rank *rank, enum rank_field field, uint8_t value)
{
	*((uint8_t *)rank + fields[field].offset) = value > fields[field].max ? fields[field].max : value;
}

const char *rank_value_name(enum rank_field field, uint8_t value)
{
	static const char *const links[] = { "cellular", "Wi-Fi", "wired" };
	static const char *const uplinks[] = { "none", "cellular", "Wi-Fi", "wired" };
	static const char *const yes_no[] = { "no", "yes" };
	static const char *const powers[] = { "battery", "mains" };
	switch (field) {
	case RANK_eligible:
		return yes_no[value & 1];
	case RANK_mains:
		return powers[value & 1];
	case RANK_uplink:
		return uplinks[value & 3];
	case RANK_link:
		return value < 3 ? links[value] : NULL;
	case RANK_pin:
	case RANK_capacity:
	case RANK_stability:
	case RANK_COUNT:
		break;
	}
	return NULL;
}

int rank_compare(const struct rank *a, const struct rank *b, enum rank_field *ret_field)
{
	for (int i = 0; i < RANK_COUNT; i++) {
		int d = (int)rank_value(a, (enum rank_field)i) - (int)rank_value(b, (enum rank_field)i);
		if (d) {
			if (ret_field)
				*ret_field = (enum rank_field)i;
			return d;
		}
	}
	return 0;
}

int rank_compare_ids(
        const struct rank *a, const uint8_t a_id[32], const struct rank *b, const uint8_t b_id[32])
{
	int d = rank_compare(a, b, NULL);
	return d ? d : memcmp(b_id, a_id, 32);
}

bool rank_better_class(const struct rank *a, const struct rank *b)
{
	enum rank_field field = RANK_COUNT;
	return rank_compare(a, b, &field) > 0 && field < RANK_stability;
}

uint8_t rank_capacity_class(unsigned cores, uint64_t memory_mib)
{
	/* four cores with 1 GiB are class 2, four with 8 GiB class 3, 32 with 64 GiB class 6 */
	uint64_t product = (uint64_t)(cores ? cores : 1) * memory_mib / 256;
	uint8_t class = 0;
	for (; product >= 4 && class < 8; product /= 4)
		class ++;
	return class;
}

uint8_t rank_stability_class(uint64_t uptime_ms, unsigned failures)
{
	uint8_t class = uptime_ms < 10 * 60000u     ? 0
	                : uptime_ms < 24 * 3600000u ? 1
	                : uptime_ms < 7 * 86400000u ? 2
	                                            : 3;
	return failures >= class ? 0 : (uint8_t)(class - failures);
}

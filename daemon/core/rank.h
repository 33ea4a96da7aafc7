/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fit a node is to be supernode: a tuple of coarse classes compared in order. The classes are coarse on
 * purpose: what only wavers within a class changes nothing. Pure.
 */
#ifndef CORE_RANK_H
#define CORE_RANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name, label for people, highest value; in order of weight */
#define RANK_FIELDS(X)                                                                                       \
	X(eligible, "eligible", 1)                                                                           \
	X(pin, "pinned by the operator", 255)                                                                \
	X(mains, "mains power", 1)                                                                           \
	X(uplink, "uplink class", 3)                                                                         \
	X(link, "link class", 2)                                                                             \
	X(capacity, "capacity class", 8)                                                                     \
	X(stability, "stability class", 3)

struct rank {
#define RANK_MEMBER(name, label, max) uint8_t name;
	RANK_FIELDS(RANK_MEMBER)
#undef RANK_MEMBER
};

enum rank_field {
#define RANK_ENUM(name, label, max) RANK_##name,
	RANK_FIELDS(RANK_ENUM)
#undef RANK_ENUM
	        RANK_COUNT
};

/* Values of `link` and `uplink`. */
enum { LINK_CELLULAR = 0, LINK_WIFI = 1, LINK_WIRED = 2 };
enum { UPLINK_NONE = 0, UPLINK_CELLULAR = 1, UPLINK_WIFI = 2, UPLINK_WIRED = 3 };

const char *rank_field_name(enum rank_field field);  /* "uplink" */
const char *rank_field_label(enum rank_field field); /* "uplink class" */
uint8_t rank_value(const struct rank *rank, enum rank_field field);
void rank_set(struct rank *rank, enum rank_field field, uint8_t value); /* clamped to the field's range */
/* What a value means to people: "wired", "Wi-Fi", ... or NULL when the number says it all. */
const char *rank_value_name(enum rank_field field, uint8_t value);

/* > 0: a is fitter. *ret_field (may be NULL) gets the field that decided. */
int rank_compare(const struct rank *a, const struct rank *b, enum rank_field *ret_field);
/* As rank_compare(), and at a draw the lower id wins. */
int rank_compare_ids(
        const struct rank *a, const uint8_t a_id[32], const struct rank *b, const uint8_t b_id[32]);
/* Is `a` better in a way that justifies replacing a supernode that works? Stability and id are no such ways.
 */
bool rank_better_class(const struct rank *a, const struct rank *b);

/* 0..8: every fourfold of cores x memory is one class more, from one core with 256 MiB. */
uint8_t rank_capacity_class(unsigned cores, uint64_t memory_mib);
/* 0..3 from how long it has run and how often it failed lately. */
uint8_t rank_stability_class(uint64_t uptime_ms, unsigned failures);

#endif

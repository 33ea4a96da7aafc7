/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of a shared cache (RFC 9111): what may be stored, how old and how fresh it is, and when it may be given. Pure.
 *
 * Only answers that say how long they are fresh are stored, or that they are to be validated each time: nothing is guessed from
 * Last-Modified (section 4.2.2 allows it, and does not ask for it). Ages are the Age of the answer, the time the request took, and how
 * long it has been here by a clock that runs on while the host sleeps and is never set; the clocks of two nodes are never
 * compared but for Expires.
 */
#ifndef CACHE_RULES_H
#define CACHE_RULES_H

#include "edged/cap_proxy.h"
#include "control.h"

/* What is known of the freshness of a stored answer. */
struct freshness {
	int64_t life_ms;   /* section 4.2.1; 0: none */
	int64_t age_ms;    /* when it came (section 4.2.3) */
	uint64_t since_ms; /* when it came, by the clock of `now_ms` below */
	bool validate;     /* never to be given without */
	bool never_stale;  /* must-revalidate and what counts as it */
	int64_t error_ms;  /* stale-if-error; -1: not said */
};

/* When an answer came. */
struct moment {
	uint64_t asked_ms, now_ms; /* of one clock: when the request went, and when the answer came */
	int64_t wall_s;            /* seconds since 1970, now */
};

/* Of an answer that says that of itself; Age and Date are those of what has just `come` (the same, or the 304 that makes it fresh
 * again). */
struct freshness rules_freshness(const struct edged_proxy_answer *answer,
        const struct edged_proxy_answer *came, const struct moment *moment);
/* May the answer to this GET be stored (section 3)? */
bool rules_may_store(const struct edged_proxy_request *request, const struct edged_proxy_answer *answer,
        const struct freshness *fresh);
/* Milliseconds that are left, below zero when it is stale. */
int64_t rules_left(const struct freshness *fresh, uint64_t now_ms);
int64_t rules_age_s(const struct freshness *fresh, uint64_t now_ms);

enum rules_use {
	RULES_GIVE,    /* it may be given as it is */
	RULES_STALE,   /* not any more: it must be validated */
	RULES_REQUEST, /* the request wants it validated, or fresher than it is */
};
enum rules_use rules_use(const struct freshness *fresh, const struct control *request, uint64_t now_ms);
/* May it be given since the one who should validate it answered with an error, or not at all (RFC 5861 section 4)? */
bool rules_use_on_error(const struct freshness *fresh, const struct control *request, uint64_t now_ms);
bool rules_is_error(int status);
bool rules_is_safe(struct edged_slice method);
/* Does what the client has already make it a 304 (RFC 9111 section 4.3.2)? */
bool rules_not_modified(
        const struct edged_proxy_request *request, const struct edged_http_field *stored, size_t count);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What headers say to caches: Cache-Control (RFC 9111 section 5.2, RFC 5861), dates, entity tags and lists. Pure. */
#ifndef CACHE_CONTROL_H
#define CACHE_CONTROL_H

#include <stdbool.h>
#include "edged/cap_auth.h" /* struct edged_http_field */

/* Seconds of a directive that is not there, and of one that is no number. */
enum { CONTROL_NONE = -1, CONTROL_BAD = -2 };
/* Longer ones count as this. */
#define CONTROL_MOST INT64_C(9999999999)

/* Directives of requests and of answers; the first of each name counts (section 4.2.1), unknown ones do not. Those that can
 * name fields (private, no-cache) are taken as if they named none. */
struct control {
	bool no_store, no_cache, is_private, is_public, must_revalidate, proxy_revalidate, only_if_cached;
	bool any_stale;                                                  /* max-stale without a number */
	int64_t max_age, s_maxage, min_fresh, max_stale, stale_if_error; /* seconds, or CONTROL_... */
};

/* Of one field's value. */
struct control control_parse(struct edged_slice value);
/* Of all fields "Cache-Control"; without any, "Pragma: no-cache" counts as no-cache (section 5.4). */
struct control control_of(const struct edged_http_field *fields, size_t count);

/* --- fields --- */

bool field_is(const struct edged_http_field *field, const char *name); /* in any case */
/* The first of that name; .ptr NULL: none. */
struct edged_slice field_value(const struct edged_http_field *fields, size_t count, const char *name);
/* The next item of a list, without blanks around (RFC 9110 section 5.6.1); commas in quoted strings do not part. False: no
 * more. Empty items are passed over. */
bool items_next(struct edged_slice *left, struct edged_slice *ret);
/* Does the list of entity tags of all fields of that name hold that one, or "*"? Weak ones are as good (section 8.8.3.2). */
bool tags_hold(const struct edged_http_field *fields, size_t count, const char *name, struct edged_slice tag);
/* Seconds since 1970 of an HTTP date in any of its three forms (section 5.6.7); -1: it is none. */
int64_t date_parse(struct edged_slice text);

#endif

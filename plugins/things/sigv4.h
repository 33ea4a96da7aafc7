/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS Signature Version 4 (AWS, "Signature Version 4 signing process"; "Create a signed AWS API request"), in the
 * Authorization header of a request, or in its query, as MQTT over WebSocket has it. Pure.
 *
 * Refused, although AWS would take it: a path with empty or dot segments, which the signer and whoever serves it might
 * read differently; an unsigned payload; a session token, as there are no temporary keys here.
 */
#ifndef THINGS_SIGV4_H
#define THINGS_SIGV4_H

#include "edged/cap_auth.h"

enum { SIGV4_SKEW_S = 300 }; /* by which clocks may differ */

/* What a request says of its signature; slices point into the request, but for what the query has percent-encoded. */
struct sigv4 {
	bool presigned; /* it is in the query */
	char credential[256];
	struct edged_slice key_id;                       /* of the credential */
	struct edged_slice scope, date, region, service; /* the same: DATE/REGION/SERVICE/aws4_request */
	char headers[1024];                              /* names of the signed ones, "host;x-amz-date" */
	char time[17];                                   /* "20150830T123600Z" */
	int64_t at;                                      /* the same in s since 1970 */
	int64_t good_s;                                  /* from then on */
	uint8_t signature[32];
};

enum { SIGV4_NONE = 1 };
/* 0; SIGV4_NONE: it bears no such signature; -EINVAL with a sentence (static text). */
int sigv4_read(const struct edged_http_message *message, struct sigv4 *ret, const char **ret_why);
/* 0, or -EINVAL with a sentence: it is too old, or from the future. */
int sigv4_judge_time(const struct sigv4 *sigv4, int64_t now_s, const char **ret_why);
/* Was it made with this secret, of this request? 0, or -EINVAL with a sentence. */
int sigv4_verify(const struct edged_http_message *message, const struct sigv4 *sigv4,
        struct edged_slice secret, const char **ret_why);

#endif

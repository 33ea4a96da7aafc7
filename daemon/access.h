/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may use the REST interface. The Unix socket admits its owner and root; loopback wants the access key as a bearer
 * token (RFC 6750), or nothing under --dev; the secure port wants a certificate that this node trusts. Health is
 * open to all who reach the node, and a node that joins may reach the one path that proves its token.
 */
#ifndef ACCESS_H
#define ACCESS_H

#include <stdbool.h>
#include "edged/peer.h"
#include "edged/slice.h"
#include "base/err.h"

struct access;

/* Reads the key from `path`, or makes one (32 random bytes, mode 0600); a power cut leaves no half of one. */
EDGED_MUST_CHECK int access_new(const char *path, bool dev, struct access **ret, struct err *err);
void access_free(struct access *access);

struct access_request {
	struct edged_slice method, path, host, authorization; /* headers: .ptr NULL when absent */
	const struct edged_peer *peer;
};
/* What is asked for is for anybody; who asks is not trusted for that. */
enum { ACCESS_ANYBODY = 1 };
/* 0: it may use this node; ACCESS_ANYBODY; or the status of the refusal (401, 403) with a title and a detail, static text. */
int access_judge(const struct access *access, const struct access_request *request, const char **ret_title,
        const char **ret_detail);

#endif

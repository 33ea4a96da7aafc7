/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability "edged.shadow/1", offered by the plugin that keeps device shadows: read and change one. What AWS says of shadows
 * holds (AWS IoT Developer Guide, "AWS IoT Device Shadow service"): limits, versions, what is told on which topics.
 *
 * Functions take the capability's own `ctx` first, then the calling plugin's host. Nobody's rights are judged: that is the
 * caller's. Main loop only.
 */
#ifndef EDGED_CAP_SHADOW_H
#define EDGED_CAP_SHADOW_H

#include "edged/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_SHADOW_1 "edged.shadow/1"

/* How it ended; slices are borrowed for the time of the call. */
struct edged_shadow_result {
	uint32_t struct_size;
	/* 200, or as HTTP would have it: 400 not a valid name or document, 404 no such shadow, 409 another version is in the document,
	 * 412 it has not the version asked for, 413 too large, 429 too many requests of this thing are in flight, 500; 503 its home
	 * node is away, and nothing was changed; 504 its home node has not answered, and may have changed it. */
	int status;
	const char *why; /* for people; "" when the status is 200 */
	int64_t version; /* when the status is 200 */
	/* When the status is 200: the document, {"state": {"desired", "reported", "delta"}, "metadata", "version", "timestamp"}. */
	struct edged_slice document;
	/* Below 0: it is that of the shadow's home node. Else a copy, while that node is away or because a copy is here: so many
	 * seconds ago it was the home's. */
	int64_t age;
};
/* Called once for each call that returned 0, also from within it; not after forget(). A change is on the disk by then. */
typedef void edged_shadow_done(void *arg, const struct edged_shadow_result *result);

enum edged_shadow_change {
	EDGED_SHADOW_MERGE = 1, /* the state is a merge patch (RFC 7396) */
	EDGED_SHADOW_REPLACE /* sections of the state take the place of those that there are; others stay */
};

/* For `match`, instead of a version. */
#define EDGED_SHADOW_ANY    (-1) /* whichever it is, or none yet */
#define EDGED_SHADOW_EXISTS (-2) /* whichever it is */

struct edged_shadow_1 {
	uint32_t struct_size;
	void *ctx;
	/* `name` is that of a named shadow; empty: the classic one. -ENOMEM. */
	EDGED_MUST_CHECK int (*get)(void *ctx, struct edged_host *host, struct edged_slice thing,
	        struct edged_slice name, edged_shadow_done *done, void *arg);
	/* `state` is JSON, {"desired": {..}, "reported": {..}}, one of them or both. match: the version that the shadow must have
	 * (else 412), or one of the above. -ENOMEM, -EINVAL. */
	EDGED_MUST_CHECK int (*change)(void *ctx, struct edged_host *host, struct edged_slice thing,
	        struct edged_slice name, enum edged_shadow_change how, struct edged_slice state,
	        int64_t match, edged_shadow_done *done, void *arg);
	/* No done() of this plugin is called any more: for its stop(). */
	void (*forget)(void *ctx, struct edged_host *host);
};

#ifdef __cplusplus
}
#endif

#endif

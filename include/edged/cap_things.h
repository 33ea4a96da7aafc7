/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability "edged.things/1", offered by the registry of devices: which things and groups there are, and what is known of them.
 *
 * Names of things are 1 to 128 characters of a-z, A-Z, 0-9, ':', '_', '-'. What is told is in force; it is on the disk, or on its way
 * there (when that fails, watchers hear that anything may have changed). Functions take the capability's own `ctx` first,
 * then the calling plugin's host. Main loop only.
 */
#ifndef EDGED_CAP_THINGS_H
#define EDGED_CAP_THINGS_H

#include "edged/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_THINGS_1 "edged.things/1"

struct edged_things_1 {
	uint32_t struct_size;
	void *ctx;
	bool (*exists)(void *ctx, struct edged_host *host, struct edged_slice thing);
	/* A JSON object with the members of GET /things/v1/things/{thing} ("name", "type", "attributes", "groups", "enabled",
	 * "created" in ms since 1970, "version", ...) but its certificates; members without a value are absent. Terminated,
	 * to be freed with free(). NULL: there is none, or no memory. */
	char *(*describe)(void *ctx, struct edged_host *host, struct edged_slice thing);
	/* The name that comes after `name` in the order of bytes, whether that is there or not; after the empty one the first
	 * of all. Empty (.ptr NULL): there is none. Valid until anything changes. A walk over all of many things belongs into several
	 * turns of the loop. */
	struct edged_slice (*next)(void *ctx, struct edged_host *host, struct edged_slice name);
	/* changed(arg, thing) after a thing was made, changed (its groups, too) or removed; an empty name: any may have been. Until unwatch() with the
	 * same arg, at the latest in the plugin's own stop(). -ENOMEM. */
	EDGED_MUST_CHECK int (*watch)(void *ctx, struct edged_host *host,
	        void (*changed)(void *arg, struct edged_slice thing), void *arg);
	void (*unwatch)(void *ctx, struct edged_host *host, void *arg);
	/* Is there such a group? Is the thing in it? */
	bool (*group)(void *ctx, struct edged_host *host, struct edged_slice group);
	bool (*member)(
	        void *ctx, struct edged_host *host, struct edged_slice group, struct edged_slice thing);
	/* each(arg, thing) for all that are in the group, in the order of bytes. It must not change the registry. */
	void (*members)(void *ctx, struct edged_host *host, struct edged_slice group,
	        void (*each)(void *arg, struct edged_slice thing), void *arg);
};

#ifdef __cplusplus
}
#endif

#endif

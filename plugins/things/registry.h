/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that the plugin knows: things, groups, policies, certificates, users and keys, as records of JSON in memory and in
 * the store. A change is in force at once and reported as done once it is on the disk. When the store fails, memory is
 * read anew from what is on the disk, so that both never differ for long. Main loop.
 *
 *     things        {"type", "attributes": {}, "groups": [], "policies": [], "enabled", "created", "version"}
 *     groups        {"description", "policies": [], "created", "version"}
 *     policies      {"document": {}, "created", "version"}
 *     certificates  {"pem", "status", "thing", "policies": [], "until", "created", "version"}; named by fingerprint
 *     users         {"hash", "thing", "policies": [], "enabled", "created", "version"}
 *     keys          {"secret", "description", "thing", "policies": [], "enabled", "created", "version"}; named by id
 */
#ifndef THINGS_REGISTRY_H
#define THINGS_REGISTRY_H

#include "edged/cap_log.h"
#include "edged/cap_metrics.h"
#include "edged/cap_store.h"
#include "table.h"

enum kind { KIND_THING, KIND_GROUP, KIND_POLICY, KIND_CERTIFICATE, KIND_USER, KIND_KEY, KINDS };

struct registry_deps {
	struct edged_host *host;
	const struct edged_store_1 *store;
	const struct edged_log_1 *log;
	const struct edged_metrics_1 *metrics;
	size_t most[KINDS];  /* records */
	size_t policy_bytes; /* of a document */
	/* A record that was there before has changed or gone; KINDS: anything may have. */
	void (*changed)(void *arg, enum kind kind, const char *name);
	void (*made)(void *arg, enum kind kind, const char *name); /* a new record; may be NULL */
	void *arg;
};

struct registry;

int registry_new(const struct registry_deps *deps, struct registry **ret);
/* Changes that the store has not answered are reported as -ECANCELED. NULL is fine. */
void registry_free(struct registry *registry);
/* Reads the store; loaded() is called with 0 or a negative errno. */
EDGED_MUST_CHECK int registry_load(struct registry *registry, void (*loaded)(void *arg, int result));

const struct table *registry_table(const struct registry *registry, enum kind kind);
/* NULL: there is none. Valid until the next change. */
const struct record *registry_find(const struct registry *registry, enum kind kind, struct edged_slice name);

struct change {
	enum kind kind;
	struct edged_slice name;
	json_t *doc; /* NULL: remove. Gets "created" (when it has none) and the next "version". Borrowed. */
};
enum { CHANGES_MAX = 64 };
/* All or none. done() is called exactly once when it returned 0: with 0, or a negative errno when it could not be stored.
 * -ENOSPC: over the number of records; -EBUSY: the store has failed and is being read; -EINVAL: a policy that cannot be
 * compiled; -ENOMEM. */
EDGED_MUST_CHECK int registry_write(struct registry *registry, const struct change *changes, size_t count,
        void (*done)(void *arg, int result), void *arg);

/* Names of each kind. */
bool name_valid(enum kind kind, struct edged_slice name);
const char *kind_word(enum kind kind); /* "thing" */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pieces of the cluster's JSON documents: each appends; that there was no memory sticks, and json_reply() says so. For
 * the files that serve the routes of the cluster.
 */
#ifndef CLUSTER_CLUSTER_JSON_H
#define CLUSTER_CLUSTER_JSON_H

#include "base/buf.h"
#include "cluster/cluster_impl.h"

struct json {
	struct buf buf;
	bool failed;
};

void json_add(struct json *j, const char *text);
/* At most 511 bytes at once. */
void json_addf(struct json *j, const char *format, ...) __attribute__((format(printf, 2, 3)));
void json_string_add(struct json *j, const char *text); /* quoted */
/* "key":"text", with a comma in front when something is there already */
void json_pair(struct json *j, const char *key, const char *text);
void json_time(struct json *j, const char *key, uint64_t wall_ms);
/* {"id":...,"name":... without the end; NULL is this node */
void json_who(struct json *j, const struct cluster *c, const struct member *m);
/* ,"supernode":{...} or null */
void json_supernode(struct json *j, const struct cluster *c);
/* Answers with what was appended, and frees it. */
EDGED_MUST_CHECK int json_reply(const struct cluster *c, edged_handle request, struct json *j);

/* NULL is this node. */
const struct members *cluster_members(const struct cluster *c);
const uint8_t *cluster_id_of(const struct cluster *c, const struct member *m);
const struct node_description *cluster_record_of(const struct cluster *c, const struct member *m);
bool cluster_leads(const struct cluster *c, const struct member *m);
bool cluster_holds(const struct role_grant *grant, const uint8_t *id);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS IoT policies: documents are compiled once; the policies of a principal are bound once to who it is, and then judge
 * each request without allocation. An explicit Deny wins, and what no statement allows is not allowed (AWS IoT Core
 * developer guide: "AWS IoT Core policies").
 *
 * Where AWS leaves a variable without a value as literal text, an Allow that has one allows nothing here, and a value with
 * characters that mean something in filters or patterns (+ # * ?) widens nothing.
 *
 * Regions, accounts and partitions of ARNs are read and not compared: a node has none of its own, and policies come from
 * anywhere. Pure; compiled and bound objects are immutable and shared by all threads.
 */
#ifndef THINGS_POLICY_H
#define THINGS_POLICY_H

#include "action.h"
#include "condition.h"

struct policy;

struct policy_error {
	char path[120];   /* "Statement[1].Action[0]"; empty: the document as a whole */
	char reason[240]; /* a sentence without its end */
};

/* A document, at most `limit` bytes long without the white space between its tokens. -EINVAL with *ret_error; -ENOMEM. */
int policy_compile(
        struct edged_slice document, size_t limit, struct policy **ret, struct policy_error *ret_error);
struct policy *policy_ref(struct policy *policy);
void policy_unref(struct policy *policy); /* NULL is fine */
/* Is it the same for every subject and at every time? */
bool policy_constant(const struct policy *policy);

#endif

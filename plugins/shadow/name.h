/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and topics of shadows. A classic shadow has the empty shadow name. Rules: AWS IoT Developer Guide,
 * "Reserved topics" (shadow topics) and the API reference of the Device Shadow data plane. Pure.
 */
#ifndef SHADOW_NAME_H
#define SHADOW_NAME_H

#include <stdbool.h>
#include "edged/slice.h"

enum { THING_NAME_MAX = 128, SHADOW_NAME_MAX = 64, SHADOW_KEY_MAX = THING_NAME_MAX + 1 + SHADOW_NAME_MAX };

struct shadow_name {
	char thing[THING_NAME_MAX + 1];
	char name[SHADOW_NAME_MAX + 1]; /* "" for the classic shadow */
};

enum shadow_verb {
	SHADOW_GET,
	SHADOW_UPDATE,
	SHADOW_DELETE,
	/* between nodes: */
	SHADOW_MERGE, /* take over what another node has of it */
	SHADOW_HAND   /* give it to another node */
};

/* false: a character or length that is not allowed. A thing's name must not be empty, a shadow's may. */
bool shadow_name_set(struct shadow_name *ret, struct edged_slice thing, struct edged_slice name);

/* A request topic: $aws/things/T/shadow[/name/N]/{get,update,delete}; false for anything else. */
bool shadow_topic_parse(struct edged_slice topic, struct shadow_name *ret, enum shadow_verb *ret_verb);

/* "$aws/things/T/shadow[/name/N]/" + suffix into `topic`, which holds SHADOW_TOPIC_MAX bytes. Returns its
 * length. */
enum { SHADOW_TOPIC_MAX = 272 };
size_t shadow_topic_print(char *topic, const struct shadow_name *name, const char *suffix);

#define SHADOW_TABLE "shadows"
/* The key in the store: thing, NUL, name. The bytes stay those of `key`, which holds SHADOW_KEY_MAX bytes. */
struct edged_slice shadow_key(char *key, const struct shadow_name *name);
bool shadow_key_parse(struct edged_slice key, struct shadow_name *ret);

#endif

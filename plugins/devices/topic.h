/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The topics of calls and events. A device of the name T
 *
 *     gets calls on      devices/T/call/NAME/ID
 *     answers them on    devices/T/answer/ID        (it did what was asked)
 *                    or  devices/T/answer/ID/STATUS (an HTTP status of 400 to 599: it did not)
 *     tells events on    devices/T/events/...
 *
 * NAME is 1 to 64 characters of a-z, A-Z, 0-9, '.', ':', '_', '-'. ID is CALL_ID_LEN hexadecimal digits. Pure.
 */
#ifndef DEVICES_TOPIC_H
#define DEVICES_TOPIC_H

#include "../shadow/name.h"

enum { CALL_NAME_MAX = 64, CALL_ID_LEN = 32, CALL_TOPIC_MAX = 256 };

#define ANSWERS "devices/+/answer/#" /* all of them */

bool call_name_valid(struct edged_slice name);

void call_topic_print(char topic[CALL_TOPIC_MAX], const char *thing, struct edged_slice name, const char *id);
void answer_topic_print(char topic[CALL_TOPIC_MAX], const char *thing, const char *id);

/* Slices are parts of the topic. */
struct answer {
	struct edged_slice thing, id;
	int status; /* 0: there is none in the topic */
};
/* false: it is no topic of an answer. */
bool answer_topic_parse(struct edged_slice topic, struct answer *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration says about bridges: from JSON to structs, every key judged. Pure. */
#ifndef BRIDGE_SETTINGS_H
#define BRIDGE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "edged/slice.h"

#define BRIDGES_MOST 32
#define RULES_MOST   100
#define TOPIC_MOST   1000 /* bytes of a topic or filter, prefix included */

enum { WAY_IN = 1, WAY_OUT = 2 };

/* One row of a bridge's topics. The filter is the part that both sides share. */
struct rule {
	uint8_t ways, qos;
	char *local_prefix, *remote_prefix;
	char *local_filter, *remote_filter; /* prefix and filter */
};

struct bridge_settings {
	char *name;
	char *text; /* its JSON, to see whether it has changed */
	char *host;
	uint16_t port;
	bool tls;
	char *ca, *certificate, *key, *alpn, *server_name; /* NULL: not given */
	uint8_t version;                                   /* MQTT_5 or MQTT_3_1_1 */
	bool bridge_bit;                                   /* MQTT 3.1.1: say so in CONNECT */
	char *user, *password_file;                        /* NULL: none */
	char *client_id;                                   /* NULL: made from the node's id */
	uint16_t keep_alive, in_flight;
	uint32_t session_expiry; /* s */
	uint32_t queue_messages;
	uint64_t queue_bytes;
	bool drop_oldest, paused;
	uint32_t packet;                                        /* bytes: the largest that is taken */
	uint64_t backoff_min, backoff_max, timeout, loop_guard; /* ms */
	struct rule *rules;
	size_t rule_count;
};

struct bridges_settings {
	struct bridge_settings *all;
	size_t count;
};

/* From the value of "bridges". -EINVAL with a sentence in `why`; -ENOMEM. Free it in any case. */
int settings_parse(struct edged_slice json, struct bridges_settings *ret, char *why, size_t why_size);
void settings_free(struct bridges_settings *settings);
void bridge_settings_fini(struct bridge_settings *settings);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The packets that only clients write and only servers answer with; all others are in the broker's codec. Pure. */
#ifndef BRIDGE_PACKETS_H
#define BRIDGE_PACKETS_H

#include "../broker/codec.h"

struct hello {
	uint8_t version;
	bool bridge_bit; /* MQTT 3.1.1: protocol level 0x84, by which mosquitto knows a bridge */
	uint16_t keep_alive, receive_max;
	uint32_t session_expiry, packet;
	struct edged_slice client_id, user, password; /* user and password: .ptr NULL for none */
	struct edged_slice node;
};
/* With clean start 0. Room: 200 bytes and the texts. */
void write_connect(struct writer *w, const struct hello *hello);

/* What CONNACK said; MQTT 3.1.1 return codes become the MQTT 5 reasons they mean. */
struct welcome {
	bool present;
	uint8_t reason, max_qos;
	bool retain;
	uint16_t receive_max, keep_alive; /* keep_alive 0: as asked for */
	uint32_t packet;
	struct edged_slice text; /* reason string */
	struct edged_slice node;
};
/* False: malformed. */
bool parse_connack(const struct frame *frame, uint8_t version, struct welcome *ret);

/* One packet with all filters; options as in SUBSCRIBE, of which MQTT 3.1.1 has the QoS only. Room: 16 bytes, and each filter
 * and 3. */
void write_subscribe(struct writer *w, uint8_t version, uint16_t id, const char *const *filters,
        const uint8_t *options, size_t count);
/* Room: 16 bytes and the filter. */
void write_unsubscribe(struct writer *w, uint8_t version, uint16_t id, const char *filter);
/* The codes, one for each filter. False: malformed. */
bool parse_suback(
        const struct frame *frame, uint8_t version, uint16_t *ret_id, struct edged_slice *ret_codes);
/* A DISCONNECT of the server (MQTT 5). False: malformed. */
bool parse_disconnect(const struct frame *frame, uint8_t *ret_reason, struct edged_slice *ret_text);
/* In words, for a person. */
const char *refusal_text(uint8_t reason);

#endif

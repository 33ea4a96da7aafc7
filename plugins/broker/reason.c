/* SPDX-License-Identifier: Apache-2.0 */
#include "reason.h"

#include "codec.h"

struct edged_slice reason_text(uint8_t reason)
{
	static const struct {
		uint8_t reason;
		const char *text;
	} rows[] = {
		{ REASON_UNSPECIFIED, "the broker is out of memory" },
		{ REASON_MALFORMED, "the packet is not as the specification says" },
		{ REASON_PROTOCOL, "the packet is not allowed here" },
		{ REASON_VERSION, "this broker speaks MQTT 3.1, 3.1.1 and 5.0" },
		{ REASON_CLIENT_ID, "the client id is longer than limits.client_id" },
		{ REASON_PASSWORD, "the user or the password is wrong" },
		{ REASON_NOT_AUTHORIZED, "who connects this way may not do this" },
		{ REASON_UNAVAILABLE, "the broker cannot keep a session now" },
		{ REASON_AUTH_METHOD, "this authentication method is not known here" },
		{ REASON_KEEP_ALIVE, "nothing came for one and a half times the keep-alive" },
		{ REASON_TAKEN_OVER, "a newer connection has this client id" },
		{ REASON_TOPIC, "the topic has wildcards, or is beyond limits.topic_length or topic_levels" },
		{ REASON_RECEIVE_MAX, "more messages were not acknowledged than the receive maximum" },
		{ REASON_ALIAS, "the topic alias is 0 or over the topic alias maximum" },
		{ REASON_TOO_LARGE, "a packet was larger than the maximum packet size" },
		{ REASON_ADMIN, "an operator has ended this connection" },
		{ REASON_QOS, "QoS 2 is not taken here (strict)" },
		{ REASON_NO_SUBSCRIPTION_IDS, "subscription identifiers are not taken here (strict)" },
		{ REASON_RATE, "too many attempts to connect or to log in; wait before the next one" },
		{ REASON_CONNECT_TIME, "the connection is as old as websocket_lifetime allows" },
		{ REASON_MESSAGE_RATE, "more messages than rates.messages for longer than rates.patience" },
		{ REASON_QUOTA, "a limit of the broker was reached, or its disk is full" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].reason == reason)
			return edged_str(rows[i].text);
	return edged_slice(NULL, 0);
}

bool reason_allowed(unsigned packet_type, uint8_t reason)
{
	static const char publish[] = "\0\x10\x80\x83\x87\x90\x91\x97\x99", release[] = "\0\x92",
	                  leave[] = "\0\4\x80\x81\x82\x83\x90\x93\x94\x95\x96\x97\x98\x99",
	                  proof[] = "\x18\x19";
	static const struct edged_slice allowed[16] = {
		[PUBACK] = { publish, sizeof(publish) - 1 },
		[PUBREC] = { publish, sizeof(publish) - 1 },
		[PUBREL] = { release, sizeof(release) - 1 },
		[PUBCOMP] = { release, sizeof(release) - 1 },
		[DISCONNECT] = { leave, sizeof(leave) - 1 },
		[AUTH] = { proof, sizeof(proof) - 1 },
	};
	const struct edged_slice codes = allowed[packet_type];
	return codes.len == 0 || memchr(codes.ptr, reason, codes.len);
}

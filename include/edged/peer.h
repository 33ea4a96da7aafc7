/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end of a stream or behind a request. Strings live as long as the stream or request. */
#ifndef EDGED_PEER_H
#define EDGED_PEER_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct edged_peer {
	uint32_t struct_size;
	bool bad_signature;  /* login() refuses it: see signer. Where older versions have padding, of zeros */
	const char *address; /* "192.0.2.7:4242", "[fe80::1%eth0]:4242", or "unix" */
	const char *listener;    /* as configured: "mqtt=127.0.0.1:1883" */
	const char *subject;     /* subject of the client's certificate (RFC 2253 text), or NULL */
	const char *fingerprint; /* SHA-256 of its certificate, 64 lower-case hex digits, or NULL */
	const char *node_id;     /* the id of the node it proved to be (by its key), or NULL */
	int64_t uid;             /* of the process at a Unix socket, else -1 */
	bool loopback;           /* over 127.0.0.0/8, ::1 or a Unix socket */
	bool tls;
	/* May it use this node at all? True for: a certificate signed by the account's CA; the Unix socket's owner or
	 * root; a request with the access key, or any loopback client under --dev. MQTT listeners on loopback
	 * without TLS are trusted unless configured otherwise. */
	bool trusted;
	bool websocket;
	/* When it connected, before TLS and everything else, in ms of CLOCK_MONOTONIC modulo 2^32; a WebSocket: when it
	 * connected to become one. What a client must do within a time counts from here. */
	uint32_t accepted_ms;
	/* TLS: the name of this server that the client asked for (SNI, RFC 6066 section 3), as it was sent; NULL: none. */
	const char *server_name;
	/* Who signed the request, or the one that began the WebSocket, as the decider of edged.auth/1 has verified: a
	 * principal; with bad_signature, why the signature is not good, in words. NULL: it bears none that is known here. */
	const char *signer;
};

/* For how many ms it has been connected, by `now` of edged.loop/1; up to 24 days. The clock of a loop may be a little
 * behind that of the one where it connected: that is 0. */
static inline uint32_t edged_peer_age(const struct edged_peer *peer, uint64_t now)
{
	uint32_t age = (uint32_t)now - peer->accepted_ms;
	return age > INT32_MAX ? 0 : age;
}

#ifdef __cplusplus
}
#endif

#endif

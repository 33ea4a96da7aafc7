/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability "edged.dial/1": streams to others, over TCP or TLS. Main loop only.
 *
 * The name is looked up (getaddrinfo(3)), its addresses are tried one after the other with a head start of 250 ms each (RFC
 * 8305), and the first that answers becomes a stream of `edged.stream/1`. A peer with TLS must show a certificate for
 * its name that a trusted CA has signed; there is no way around that. Other nodes of this account are dialled by their id.
 */
#ifndef EDGED_CAP_DIAL_H
#define EDGED_CAP_DIAL_H

#include "edged/cap_stream.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_DIAL_1 "edged.dial/1"

/* All is copied, but for handler, self and arg. Files are PEM, at most 256 KiB, and read anew each time, on another thread. */
struct edged_dial_options {
	uint32_t struct_size;
	uint16_t port;
	bool tls;                     /* the members for TLS count only then */
	const char *host;             /* a name or an address, without brackets */
	const char *ca_file;          /* who may have signed the peer's certificate; NULL: the system's CAs */
	const char *certificate_file; /* ours, leaf first; NULL: none */
	const char *key_file;         /* its key; not for group or others to read */
	const char *alpn;             /* what the peer must agree to (RFC 7301), or NULL */
	const char *server_name;      /* in the peer's certificate; NULL: host */
	uint64_t timeout_ms;          /* for all of it, TLS handshake included */
	/* As for edged_stream_1.serve(); open() is called when the stream is ready. `self` may be another one each time. */
	const struct edged_stream_handler *handler;
	void *self;
	/* Instead of open(), once: a negative errno, and a sentence for people that says where and why. */
	void (*failed)(void *arg, int error, const char *why);
	void *arg;
	/* A node of this account by its id, instead of host and port and what is said of TLS but alpn: at the addresses that the
	 * cluster knows, over TLS 1.3 with this node's own certificate. Who answers is shown by edged_stream_1.peer(): open()
	 * refuses all but `trusted` peers with that `node_id`. */
	const char *node;
};

struct edged_dial_1 {
	uint32_t struct_size;
	/* Begins. Neither open() nor failed() is called from within. -EINVAL: no host or port; -ENOSPC: 64 are under way;
	 * -ESHUTDOWN: the plugin stops; -ENOMEM, -EAGAIN: no thread. A node: -ENOENT: nobody knows it; -EHOSTUNREACH: not
	 * where it is. */
	EDGED_MUST_CHECK int (*dial)(
	        struct edged_host *host, const struct edged_dial_options *options, edged_handle *ret);
	/* Neither open() nor failed() is called any more. One that is over is no error. */
	void (*cancel)(struct edged_host *host, edged_handle dial);
};

#ifdef __cplusplus
}
#endif

#endif

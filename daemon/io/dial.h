/* SPDX-License-Identifier: Apache-2.0 */
/* Outbound streams: connect to one of several addresses, the first to answer wins (250 ms stagger, RFC 8305). */
#ifndef IO_DIAL_H
#define IO_DIAL_H

#include "io/stream.h"

struct dial;

struct dial_options {
	const char *const *
	        addresses; /* "192.0.2.7:8443", "[fe80::1%eth0]:8443"; in order of preference, NULL-terminated */
	struct tls_context *tls; /* NULL: plain */
	const char *alpn;        /* what the peer must agree to, or NULL */
	const char *
	        server_name; /* TLS: the name to ask for, and to be found in the certificate of a context that verifies */
	uint64_t timeout_ms;                        /* for all of it, TLS handshake included */
	const struct edged_stream_handler *handler; /* open() is called when the stream is ready */
	void *self;
	void (*opened)(void *arg); /* right before open(), the dial has gone; may be NULL */
	void (*failed)(void *arg, int error, const char *why); /* once, when nothing answered */
	void *arg;
};
/* Given options are copied. After open() or failed() the dial has gone by itself. */
EDGED_MUST_CHECK int dial_start(struct loop *loop, const struct dial_options *options, struct dial **ret);
void dial_cancel(struct dial *dial); /* neither open() nor failed() is called any more */

#endif

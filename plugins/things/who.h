/* SPDX-License-Identifier: Apache-2.0 */
/* A client as policies see it: where the values of policy variables come from. Main loop. */
#ifndef THINGS_WHO_H
#define THINGS_WHO_H

#include <jansson.h>
#include "pattern.h"

struct x509_st;

/* Borrowed, NULL or empty where there is none. The thing's variables are those of the thing that the certificate or user is
 * attached to; a client id of its own is no condition for them (AWS: exclusive attachment). */
struct who {
	struct edged_slice client_id;
	const char *address; /* without port */
	const char *domain;  /* the server name that it asked for */
	const char *thing;
	const json_t *thing_doc;
	const char *certificate_id;
	struct edged_slice pem; /* its certificate */
	bool connected;         /* there is a connection: address, domain and tls are known */
	bool tls;
	struct x509_st *certificate; /* of `pem`, when it was asked for; who_fini() */
	struct arena texts;          /* values that had to be written out; who_fini() */
};

struct subject who_subject(struct who *who);
void who_fini(struct who *who);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of a device: all that it needs to connect, and a text that says how.
 *
 *     key.pem          its private key, mode 0600; absent when the device kept it
 *     certificate.pem  its certificate
 *     ca.pem           the CA of the node's own certificate
 *     connect.json     thing, client id, end-points, and the names of these files
 *     README.txt       the command that connects, for common clients
 */
#ifndef CTL_KIT_H
#define CTL_KIT_H

#include "ctl/ctl.h"

struct kit {
	const char *folder, *thing;
	const char *certificate, *key, *ca; /* PEM; key may be NULL */
	const char *name;                   /* of the node */
	const json_t *listeners;            /* of the node */
};

/* A new, empty folder with mode 0700. EXIT_REFUSED with a sentence: it exists, ... */
int kit_begin(const char *folder);
/* Writes the files. *ret is what connect.json says. */
int kit_write(const struct kit *kit, json_t **ret);
/* Takes a folder back that has got no files. */
void kit_drop(const char *folder);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairing: for a while that an operator opens, devices that nobody knows may introduce themselves on the secure port, with a
 * name and a certificate request; the operator accepts or rejects each, having compared a code. Until then a device gets
 * nothing and costs little; with the window shut it gets a refusal at once. Kept in memory alone. Main loop. Its routes:
 * routes.h.
 *
 *     device    POST /things/v1/pair {"name", "csr"}       202 {"id", "code"}
 *     device    GET /things/v1/pair/{id}                   202 while it waits; then 200 with the certificate, or 403
 *     operator  POST /things/v1/pairing {"seconds"}        opens the window
 *     operator  GET /things/v1/pairing                     who has come
 *     operator  POST /things/v1/pairing/{id} {"accept": true, "name", "policies"}
 *
 * The code is made from the device's public key: a device with a display, or its label, shows the same, so the operator
 * knows that it is this device that asks.
 */
#ifndef THINGS_PAIRING_H
#define THINGS_PAIRING_H

#include "plugin.h"

struct pairing;

int pairing_new(struct things *things, struct pairing **ret);
void pairing_free(struct pairing *pairing);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Pairing as the trusted node, on which the code was typed, and which dials the new one. */
#ifndef CLUSTER_PAIRING_TYPED_H
#define CLUSTER_PAIRING_TYPED_H

#include "cluster/pairing_impl.h"

void pairing_typed_init(struct pairing *pairing);
/* POST /edge/v1/pairing */
int pairing_serve_typed(void *self, edged_handle request);
/* The request is over, with or without an answer: what was begun for it ends. */
void pairing_typed_end(struct pairing *pairing);
extern const struct edged_stream_handler pairing_typed_handler;

#endif

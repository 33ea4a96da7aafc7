/* SPDX-License-Identifier: Apache-2.0 */
/* Reason codes of MQTT 5.0 (section 2.4): what they say to people, and who may send which. Pure. */
#ifndef BROKER_REASON_H
#define BROKER_REASON_H

#include <stdbool.h>
#include <stdint.h>
#include "edged/slice.h"

/* A sentence for the reason string of CONNACK and DISCONNECT; empty when the code says it all. */
struct edged_slice reason_text(uint8_t reason);

/* May a client send this code in a packet of this type? True for types without a code. */
bool reason_allowed(unsigned packet_type, uint8_t reason);

#endif

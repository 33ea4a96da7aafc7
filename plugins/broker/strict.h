/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict mode, `"strict": "aws"`: what AWS IoT Core would not take is not taken here either, so that a device that works
 * with this broker works there. Limits only become lower by it; README.md lists them, and what of AWS is not imitated. Pure.
 */
#ifndef BROKER_STRICT_H
#define BROKER_STRICT_H

#include "broker.h"
#include "codec.h"

#define STRICT_SILENCE -1 /* the packet is dropped, and nothing is said */

/* Lowers what is above the limits of AWS. */
void strict_limits(struct limits *limits);

/* Judge a packet, and take from it what AWS does not heed. 0; a reason that ends the connection; STRICT_SILENCE. */
int strict_connect(struct connect *connect);
int strict_publish(uint8_t version, struct publish *publish);
int strict_subscribe(uint8_t version, const struct filters *filters);

/* Is the (valid) filter within the limits? */
bool strict_filter(struct edged_slice text);
/* Is a retained message given for this filter? Only for one that is a topic. */
bool strict_retained(struct edged_slice filter);
/* The keep-alive that holds when a client asks for this one, s. */
uint16_t strict_keep_alive(uint16_t asked);

#endif

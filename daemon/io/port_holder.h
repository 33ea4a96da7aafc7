/* SPDX-License-Identifier: Apache-2.0 */
/* Which process holds a TCP port, as far as /proc tells us. */
#ifndef IO_PORT_HOLDER_H
#define IO_PORT_HOLDER_H

#include <stddef.h>
#include <stdint.h>

/* Writes "mosquitto (pid 4711)" or "". */
void port_holder(uint16_t port, char *ret, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that finish early, and clients that are late: callbacks of a connection's stream. Main loop. */
#ifndef IO_HTTP_END_H
#define IO_HTTP_END_H

#include "io/http_private.h"

bool http_end_finished(void *conn);
void http_end_expired(void *conn);

#endif

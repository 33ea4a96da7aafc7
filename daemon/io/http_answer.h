/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the router, made into those of the library. Main loop. */
#ifndef IO_HTTP_ANSWER_H
#define IO_HTTP_ANSWER_H

#include "io/http_private.h"

extern const struct request_front http_answer_front; /* its object is the connection */
enum MHD_Result http_answer_queue(struct http_conn *conn);
void http_answer_clear(struct http_conn *conn);

#endif

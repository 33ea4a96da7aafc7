/* SPDX-License-Identifier: Apache-2.0 */
/* How the REST paths of AWS IoT's data planes answer, when they say no more than a word. Main loop. */
#ifndef SHADOW_AWS_H
#define SHADOW_AWS_H

#include "edged/cap_http.h"

/* Answers with the status, x-amzn-errortype: `type` (NULL: it is no error), and {"message", "traceId"}. As
 * edged_http_1.reply(). */
int aws_answer(const struct edged_http_1 *http, struct edged_host *host, edged_handle request, int status,
        const char *type, const char *message);

#endif

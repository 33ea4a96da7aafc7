/* SPDX-License-Identifier: Apache-2.0 */
/* `edged.http/1` for plugins: a plugin reaches the requests that were brought to it, and no others. */
#ifndef PLUGIN_CAP_HTTP_H
#define PLUGIN_CAP_HTTP_H

#include "edged/cap_http.h"

extern const struct edged_http_1 cap_http;

#endif

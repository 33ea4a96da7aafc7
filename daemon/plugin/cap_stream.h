/* SPDX-License-Identifier: Apache-2.0 */
/* `edged.stream/1` for plugins: the functions of io/stream.h as they are, and serve(). */
#ifndef PLUGIN_CAP_STREAM_H
#define PLUGIN_CAP_STREAM_H

#include "edged/cap_stream.h"
#include "plugin/context.h"

/* Fills the vtable: nothing stands between a plugin and its streams. */
void cap_stream_init(struct edged_stream_1 *ret);

/* Ends what the plugin serves. */
void cap_stream_fini(struct plugin_context *context);

#endif

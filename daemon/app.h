/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The composition root: makes every part of the daemon in order, and takes all down in reverse. The only place that
 * knows all parts.
 */
#ifndef APP_H
#define APP_H

#include "args.h"
#include "base/err.h"

struct app;

/* Makes everything up to the point where it can run. Fails with a sentence; findings of the configuration are printed. */
EDGED_MUST_CHECK int app_new(const struct args *args, struct app **ret, struct err *err);
/* Starts the plugins, opens the listeners, and serves until SIGTERM or SIGINT. */
EDGED_MUST_CHECK int app_run(struct app *app, struct err *err);
void app_free(struct app *app);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of the shadow service as compact JSON (AWS IoT Developer Guide, "Device Shadow service documents"). Pure. All
 * are the caller's to free(); NULL: no memory. `token` NULL: none.
 */
#ifndef SHADOW_MESSAGE_H
#define SHADOW_MESSAGE_H

#include "document.h"

char *message_get(const struct document *document, const char *token);
char *message_accepted(const struct document *document, const struct shadow_request *request, int64_t now);
/* *ret_differs false: desired and reported agree, and NULL is returned. */
char *message_delta(const struct document *document, const char *token, int64_t now, bool *ret_differs);
char *message_documents(
        const struct printed *before, const struct document *after, const char *token, int64_t now);
char *message_deleted(int64_t version, const char *token, int64_t now);
char *message_rejected(const struct shadow_error *error, const char *token, int64_t now);

#endif

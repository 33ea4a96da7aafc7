/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of "edged.session/1" share: inside.c has a session at work, inside_open.c which there are. */
#ifndef BROKER_INSIDE_IMPL_H
#define BROKER_INSIDE_IMPL_H

#include "inside.h"

enum { NAME_MOST = 64 };
#define NOT_OPEN UINT32_MAX

/* Who waits for something to be durable. */
struct promise {
	void (*done)(void *arg, int result);
	void *arg;
	uint16_t id; /* of a QoS 2 message that came in: forgotten again when it could not be stored */
	bool released;
};

struct inside {
	struct client client; /* first member: the session's other end while it is attached */
	struct insides *all;
	struct session *session; /* held */
	struct edged_session_handler handler;
	void *arg;
	struct edged_session_options limits; /* without the name */
	struct promise *promises;            /* a ring, in the order of their turns */
	uint32_t first, count, size;         /* size is a power of two */
	uint64_t dropped, acknowledged;
	uint32_t slot; /* NOT_OPEN: closed */
	bool full;     /* the plugin has no room */
};

struct insides {
	struct edged_session_1 capability;
	struct broker *broker;
	struct slot {
		struct inside *inside;
		uint32_t generation;
	} * slots;
	uint32_t size, open;
	int64_t *open_figure;
};

struct shard *inside_home(const struct insides *all);
/* NULL for a handle that is not valid, and for a session that somebody has ended. */
struct inside *inside_find(const struct insides *all, edged_handle handle);
/* The open one of that session, or NULL. */
struct inside *inside_opened(const struct session *session);
/* Detaches it. */
void inside_leave(struct inside *inside);
void inside_free(struct inside *inside);

/* The functions of the capability that inside.c has. */
int inside_attach(void *ctx, edged_handle handle, uint16_t window, bool anew);
void inside_detach(void *ctx, edged_handle handle);
void inside_flow(void *ctx, edged_handle handle, bool room);
int inside_puback(void *ctx, edged_handle handle, uint16_t id);
int inside_pubrec(void *ctx, edged_handle handle, uint16_t id, uint8_t reason);
int inside_pubcomp(void *ctx, edged_handle handle, uint16_t id);
int inside_publish(void *ctx, edged_handle handle, const struct edged_session_message *message, uint16_t id,
        void (*done)(void *arg, int result), void *arg);
int inside_pubrel(
        void *ctx, edged_handle handle, uint16_t id, void (*done)(void *arg, int result), void *arg);

#endif

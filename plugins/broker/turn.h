/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A turn: what one turn of the loop wrote to the store, and what has to wait until that is durable (on this shard and
 * on those it sent parcels to): acknowledgements above all. Turns complete in order. One commit for each turn.
 */
#ifndef BROKER_TURN_H
#define BROKER_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct edged_joint;
struct session;
struct shard;

enum todo_kind {
	TODO_ACK,     /* send an acknowledgement to the session's client */
	TODO_CODES,   /* send SUBACK or UNSUBACK; reason: then unblock the session */
	TODO_CONNACK, /* the client's CONNECT is done */
	TODO_SAVED,   /* a QoS 2 message goes on, see session_saved() */
	TODO_CALL,    /* fn(arg, result) */
	TODO_ANSWER /* the same, to a parcel: as soon as this shard has stored what is in it, see turn_todo() */
};

struct todo {
	uint8_t kind, packet, reason;
	uint16_t id;
	uint32_t epoch;          /* of the session: nothing is sent to a later connection */
	struct session *session; /* held */
	void (*fn)(void *arg, int result);
	void *arg;      /* TODO_CODES: bytes, malloc'ed */
	uint32_t bytes; /* how many */
};

struct turn {
	struct turn *next;
	struct shard *shard;
	struct todo *todos;
	uint32_t count, size;
	unsigned pending; /* commit and parcels not yet reported */
	int result;       /* the first failure; -ENOBUFS only if there is no other */
	struct touched {
		struct session *session; /* held: what was written belongs to it */
		bool whole;              /* and is all of it */
	} * touched;
	uint32_t touched_count;
	struct removal *removals; /* rows that this turn takes out */
	bool dirty;               /* has writes to commit */
	struct edged_joint
	        *joint; /* that commit is part of it: with those of the parcels, see parcel.c; NULL: none */
};

/* Something was written that must be committed at the end of this turn. -ENOMEM. */
int turn_wrote(struct shard *shard);
/* Something is written for this session, and goes with the next commit. */
void turn_touch(struct session *session);
/* To be done once this turn and all before it are durable; at the end of the turn when nothing was written. Takes a
 * hold on the session. A TODO_ANSWER waits for the commit of this turn only, and for no other shard: two shards that
 * send parcels to each other would wait for each other. -ENOMEM. */
int turn_todo(struct shard *shard, const struct todo *todo);
/* Makes sure that the turn will end: there are parcels to be posted. -ENOMEM. */
int turn_start(struct shard *shard);
/* Ends the turn that runs now, if there is one: what is written next is not part of its commit. */
void turn_close(struct shard *shard);
/* The commit of the turn that runs now is a part of the joint, also when it has nothing to write; then it is closed. */
void turn_close_joint(struct shard *shard, struct edged_joint *joint);
/* One of the things a turn waits for has happened. */
void turn_report(struct turn *turn, int result);
void turns_free(struct shard *shard);

#endif

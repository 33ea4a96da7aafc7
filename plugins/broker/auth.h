/* SPDX-License-Identifier: Apache-2.0 */
/* Who is it: certificates and trusted listeners, user and password, enhanced authentication (MQTT 5.0, section 4.12). */
#ifndef BROKER_AUTH_H
#define BROKER_AUTH_H

#include "client.h"

struct standing;

#define AUTH_LATER -2 /* AUTH packets go to and fro; CONNECT is kept until then */
/* May it connect? 0, a reason, or AUTH_LATER. */
int auth_judge(struct client *client, const struct connect *connect, const struct frame *frame);
/* Does it wait for AUTH before CONNACK? */
bool auth_pending(const struct client *client);
/* What came then. 0: it is who it says, CONNECT may go on; or a reason. */
int auth_step(struct client *client, const struct frame *frame);
/* AUTH after CONNACK: authentication again. */
int receive_auth(struct client *client, const struct frame *frame);
/* Does CONNECT wait for an answer from somewhere else? client_go_on() follows. */
bool auth_waiting(const struct client *client);
/* Whose session it will be: made for the caller, once; NULL: nobody's in particular. -ENOMEM. */
int auth_standing(struct client *client, struct standing **ret);
void auth_fini(struct client *client);
/* Who has logged in; empty: nobody by name. */
struct edged_slice auth_user(const struct client *client);
/* The server's own proof, for CONNACK; empty: another way was taken. */
struct edged_slice auth_proof(const struct client *client);

/* The user has gone: its connections on this shard end. */
void auth_drop(struct shard *shard, struct edged_slice user);

#endif

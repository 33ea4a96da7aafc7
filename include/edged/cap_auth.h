/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability "edged.auth/1": who is it, and may they? The daemon stands between two sides:
 *
 * - one *decider*, a plugin that knows identities and their rights (`auth.decider` names it), and
 * - *askers*: whoever serves clients (the broker, shadows, HTTP routes).
 *
 * A decider says who a client is by a *principal*: printable text such as "cert:<fingerprint>", "user:<name>" or
 * "thing:<name>" that stays the same for ever and may be stored. From principal and connection the daemon makes an
 * *identity*, to which the decider binds *rights*: an immutable object of its own, against which each action is judged.
 * When something changes, the decider says so, is asked for new rights, and gets the old ones back once no loop uses
 * them: it needs no locks.
 *
 * Fail closed: while a configured decider does not run, or one that has run is gone, nothing that it would have to judge
 * is allowed. When it comes back it is asked for the rights of all identities that there are, so that what askers hold
 * stays good through its restart.
 *
 * Threads: the decider's functions are called on the main loop, allow() on any.
 */
#ifndef EDGED_CAP_AUTH_H
#define EDGED_CAP_AUTH_H

#include "edged/peer.h"
#include "edged/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGED_AUTH_1 "edged.auth/1"

/* What can be allowed, by the names that AWS IoT policies use (AWS IoT Core developer guide, "AWS IoT Core policy
 * actions"; AWS IoT Greengrass, "Authorization"), and what the resource of each is. */
#define EDGED_ACTIONS(ROW)                                                                                   \
	ROW(CONNECT, "iot:Connect")                           /* client id */                                \
	ROW(PUBLISH, "iot:Publish")                           /* topic */                                    \
	ROW(RETAIN_PUBLISH, "iot:RetainPublish")              /* topic; asked in addition to PUBLISH */      \
	ROW(RECEIVE, "iot:Receive")                           /* topic */                                    \
	ROW(SUBSCRIBE, "iot:Subscribe")                       /* filter as sent, "$share/group/" included */ \
	ROW(GET_SHADOW, "iot:GetThingShadow")                 /* "thing" or "thing/shadow"; HTTP only */     \
	ROW(UPDATE_SHADOW, "iot:UpdateThingShadow")           /* the same */                                 \
	ROW(DELETE_SHADOW, "iot:DeleteThingShadow")           /* the same */                                 \
	ROW(LIST_SHADOWS, "iot:ListNamedShadowsForThing")     /* thing */                                    \
	ROW(GET_RETAINED, "iot:GetRetainedMessage")           /* topic */                                    \
	ROW(LIST_RETAINED, "iot:ListRetainedMessages")        /* empty */                                    \
	ROW(DELETE_CONNECTION, "iot:DeleteConnection")        /* client id */                                \
	ROW(DISCOVER, "greengrass:Discover")                  /* thing */                                    \
	ROW(DESCRIBE_JOB, "iotjobsdata:DescribeJobExecution") /* thing; HTTP only */                         \
	ROW(GET_PENDING_JOBS, "iotjobsdata:GetPendingJobExecutions")    /* the same */                       \
	ROW(START_NEXT_JOB, "iotjobsdata:StartNextPendingJobExecution") /* the same */                       \
	ROW(UPDATE_JOB, "iotjobsdata:UpdateJobExecution")               /* the same */

#define EDGED_ACTION_ROW(name, text) EDGED_##name,
enum edged_action { EDGED_ACTIONS(EDGED_ACTION_ROW) EDGED_ACTION_COUNT };
#undef EDGED_ACTION_ROW

/* Longest principal, in bytes; UTF-8 without control characters. */
#define EDGED_PRINCIPAL_MAX 255

/* Who is at the door. Absent texts are empty or NULL. What the daemon hands to a decider is a copy with all strings
 * terminated, and in it peer->address has no port. */
struct edged_door {
	uint32_t struct_size;
	const struct edged_peer
	        *peer;        /* NULL: only principal and client id are known, from what was stored */
	const char *protocol; /* "mqtt" or "http" */
	/* MQTT: client id. HTTP: the thing that the client says it is (header x-amzn-iot-thingname). */
	struct edged_slice client_id;
	bool has_user, has_password;
	struct edged_slice user;     /* as sent, with the "?SDK=..." that AWS SDKs append */
	struct edged_slice password; /* for login() alone; empty in bind() */
	/* MQTT, for the condition key iot:ConnectAttributes: the session outlives its connection; there is a will. */
	bool persistent, will;
};

struct edged_http_field {
	struct edged_slice name, value; /* as sent, the value without blanks around */
};

/* An HTTP request as it was sent, for whoever verifies a signature over it. */
struct edged_http_message {
	uint32_t struct_size;
	struct edged_slice method;
	struct edged_slice target; /* path and query, percent-encoded */
	const struct edged_http_field *fields;
	size_t field_count;
	struct edged_slice body;
};

/* Opaque, with a count of references. */
struct edged_identity;
/* A question that is open; belongs to the loop that asked. */
struct edged_login;

enum edged_login_outcome {
	EDGED_LOGIN_KNOWN = 1, /* there is an identity */
	EDGED_LOGIN_UNKNOWN, /* not the decider's business: judge as if there were none (edged_peer.trusted) */
	EDGED_LOGIN_REFUSED,      /* known, and may not come in */
	EDGED_LOGIN_WRONG_SECRET, /* known, but this is not its password: for the limit on guesses, too */
	EDGED_LOGIN_UNDECIDED /* nobody there who could judge, or too late: refuse (MQTT 0x88, HTTP 503) */
};

/* What signer() may say of a request, in bytes with the NUL. */
#define EDGED_SIGNER_MAX 256

/* The decider's side; all members but signer are needed. */
struct edged_decider {
	uint32_t struct_size;
	/* Who is it? Answer with answer(), now or later, within `auth.time`. The door is good until then, and until this returns. */
	void (*login)(void *self, const struct edged_door *door, edged_handle login);
	/* The rights of `principal` coming through this door: after an answer EDGED_LOGIN_KNOWN, after changed(), when this
	 * decider has just registered, or for a principal out of a store (door->peer is NULL). 0 and *ret_rights, which is
	 * not changed any more from then on; any error: it has none, and every action is refused. Main loop. */
	int (*bind)(void *self, const struct edged_door *door, const char *principal, void **ret_rights);
	/* The daemon has no use for them any more; once for each bind() that returned 0. Main loop. */
	void (*unbind)(void *self, void *rights);
	/* May it? Any loop, also several at once; must not allocate, block, or call any function of this capability. */
	bool (*allow)(const void *rights, enum edged_action action, struct edged_slice resource);
	/* Who signed this request? EDGED_LOGIN_KNOWN and the principal: it stands in edged_peer.signer of whoever sent it, for
	 * login() and bind() to look at. EDGED_LOGIN_UNKNOWN: it bears no signature that this decider knows.
	 * EDGED_LOGIN_REFUSED and the reason in words: the signature is not good. Called for each request that came whole,
	 * and for one that begins a WebSocket; must not block. Main loop. */
	enum edged_login_outcome (*signer)(
	        void *self, const struct edged_http_message *message, char ret[EDGED_SIGNER_MAX]);
};

struct edged_auth_1 {
	uint32_t struct_size;

	/* --- for a decider; main loop --- */

	/* The calling plugin decides from now on until it stops: before its stop() is called, all its rights are unbound
	 * and nothing of the decider is called any more. Best called at the end of start(). -EACCES: `auth.decider` names
	 * another plugin; -EEXIST: another one decides. */
	EDGED_MUST_CHECK int (*decide)(
	        struct edged_host *host, const struct edged_decider *decider, void *self);
	/* `text`: the principal for KNOWN; else the reason in words for the log, or NULL. -ENOENT: whoever asked is gone,
	 * or it took too long; -EINVAL: no valid principal (the login is refused then). */
	int (*answer)(struct edged_host *host, edged_handle login, enum edged_login_outcome outcome,
	        const char *text);
	/* Rights have changed: of this principal, or of all (NULL). bind() is called for each identity, before this
	 * returns; the change is in force on all loops then, and the askers' notice goes out. Not from within bind(). */
	int (*changed)(struct edged_host *host, const char *principal);

	/* --- for askers --- */

	/* Any loop. 0: done() will be called on the same loop, once, not from within this call, and gets a reference to the
	 * identity if there is one (its own to drop); *ret_login is valid until then. EDGED_LOGIN_UNKNOWN or
	 * EDGED_LOGIN_UNDECIDED: that is the answer already. -ENOSPC: too many are open (`plugin.logins`); -ENOMEM. `reason`
	 * may be empty. Everything in the door is copied. */
	EDGED_MUST_CHECK int (*login)(struct edged_host *host, const struct edged_door *door,
	        void (*done)(void *arg, enum edged_login_outcome outcome, struct edged_identity *identity,
	                const char *reason),
	        void *arg, struct edged_login **ret_login);
	/* done() will not be called. On the loop that asked; NULL is fine. */
	void (*cancel)(struct edged_login *login);
	/* 1: yes. 0: no. -EAGAIN: no, because there is nobody to ask just now; what can wait may ask again after the notice.
	 * Any loop; keep the answer together with the generation read before, and ask anew when that has moved on. */
	int (*allow)(
	        const struct edged_identity *identity, enum edged_action action, struct edged_slice resource);
	/* The identity of a stored principal, with a reference. Main loop. 0, -EINVAL, -ENOMEM; whether a decider knows it
	 * shows in allow(). */
	EDGED_MUST_CHECK int (*recall)(struct edged_host *host, const char *principal,
	        struct edged_slice client_id, struct edged_identity **ret);
	/* Valid as long as the identity. Any thread, as the next two. */
	const char *(*principal)(const struct edged_identity *identity);
	struct edged_identity *(*hold)(struct edged_identity *identity); /* returns it */
	void (*drop)(struct edged_identity *identity);                   /* NULL is fine */
	/* Where the generation is: a word that is never 0, and changes whenever a decision might. Read it with
	 * edged_auth_generation(). */
	const uint32_t *(*generation)(struct edged_host *host);
	/* Calls changed(arg) after each such change, on the main loop: judge live sessions anew. Until the plugin stops; one
	 * for each plugin. -EEXIST, -ENOMEM. Main loop. */
	EDGED_MUST_CHECK int (*watch)(struct edged_host *host, void (*changed)(void *arg), void *arg);
	/* Is there a decider now? Whoever came in while there was none, with a certificate or a name, should come again:
	 * it was not judged. Any loop. */
	bool (*decided)(struct edged_host *host);
};

static inline uint32_t edged_auth_generation(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

#ifdef __cplusplus
}
#endif

#endif

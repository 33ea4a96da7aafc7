/* SPDX-License-Identifier: Apache-2.0 */
#include "auth.h"

#include <arpa/inet.h>
#include <errno.h>

#include "proof.h"
#include "rights.h"
#include "shard.h"

#define AUTH_ELSE -3

/* One exchange of SCRAM, and what came of earlier ones on this connection. */
struct login {
	struct scram *scram;        /* in progress */
	bool method;                /* CONNECT named it: it may authenticate again */
	bool known;                 /* the name of the exchange in progress is a user's */
	bool decided;               /* the plugin that decides has said something */
	uint8_t verdict;            /* then: 0, or a reason */
	struct edged_login *open;   /* it was asked */
	struct edged_work *work;    /* the password is being compared */
	bool proved;                /* it was */
	uint8_t proof_verdict;      /* then: 0, or a reason */
	struct edged_timer *end;    /* of a token */
	struct edged_identity *who; /* it knows; held */
	size_t name_len, proof_len;
	char name[SCRAM_NAME_MAX]; /* of the exchange in progress, or of who has logged in */
	char proof[SCRAM_TEXT_MAX];
};

void auth_fini(struct client *c)
{
	if (!c->login)
		return;
	scram_free(c->login->scram);
	c->broker->auth->cancel(c->login->open);
	c->broker->auth->drop(c->login->who);
	c->broker->work->cancel(c->login->work);
	c->broker->loop->timer_free(c->login->end);
	free(c->login);
	c->login = NULL;
}

static struct login *login_of(struct client *c)
{
	if (!c->login)
		c->login = calloc(1, sizeof(*c->login));
	return c->login;
}

struct edged_slice auth_user(const struct client *c)
{
	return c->login ? edged_slice(c->login->name, c->login->name_len) : edged_slice(NULL, 0);
}

struct edged_slice auth_proof(const struct client *c)
{
	return c->login && c->login->method ? edged_slice(c->login->proof, c->login->proof_len)
	                                    : edged_slice(NULL, 0);
}

bool auth_pending(const struct client *c)
{
	return c->login && c->login->scram && c->version == 0;
}

bool auth_waiting(const struct client *c)
{
	return c->login && (c->login->open || c->login->work);
}

int auth_standing(struct client *c, struct standing **ret)
{
	struct edged_slice user = auth_user(c);
	char principal[5 + SCRAM_NAME_MAX] = "user:";
	*ret = NULL;
	if (!c->login)
		return 0;
	struct edged_identity *who = c->login->who;
	c->login->who = NULL;
	bool somebody = who || user.len;
	memcpy(principal + 5, user.len ? user.ptr : "", user.len);
	if (somebody)
		*ret = standing_new(c->broker, who, edged_slice(principal, 5 + user.len));
	/* Most clients bring nothing that is needed once they are in. */
	if (!user.len && !c->login->method && !c->login->end)
		auth_fini(c);
	return *ret || !somebody ? 0 : -ENOMEM;
}

/* --- penalties ------------------------------------------------------------------------------------------------------------------ */

/* Of the address without its port; of IPv6 the network (/64), which one host has to itself. */
static uint64_t address(const struct client *c)
{
	const char *text = c->broker->stream->peer(c->stream)->address, *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : strlen(text);
	char host[INET6_ADDRSTRLEN];
	struct in6_addr v6;
	size_t len = strcspn(text, "]%");
	if (*text == '[' && len - 1 < sizeof(host)) {
		memcpy(host, text + 1, len - 1);
		host[len - 1] = 0;
		if (inet_pton(AF_INET6, host, &v6) == 1)
			return keyed_hash(c->broker->key, 4, edged_slice(&v6, 8));
	}
	return keyed_hash(c->broker->key, 3, edged_slice(text, n));
}

static int failed(struct client *c, uint8_t reason)
{
	penalty_add(&c->broker->penalties, address(c), shard_now(c->shard));
	count_one(c->broker->figures.login_failures);
	return reason;
}

/* --- user and password ---------------------------------------------------------------------------------------------------------- */

/* Its token is not good any more. */
static void ended(void *arg)
{
	client_close(arg, REASON_NOT_AUTHORIZED);
}

static uint8_t end_with(struct client *c, const struct proof *proof)
{
	struct broker *b = c->broker;
	if (!proof->ends)
		return 0;
	c->login->end = b->loop->timer_new(b->host, ended, c);
	if (!c->login->end)
		return REASON_UNAVAILABLE;
	uint64_t now = wall_ms(), end = proof->ends * 1000, most = UINT64_C(1000) * 24 * 3600 * 1000;
	b->loop->timer_set(c->login->end, end <= now ? 0 : end - now < most ? end - now : most);
	return 0;
}

static void proved(void *arg)
{
	struct proof *proof = arg;
	struct client *c = proof->owner;
	struct login *login = c->login;
	login->work = NULL;
	login->proved = true;
	login->proof_verdict = proof->fits ? end_with(c, proof) : REASON_PASSWORD;
	if (!login->proof_verdict)
		memcpy(login->name, proof->name, login->name_len = proof->name_len);
	proof_free(proof);
	client_go_on(c);
}

static void drop_proof(void *arg)
{
	proof_free(arg);
}

/* Everything that the comparison needs; *ret NULL: nobody could log in that way. */
static int collect(struct client *c, const struct connect *p, struct proof **ret)
{
	struct broker *b = c->broker;
	struct jwt *jwt = p->has_password && jwt_form(p->password) ? users_jwt(&b->users) : NULL;
	*ret = NULL;
	if (!jwt && (!p->has_user || !users_any(&b->users)))
		return REASON_NOT_AUTHORIZED;
	if (!jwt && p->password.len > PASSWORD_MAX)
		return failed(c, REASON_PASSWORD);
	struct proof *proof = proof_new(p->password);
	if (!proof) {
		jwt_unref(jwt);
		return REASON_UNAVAILABLE;
	}
	proof->owner = c;
	proof->jwt = jwt;
	proof->now = wall_ms() / 1000;
	proof->known = !jwt && users_find(&b->users, b->key, p->user, &proof->credential);
	proof->has_user = p->has_user;
	if (p->user.len <= sizeof(proof->name))
		memcpy(proof->name, p->user.ptr, proof->name_len = p->user.len);
	*ret = proof;
	return 0;
}

static int judge_password(struct client *c, const struct connect *p, const struct frame *frame)
{
	struct broker *b = c->broker;
	struct proof *proof;
	if (c->login && c->login->proved) {
		if (c->login->proof_verdict == REASON_PASSWORD)
			return failed(c, REASON_PASSWORD);
		penalty_forget(&b->penalties, address(c));
		return c->login->proof_verdict;
	}
	int r = collect(c, p, &proof);
	if (r)
		return r;
	if (!login_of(c) || client_keep_connect(c, frame) ||
	        b->work->begin(b->host, proof_run, proved, drop_proof, proof, &c->login->work)) {
		proof_free(proof);
		return REASON_UNAVAILABLE;
	}
	b->stream->pause(c->stream);
	return AUTH_LATER;
}

/* --- SCRAM ------------------------------------------------------------------------------------------------------------------------ */

static void send_auth(struct client *c, uint8_t reason, struct edged_slice data)
{
	uint8_t bytes[SCRAM_TEXT_MAX + 64];
	struct writer w = writer(bytes, sizeof(bytes));
	write_auth(&w, reason, edged_str(SCRAM_METHOD), data);
	client_write(c, bytes, (size_t)(w.at - bytes));
}

/* The client's first message: answered with a challenge, for unknown names as for known ones. */
static int begin(struct client *c, struct edged_slice first)
{
	char name[SCRAM_NAME_MAX], text[SCRAM_TEXT_MAX];
	struct broker *broker = c->broker;
	struct credential credential;
	size_t n;
	struct login *login = login_of(c);
	if (!login)
		return REASON_UNAVAILABLE;
	struct scram *scram = scram_new(first, name, &n);
	if (!scram)
		return failed(c, REASON_NOT_AUTHORIZED);
	login->scram = scram;
	/* Who authenticates again stays who it is. */
	bool same = c->version == 0 || edged_slice_eq(auth_user(c), edged_slice(name, n));
	login->known = users_find(&broker->users, broker->key, edged_slice(name, n), &credential) &&
	               credential.has_scram && same;
	if (c->version == 0) {
		memcpy(login->name, name, n);
		login->name_len = n;
	}
	n = scram_challenge(scram, &credential.scram, text);
	if (n == 0)
		return REASON_UNAVAILABLE;
	send_auth(c, REASON_CONTINUE, edged_slice(text, n));
	return 0;
}

/* The client's second message. */
static int prove(struct client *c, struct edged_slice last)
{
	struct login *login = c->login;
	int r = scram_prove(login->scram, last, login->proof, &login->proof_len);
	scram_free(login->scram);
	login->scram = NULL;
	if (r || !login->known)
		return failed(c, REASON_NOT_AUTHORIZED);
	penalty_forget(&c->broker->penalties, address(c));
	return 0;
}

/* --- the plugin that decides ------------------------------------------------------------------------------------------------ */

static void decided(
        void *arg, enum edged_login_outcome outcome, struct edged_identity *who, const char *reason)
{
	struct client *c = arg;
	struct broker *b = c->broker;
	static const uint8_t verdicts[] = {
		[EDGED_LOGIN_REFUSED] = REASON_NOT_AUTHORIZED,
		[EDGED_LOGIN_WRONG_SECRET] = REASON_PASSWORD,
		[EDGED_LOGIN_UNDECIDED] = REASON_UNAVAILABLE,
	};
	c->login->open = NULL;
	c->login->decided = true;
	c->login->who = who;
	c->login->verdict = outcome <= EDGED_LOGIN_UNDECIDED ? verdicts[outcome] : REASON_UNAVAILABLE;
	c->asked = outcome != EDGED_LOGIN_UNDECIDED;
	if (c->login->verdict)
		b->log->log(b->host, EDGED_INFO, "%s is refused%s%s", b->stream->peer(c->stream)->address,
		        *reason ? ": " : "", reason);
	client_go_on(c);
}

/* 0: it said yes; AUTH_LATER; AUTH_ELSE: it is not for it to say; or a reason. */
static int ask(struct client *c, const struct connect *p, const struct frame *frame)
{
	struct broker *b = c->broker;
	if (c->login && c->login->decided) {
		if (c->login->verdict == REASON_PASSWORD)
			return failed(c, REASON_PASSWORD);
		return c->login->verdict ? c->login->verdict : c->login->who ? 0 : AUTH_ELSE;
	}
	const struct edged_door door = { .struct_size = sizeof(door),
		.peer = b->stream->peer(c->stream),
		.protocol = "mqtt",
		.client_id = p->client_id,
		.has_user = p->has_user,
		.has_password = p->has_password,
		.user = p->user,
		.password = p->password,
		.persistent = p->version == MQTT_5 ? p->props.session_expiry > 0 : !p->clean,
		.will = p->will };
	struct edged_login *open;
	int r = b->auth->login(b->host, &door, decided, c, &open);
	if (r == EDGED_LOGIN_UNKNOWN)
		return AUTH_ELSE;
	if (r)
		return REASON_UNAVAILABLE;
	if (!login_of(c) || client_keep_connect(c, frame)) {
		b->auth->cancel(open);
		return REASON_UNAVAILABLE;
	}
	c->login->open = open;
	b->stream->pause(c->stream);
	return AUTH_LATER;
}

int auth_judge(struct client *c, const struct connect *p, const struct frame *frame)
{
	struct broker *broker = c->broker;
	bool method = props_have(&p->props, PROP_AUTH_METHOD);
	bool trusted = broker->stream->peer(c->stream)->trusted;
	if (method && (!edged_slice_is(p->props.auth_method, SCRAM_METHOD) || !users_any(&broker->users)))
		return REASON_AUTH_METHOD;
	if ((method || !trusted) && penalty_left(&c->broker->penalties, address(c), shard_now(c->shard)))
		return REASON_RATE;
	if (!method) {
		int r = ask(c, p, frame);
		if (r != AUTH_ELSE)
			return r;
		return trusted ? 0 : judge_password(c, p, frame);
	}
	c->max_packet = p->props.max_packet;
	int r = begin(c, p->props.auth_data);
	if (r)
		return r;
	c->login->method = true;
	return client_keep_connect(c, frame) ? REASON_UNAVAILABLE : AUTH_LATER;
}

static int read_auth(const struct client *c, const struct frame *frame, struct farewell *ret)
{
	int r = parse_farewell(frame, MQTT_5, c->broker->limits.user_properties, ret);
	if (!r && !edged_slice_is(ret->props.auth_method, SCRAM_METHOD))
		r = REASON_PROTOCOL;
	return r;
}

int auth_step(struct client *c, const struct frame *frame)
{
	struct farewell p;
	if (frame->type != AUTH)
		return REASON_PROTOCOL;
	int r = read_auth(c, frame, &p);
	if (!r && p.reason != REASON_CONTINUE)
		r = REASON_PROTOCOL;
	return r ? r : prove(c, p.props.auth_data);
}

int receive_auth(struct client *c, const struct frame *frame)
{
	struct farewell p;
	if (!c->login || !c->login->method)
		return REASON_PROTOCOL;
	int r = read_auth(c, frame, &p);
	if (r)
		return r;
	bool begins = p.reason == REASON_AGAIN;
	if (begins == (c->login->scram != NULL))
		return REASON_PROTOCOL;
	if (begins)
		return begin(c, p.props.auth_data);
	r = prove(c, p.props.auth_data);
	if (!r)
		send_auth(c, REASON_OK, auth_proof(c));
	return r;
}

void auth_drop(struct shard *shard, struct edged_slice user)
{
	for (struct client *c = shard->clients; c; c = c->next)
		if (!c->closing && user.len && edged_slice_eq(auth_user(c), user))
			client_close(c, REASON_NOT_AUTHORIZED);
}

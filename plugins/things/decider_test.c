/* SPDX-License-Identifier: Apache-2.0 */
/* Who comes in, with which rights, and who hears of changes. The daemon's side is played here. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>
#include "decider.h"
#include "doc.h"
#include "fake_work.h"
#include "../broker/password.h"

struct edged_timer {
	uint64_t ms; /* what it was set to; 0: not armed */
	void (*fire)(void *arg);
	void *arg;
};

struct rig {
	struct edged_host host; /* first member */
	struct things things;
	struct decider *decider;
	const struct edged_decider *table;
	struct edged_timer timer;
	void (*post_fn)(void *arg);
	void *post_arg;
	int outcome, answers;
	char text[200], changed[1000]; /* of the last answer; principals that changed() named */
};

/* --- the daemon's side ------------------------------------------------------------------------------------------------ */

static int decide(struct edged_host *host, const struct edged_decider *decider, void *self)
{
	struct rig *rig = (struct rig *)host;
	rig->table = decider;
	assert_ptr_equal(self, rig->decider);
	return 0;
}

static int answer(
        struct edged_host *host, edged_handle login, enum edged_login_outcome outcome, const char *text)
{
	struct rig *rig = (struct rig *)host;
	assert_int_equal(login, 5);
	rig->outcome = outcome;
	rig->answers++;
	snprintf(rig->text, sizeof(rig->text), "%s", text ? text : "");
	return 0;
}

static int auth_changed(struct edged_host *host, const char *principal)
{
	struct rig *rig = (struct rig *)host;
	size_t n = strlen(rig->changed);
	snprintf(rig->changed + n, sizeof(rig->changed) - n, "%.12s ", principal ? principal : "all");
	return 0;
}

static int64_t *figure(struct edged_host *host, enum edged_metric_type type, const char *name,
        const char *labels, const char *help)
{
	static int64_t word;
	(void)host, (void)type, (void)name, (void)labels, (void)help;
	return &word;
}

static void write_log(struct edged_host *host, enum edged_level level, const char *format, ...)
{
	(void)host, (void)level, (void)format;
}

static struct edged_timer *timer_new(struct edged_host *host, void (*fire)(void *arg), void *arg)
{
	struct rig *rig = (struct rig *)host;
	rig->timer = (struct edged_timer){ 0, fire, arg };
	return &rig->timer;
}

static void timer_set(struct edged_timer *timer, uint64_t ms)
{
	timer->ms = ms + 1;
}

static unsigned loop_self(struct edged_host *host)
{
	(void)host;
	return 0;
}

/* One at most, and it is from a password. */
static int post(
        struct edged_host *host, unsigned loop, void (*fn)(void *arg), void (*drop)(void *arg), void *arg)
{
	struct rig *rig = (struct rig *)host;
	(void)loop, (void)drop;
	if (rig->post_fn)
		return -ENOSPC;
	rig->post_fn = fn;
	rig->post_arg = arg;
	return 0;
}

static void run_post(struct rig *rig)
{
	void (*fn)(void *arg) = rig->post_fn;
	rig->post_fn = NULL;
	fn(rig->post_arg);
}

static void timer_cancel(struct edged_timer *timer)
{
	timer->ms = 0;
}

static int put(struct edged_host *host, const char *table, struct edged_slice key, struct edged_slice value)
{
	(void)host, (void)table, (void)key, (void)value;
	return 0;
}

static int del(struct edged_host *host, const char *table, struct edged_slice key)
{
	(void)host, (void)table, (void)key;
	return 0;
}

static int commit(struct edged_host *host, void (*done)(void *arg, int result), void *arg)
{
	(void)host;
	done(arg, 0);
	return 0;
}

static const void *cap(struct edged_host *host, const char *name)
{
	static const struct edged_auth_1 auth = {
		.struct_size = sizeof(auth), .decide = decide, .answer = answer, .changed = auth_changed
	};
	static const struct edged_metrics_1 metrics = { sizeof(metrics), figure };
	if (strcmp(name, EDGED_LOOP_1) == 0)
		return ((struct rig *)host)->things.loop;
	return strcmp(name, EDGED_AUTH_1) == 0 ? (const void *)&auth : &metrics;
}

static void changed(void *arg, enum kind kind, const char *name)
{
	decider_changed(((struct rig *)arg)->decider, kind, name);
}

static int setup(void **state)
{
	static const struct edged_host_1 v1 = { .struct_size = sizeof(v1), .cap = cap };
	static const struct edged_loop_1 loop = { .struct_size = sizeof(loop),
		.timer_new = timer_new,
		.timer_set = timer_set,
		.post = post,
		.loop_self = loop_self,
		.timer_cancel = timer_cancel };
	static const struct edged_log_1 log = { sizeof(log), write_log };
	static const struct edged_metrics_1 metrics = { sizeof(metrics), figure };
	static const struct edged_store_1 store = {
		.struct_size = sizeof(store), .put = put, .del = del, .commit = commit
	};
	struct rig *rig = calloc(1, sizeof(*rig));
	char folder[] = "/tmp/edged-things-XXXXXX", why[WHY_MAX], file[100];
	assert_non_null(mkdtemp(folder));
	*rig = (struct rig){ .host = { &v1 },
		.things = { .host = &rig->host,
		        .log = &log,
		        .loop = &loop,
		        .work = &fake_work_cap,
		        .policy_bytes = 2048 } };
	assert_int_equal(authority_open(folder, &rig->things.authority, why), 0);
	snprintf(file, sizeof(file), "%s/authority.pem", folder);
	assert_int_equal(remove(file), 0);
	assert_int_equal(remove(folder), 0);
	struct registry_deps deps = { &rig->host, &store, &log, &metrics, { 99, 99, 99, 99, 99, 99 }, 2048,
		changed, NULL, rig };
	assert_int_equal(registry_new(&deps, &rig->things.registry), 0);
	assert_int_equal(decider_new(&rig->things, &rig->decider), 0);
	assert_int_equal(decider_start(rig->decider), 0);
	*state = rig;
	return 0;
}

static void timer_free(struct edged_timer *timer)
{
	(void)timer;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	struct edged_loop_1 loop = *rig->things.loop;
	loop.timer_free = timer_free;
	rig->things.loop = &loop;
	decider_free(rig->decider);
	registry_free(rig->things.registry);
	authority_free(rig->things.authority);
	free(rig);
	return 0;
}

/* --- what tests say ----------------------------------------------------------------------------------------------------- */

static void stored(void *arg, int result)
{
	(void)arg;
	assert_int_equal(result, 0);
}

static void set(struct rig *rig, enum kind kind, const char *name, const char *text)
{
	json_t *doc = text ? json_loads(text, 0, NULL) : NULL;
	const struct change change = { kind, edged_str(name), doc };
	rig->changed[0] = '\0';
	assert_int_equal(registry_write(rig->things.registry, &change, 1, stored, NULL), 0);
	json_decref(doc);
}

/* Merges into what there is. */
static void patch(struct rig *rig, enum kind kind, const char *name, const char *text)
{
	json_t *doc = record_json(registry_find(rig->things.registry, kind, edged_str(name))),
	       *with = json_loads(text, 0, NULL);
	assert_int_equal(doc_merge(doc, with), 0);
	char *merged = json_dumps(doc, 0);
	set(rig, kind, name, merged);
	free(merged);
	json_decref(doc);
	json_decref(with);
}

#define ALLOW(action, name)                                                                                  \
	"{\"document\":{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"" action \
	"\",\"Resource\":\"arn:aws:iot:r:a:" name "\"}}}"
#define DENY(action, name)                                                                                   \
	"{\"document\":{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Deny\",\"Action\":\"" action  \
	"\",\"Resource\":\"arn:aws:iot:r:a:" name "\"}}}"

/* A thing "lamp" and a certificate of it; returns the fingerprint. */
static const char *lamp(struct rig *rig)
{
	static char fingerprint[FINGERPRINT_LEN + 1];
	struct issued issued;
	char why[WHY_MAX];
	set(rig, KIND_THING, "lamp", "{\"attributes\":{\"room\":\"kitchen\"}}");
	assert_int_equal(
	        authority_issue(rig->things.authority, edged_str("lamp"), edged_str(NULL), 0, &issued, why),
	        0);
	json_t *doc =
	        json_pack("{s:s,s:s,s:s}", "pem", issued.certificate, "status", "ACTIVE", "thing", "lamp");
	char *text = json_dumps(doc, 0);
	set(rig, KIND_CERTIFICATE, issued.fingerprint, text);
	snprintf(fingerprint, sizeof(fingerprint), "%s", issued.fingerprint);
	free(text);
	json_decref(doc);
	issued_fini(&issued);
	return fingerprint;
}

static struct edged_peer peer_with(const char *fingerprint)
{
	return (struct edged_peer){ .struct_size = sizeof(struct edged_peer),
		.address = "192.0.2.7",
		.tls = true,
		.server_name = "edge.local",
		.fingerprint = fingerprint };
}

static int login(struct rig *rig, const char *fingerprint)
{
	struct edged_peer peer = peer_with(fingerprint);
	const struct edged_door door = {
		.struct_size = sizeof(door), .peer = &peer, .protocol = "mqtt", .client_id = edged_str("lamp")
	};
	rig->outcome = 0;
	rig->table->login(rig->decider, &door, 5);
	return rig->outcome;
}

static void *bind_as(struct rig *rig, const char *fingerprint, const char *client, bool persistent)
{
	struct edged_peer peer = peer_with(fingerprint);
	const struct edged_door door = { .struct_size = sizeof(door),
		.peer = &peer,
		.protocol = "mqtt",
		.client_id = edged_str(client),
		.persistent = persistent };
	char principal[80];
	void *rights = NULL;
	snprintf(principal, sizeof(principal), "cert:%s", fingerprint);
	return rig->table->bind(rig->decider, &door, principal, &rights) ? NULL : rights;
}

static bool may(struct rig *rig, const char *fingerprint, enum edged_action action, const char *resource)
{
	void *rights = bind_as(rig, fingerprint, "lamp", false);
	if (!rights)
		return false;
	bool ret = rig->table->allow(rights, action, edged_str(resource));
	rig->table->unbind(rig->decider, rights);
	return ret;
}

/* --- tests ------------------------------------------------------------------------------------------------------------------ */

static void a_certificate_is_known_by_its_fingerprint(void **state)
{
	struct rig *rig = *state;
	const char *fingerprint = lamp(rig);
	char other[FINGERPRINT_LEN + 1], principal[80];
	snprintf(other, sizeof(other), "%s", fingerprint);
	other[0] = other[0] == '0' ? '1' : '0';
	assert_int_equal(login(rig, fingerprint), EDGED_LOGIN_KNOWN);
	snprintf(principal, sizeof(principal), "cert:%s", fingerprint);
	assert_string_equal(rig->text, principal);
	assert_int_equal(login(rig, other), EDGED_LOGIN_UNKNOWN);
	assert_int_equal(login(rig, NULL), EDGED_LOGIN_UNKNOWN);
	assert_null(bind_as(rig, other, "lamp", false));
}

static void what_admits_nobody(void **state)
{
	struct rig *rig = *state;
	const char *fingerprint = lamp(rig);
	static const struct {
		enum kind kind;
		const char *patch, *undo, *why;
	} rows[] = {
		{ KIND_CERTIFICATE, "{\"status\":\"INACTIVE\"}", "{\"status\":\"ACTIVE\"}", "not active" },
		{ KIND_CERTIFICATE, "{\"status\":null}", "{\"status\":\"ACTIVE\"}", "not active" },
		{ KIND_CERTIFICATE, "{\"status\":\"REVOKED\"}", "{\"status\":\"ACTIVE\"}", "revoked" },
		{ KIND_CERTIFICATE, "{\"until\":1000}", "{\"until\":null}", "replaced" },
		{ KIND_CERTIFICATE, "{\"pem\":\"x\"}", NULL, "out of date" },
		{ KIND_CERTIFICATE, "{\"thing\":\"gone\"}", NULL, "" },
		{ KIND_THING, "{\"enabled\":false}", "{\"enabled\":true}", "disabled" },
	};
	set(rig, KIND_POLICY, "all", ALLOW("*", "*"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fingerprint = rows[i].undo ? fingerprint : lamp(rig);
		const char *name = rows[i].kind == KIND_THING ? "lamp" : fingerprint;
		patch(rig, KIND_CERTIFICATE, fingerprint, "{\"policies\":[\"all\"]}");
		assert_true(may(rig, fingerprint, EDGED_PUBLISH, "a"));
		patch(rig, rows[i].kind, name, rows[i].patch);
		assert_int_equal(login(rig, fingerprint), EDGED_LOGIN_REFUSED);
		assert_non_null(strstr(rig->text, rows[i].why));
		assert_false(may(rig, fingerprint, EDGED_PUBLISH, "a"));
		if (rows[i].undo) {
			patch(rig, rows[i].kind, name, rows[i].undo);
			assert_true(may(rig, fingerprint, EDGED_PUBLISH, "a"));
		} else {
			fingerprint = lamp(rig);
		}
	}
	set(rig, KIND_THING, "lamp", NULL);
	assert_int_equal(login(rig, fingerprint), EDGED_LOGIN_REFUSED);
}

static void policies_of_certificate_thing_and_groups_hold_together(void **state)
{
	struct rig *rig = *state;
	const char *fingerprint = lamp(rig);
	assert_false(may(rig, fingerprint, EDGED_CONNECT, "lamp")); /* nothing attached */
	set(rig, KIND_POLICY, "c", ALLOW("iot:Connect", "client/${iot:ClientId}"));
	set(rig, KIND_POLICY, "p", ALLOW("iot:Publish", "topic/${iot:Connection.Thing.Attributes[room]}/*"));
	set(rig, KIND_POLICY, "s", ALLOW("iot:Subscribe", "topicfilter/*"));
	set(rig, KIND_POLICY, "d", DENY("iot:Publish", "topic/kitchen/secret"));
	set(rig, KIND_GROUP, "g", "{\"policies\":[\"s\"]}");
	patch(rig, KIND_CERTIFICATE, fingerprint, "{\"policies\":[\"c\"]}");
	patch(rig, KIND_THING, "lamp", "{\"policies\":[\"p\"],\"groups\":[\"g\"]}");
	assert_true(may(rig, fingerprint, EDGED_CONNECT, "lamp"));
	assert_false(may(rig, fingerprint, EDGED_CONNECT, "lump"));
	assert_true(may(rig, fingerprint, EDGED_PUBLISH, "kitchen/secret"));
	assert_false(may(rig, fingerprint, EDGED_PUBLISH, "bath/a"));
	assert_true(may(rig, fingerprint, EDGED_SUBSCRIBE, "a/#"));
	assert_false(may(rig, fingerprint, EDGED_RECEIVE, "a"));
	patch(rig, KIND_GROUP, "g", "{\"policies\":[\"s\",\"d\"]}");
	assert_false(may(rig, fingerprint, EDGED_PUBLISH, "kitchen/secret"));
	assert_true(may(rig, fingerprint, EDGED_PUBLISH, "kitchen/a"));
	/* what might have denied something is gone: nothing is left */
	set(rig, KIND_POLICY, "d", NULL);
	assert_false(may(rig, fingerprint, EDGED_PUBLISH, "kitchen/a"));
	set(rig, KIND_POLICY, "d", DENY("iot:Publish", "topic/x"));
	assert_true(may(rig, fingerprint, EDGED_PUBLISH, "kitchen/a"));
	set(rig, KIND_GROUP, "g", NULL);
	assert_false(may(rig, fingerprint, EDGED_PUBLISH, "kitchen/a"));
}

static void the_door_is_part_of_the_judgement(void **state)
{
	struct rig *rig = *state;
	const char *fingerprint = lamp(rig);
	set(rig, KIND_POLICY, "p",
	        "{\"document\":{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\","
	        "\"Condition\":{"
	        "\"IpAddress\":{\"aws:SourceIp\":\"192.0.2.0/"
	        "24\"},\"ForAllValues:StringNotEquals\":{\"iot:ConnectAttributes\":"
	        "\"PersistentConnect\"}}}}}");
	patch(rig, KIND_CERTIFICATE, fingerprint, "{\"policies\":[\"p\"]}");
	for (int persistent = 0; persistent < 2; persistent++) {
		void *rights = bind_as(rig, fingerprint, "lamp", persistent);
		assert_non_null(rights);
		assert_int_equal(rig->table->allow(rights, EDGED_CONNECT, edged_str("lamp")), !persistent);
		assert_true(rig->table->allow(rights, EDGED_LIST_RETAINED, edged_str("")));
		rig->table->unbind(rig->decider, rights);
	}
	/* nobody is connected: there is no address that would fit */
	const struct edged_door stored_door = { .struct_size = sizeof(stored_door),
		.client_id = edged_str("lamp") };
	char principal[80];
	void *rights = NULL;
	snprintf(principal, sizeof(principal), "cert:%s", fingerprint);
	assert_int_equal(rig->table->bind(rig->decider, &stored_door, principal, &rights), 0);
	assert_false(rig->table->allow(rights, EDGED_RECEIVE, edged_str("a")));
	rig->table->unbind(rig->decider, rights);
	assert_true(rig->table->bind(rig->decider, &stored_door, "user:ann", &rights) < 0);
}

static void the_server_name_is_a_variable(void **state)
{
	struct rig *rig = *state;
	const char *fingerprint = lamp(rig);
	set(rig, KIND_POLICY, "p", ALLOW("iot:Publish", "topic/${iot:DomainName}/x"));
	patch(rig, KIND_CERTIFICATE, fingerprint, "{\"policies\":[\"p\"]}");
	assert_true(may(rig, fingerprint, EDGED_PUBLISH, "edge.local/x"));
	assert_false(may(rig, fingerprint, EDGED_PUBLISH, "edge.remote/x"));
}

static void changes_are_told_to_those_they_concern(void **state)
{
	struct rig *rig = *state;
	const char *fingerprint = lamp(rig);
	char own[20];
	snprintf(own, sizeof(own), "cert:%.7s ", fingerprint);
	assert_string_equal(rig->changed, ""); /* all of it is new */
	patch(rig, KIND_CERTIFICATE, fingerprint, "{\"status\":\"REVOKED\"}");
	assert_string_equal(rig->changed, own);
	patch(rig, KIND_THING, "lamp", "{\"enabled\":false}");
	assert_string_equal(rig->changed, own);
	set(rig, KIND_POLICY, "p", ALLOW("*", "*"));
	assert_string_equal(rig->changed, "");
	set(rig, KIND_POLICY, "p", ALLOW("*", "topic/a"));
	assert_string_equal(rig->changed, "all ");
	set(rig, KIND_THING, "other", "{}");
	patch(rig, KIND_THING, "other", "{\"enabled\":false}");
	assert_string_equal(rig->changed, ""); /* it has no certificate */
}

static void a_certificate_that_was_replaced_ends_by_itself(void **state)
{
	struct rig *rig = *state;
	const char *fingerprint = lamp(rig);
	char text[100];
	set(rig, KIND_POLICY, "p", ALLOW("*", "*"));
	assert_int_equal(rig->timer.ms, 0);
	snprintf(text, sizeof(text), "{\"policies\":[\"p\"],\"until\":%lld}",
	        ((long long)time(NULL) + 100) * 1000);
	patch(rig, KIND_CERTIFICATE, fingerprint, text);
	assert_in_range(rig->timer.ms, 90 * 1000, 101 * 1000);
	assert_true(may(rig, fingerprint, EDGED_PUBLISH, "a"));
	rig->changed[0] = '\0';
	rig->timer.fire(rig->timer.arg);
	assert_string_equal(rig->changed, "all ");
	assert_in_range(rig->timer.ms, 90 * 1000, 101 * 1000);
	patch(rig, KIND_CERTIFICATE, fingerprint, "{\"until\":null}");
	assert_int_equal(rig->timer.ms, 0);
}

static int login_user(struct rig *rig, const char *user, const char *password)
{
	struct edged_peer peer = peer_with(NULL);
	const struct edged_door door = { .struct_size = sizeof(door),
		.peer = &peer,
		.protocol = "mqtt",
		.client_id = edged_str("x"),
		.has_user = true,
		.has_password = password != NULL,
		.user = edged_str(user),
		.password = edged_str(password) };
	rig->outcome = 0;
	rig->table->login(rig->decider, &door, 5);
	return rig->outcome;
}

static void a_user_comes_with_a_password(void **state)
{
	struct rig *rig = *state;
	char hash[HASH_MAX], text[300];
	assert_int_equal(login_user(rig, "ann", "secret"), EDGED_LOGIN_UNKNOWN); /* there are no users */
	assert_int_equal(password_hash(edged_str("secret"), hash), 0);
	snprintf(text, sizeof(text), "{\"hash\":\"%s\",\"policies\":[\"p\"]}", hash);
	set(rig, KIND_POLICY, "p", ALLOW("iot:Connect", "client/${iot:ClientId}"));
	set(rig, KIND_USER, "ann", text);
	static const struct {
		const char *user, *password;
		int outcome;
	} rows[] = { { "ann", "wrong", EDGED_LOGIN_WRONG_SECRET }, { "ann", "", EDGED_LOGIN_WRONG_SECRET },
		{ "bob", "secret", EDGED_LOGIN_UNKNOWN }, { "ann?SDK=x", "secret", EDGED_LOGIN_KNOWN } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(login_user(rig, rows[i].user, rows[i].password), 0);
		run_post(rig);
		assert_int_equal(rig->outcome, rows[i].outcome);
	}
	assert_string_equal(rig->text, "user:ann");
	assert_int_equal(login_user(rig, "ann", NULL), EDGED_LOGIN_UNKNOWN);
	/* who was right just now need not wait; others do */
	assert_int_equal(login_user(rig, "ann", "secret"), EDGED_LOGIN_KNOWN);
	assert_int_equal(login_user(rig, "ann", "Secret"), 0);
	/* who comes again with the same waits for the same answer; another one is one more than may wait */
	assert_int_equal(login_user(rig, "ann", "Secret"), 0);
	assert_int_equal(login_user(rig, "ann", "xecret"), EDGED_LOGIN_UNDECIDED);
	rig->answers = 0;
	run_post(rig);
	assert_int_equal(rig->outcome, EDGED_LOGIN_WRONG_SECRET);
	assert_int_equal(rig->answers, 2);
	void *rights = NULL;
	const struct edged_door door = { .struct_size = sizeof(door), .client_id = edged_str("x") };
	assert_int_equal(rig->table->bind(rig->decider, &door, "user:ann", &rights), 0);
	assert_true(rig->table->allow(rights, EDGED_CONNECT, edged_str("x")));
	rig->table->unbind(rig->decider, rights);
	patch(rig, KIND_USER, "ann", "{\"enabled\":false}");
	assert_string_equal(rig->changed, "user:ann ");
	assert_true(rig->table->bind(rig->decider, &door, "user:ann", &rights) < 0);
	/* another password: the one that was right is not any more */
	assert_int_equal(password_hash(edged_str("other"), hash), 0);
	snprintf(text, sizeof(text), "{\"hash\":\"%s\"}", hash);
	set(rig, KIND_USER, "ann", text);
	assert_int_equal(login_user(rig, "ann", "secret"), 0);
	run_post(rig);
	assert_int_equal(rig->outcome, EDGED_LOGIN_WRONG_SECRET);
}

static int login_signed(struct rig *rig, const char *principal)
{
	struct edged_peer peer = peer_with(NULL);
	const struct edged_door door = { .struct_size = sizeof(door), .peer = &peer, .protocol = "http" };
	peer.signer = principal;
	rig->table->login(rig->decider, &door, 5);
	return rig->outcome;
}

/* The request is AWS's example, and so long ago that its signature has ended. */
static void a_key_is_known_by_its_signature(void **state)
{
	struct rig *rig = *state;
	char text[EDGED_SIGNER_MAX];
	const struct edged_http_field fields[] = { { edged_str("Host"), edged_str("example.amazonaws.com") },
		{ edged_str("X-Amz-Date"), edged_str("20150830T123600Z") },
		{ edged_str("Authorization"),
		        edged_str("AWS4-HMAC-SHA256 "
		                  "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
		                  "SignedHeaders=host;x-amz-date, Signature="
		                  "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31") } };
	struct edged_http_message message = { .struct_size = sizeof(message),
		.method = edged_str("GET"),
		.target = edged_str("/"),
		.fields = fields,
		.field_count = 3 };
	assert_int_equal(rig->table->signer(rig->decider, &message, text), EDGED_LOGIN_UNKNOWN);
	set(rig, KIND_KEY, "AKIDEXAMPLE", "{\"secret\":\"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\"}");
	assert_int_equal(rig->table->signer(rig->decider, &message, text), EDGED_LOGIN_REFUSED);
	assert_non_null(strstr(text, "expired"));
	patch(rig, KIND_KEY, "AKIDEXAMPLE", "{\"secret\":\"wrong\"}");
	assert_int_equal(rig->table->signer(rig->decider, &message, text), EDGED_LOGIN_REFUSED);
	assert_non_null(strstr(text, "not that of this request"));
	message.field_count = 2;
	assert_int_equal(rig->table->signer(rig->decider, &message, text), EDGED_LOGIN_UNKNOWN);
	assert_int_equal(login_signed(rig, "key:AKIDEXAMPLE"), EDGED_LOGIN_KNOWN);
	assert_string_equal(rig->text, "key:AKIDEXAMPLE");
	patch(rig, KIND_KEY, "AKIDEXAMPLE", "{\"enabled\":false}");
	assert_string_equal(rig->changed, "key:AKIDEXAM ");
	assert_int_equal(login_signed(rig, "key:AKIDEXAMPLE"), EDGED_LOGIN_REFUSED);
	assert_string_equal(rig->text, "the key is disabled");
	set(rig, KIND_KEY, "AKIDEXAMPLE", NULL);
	assert_int_equal(login_signed(rig, "key:AKIDEXAMPLE"), EDGED_LOGIN_REFUSED);
	assert_int_equal(login_signed(rig, "cert:0"), EDGED_LOGIN_REFUSED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_certificate_is_known_by_its_fingerprint),
		TEST(what_admits_nobody),
		TEST(policies_of_certificate_thing_and_groups_hold_together),
		TEST(the_door_is_part_of_the_judgement),
		TEST(the_server_name_is_a_variable),
		TEST(changes_are_told_to_those_they_concern),
		TEST(a_certificate_that_was_replaced_ends_by_itself),
		TEST(a_user_comes_with_a_password),
		TEST(a_key_is_known_by_its_signature),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "decider.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include "keys.h"
#include "rest_certificates.h"
#include "rights.h"
#include "users.h"

struct decider {
	struct things *things;
	const struct edged_auth_1 *auth;
	struct users *users;
	struct edged_timer *timer; /* the next certificate ends */
	bool started;
	int64_t *refused, *logins;
};

/* --- who is it, and what may it do ---------------------------------------------------------------------------------------- */

/* It is this one; may it come in just now? */
static void admit(struct decider *d, edged_handle handle, const char *principal)
{
	struct things *t = d->things;
	struct edged_slice name = { NULL, 0 };
	enum kind kind = principal_read(principal, &name);
	const struct record *record = kind == KINDS ? NULL : registry_find(t->registry, kind, name);
	json_t *doc = record ? record_json(record) : NULL;
	const char *why = doc      ? rights_flaw(t->registry, kind, record, doc)
	                  : record ? "no memory"
	                           : "it has been deleted";
	json_decref(doc);
	edged_metric_add(why ? d->refused : d->logins, 1);
	(void)d->auth->answer(
	        t->host, handle, why ? EDGED_LOGIN_REFUSED : EDGED_LOGIN_KNOWN, why ? why : principal);
}

static void login(void *self, const struct edged_door *door, edged_handle handle)
{
	struct decider *d = self;
	struct things *t = d->things;
	const char *fingerprint = door->peer && door->peer->tls ? door->peer->fingerprint : NULL;
	const struct record *record =
	        fingerprint ? registry_find(t->registry, KIND_CERTIFICATE, edged_str(fingerprint)) : NULL;
	char principal[PRINCIPAL_MAX];
	if (door->peer && EDGED_HAS(door->peer, signer)) {
		admit(d, handle, door->peer->signer);
		return;
	}
	if (!record) {
		users_login(d->users, door, handle);
		return;
	}
	principal_write(KIND_CERTIFICATE, edged_str(record->name), principal);
	admit(d, handle, principal);
}

static enum edged_login_outcome signer(
        void *self, const struct edged_http_message *message, char ret[EDGED_SIGNER_MAX])
{
	return keys_signer(((struct decider *)self)->things, message, ret);
}

static int bind_rights(void *self, const struct edged_door *door, const char *principal, void **ret_rights)
{
	struct rights *rights = NULL;
	int r = rights_bind(((struct decider *)self)->things, door, principal, &rights);
	if (!r)
		*ret_rights = rights;
	return r;
}

static void unbind(void *self, void *rights)
{
	(void)self;
	rights_free(rights);
}

static bool allow(const void *rights, enum edged_action action, struct edged_slice resource)
{
	return rights_allow(rights, action, resource);
}

/* --- changes -------------------------------------------------------------------------------------------------------------- */

static int64_t wall_s(void)
{
	return (int64_t)time(NULL);
}

/* The earliest moment after now at which a certificate ends; 0: none does. */
static int64_t next_end(const struct registry *registry)
{
	const struct table *table = registry_table(registry, KIND_CERTIFICATE);
	int64_t now = wall_s() * 1000, next = 0;
	for (size_t i = 0; i < table->count; i++) {
		if (!record_mentions(table->list[i], edged_str("\"until\":")))
			continue;
		json_t *doc = record_json(table->list[i]);
		int64_t until = json_integer_value(json_object_get(doc, "until"));
		json_decref(doc);
		if (until > now && (next == 0 || until < next))
			next = until;
	}
	return next;
}

enum { WAIT_MAX_MS = 3600 * 1000 }; /* clocks are set meanwhile */

static void set_timer(struct decider *d)
{
	if (!d->timer)
		return;
	int64_t next = next_end(d->things->registry), left = next - wall_s() * 1000;
	if (next == 0)
		d->things->loop->timer_cancel(d->timer);
	else
		d->things->loop->timer_set(d->timer, (uint64_t)(left > WAIT_MAX_MS ? WAIT_MAX_MS
		                                                : left < 0         ? 0
		                                                                   : left));
}

static void tell(struct decider *d, const char *principal)
{
	int r = d->started ? d->auth->changed(d->things->host, principal) : 0;
	if (r)
		d->things->log->log(
		        d->things->host, EDGED_ERROR, "a change of rights is not in force: %s", strerror(-r));
}

static void ended(void *arg)
{
	struct decider *d = arg;
	tell(d, NULL);
	set_timer(d);
}

static void tell_record(struct decider *d, enum kind kind, struct edged_slice name)
{
	char principal[PRINCIPAL_MAX];
	principal_write(kind, name, principal);
	tell(d, principal);
}

/* Those that come as this thing. */
static void tell_thing(struct decider *d, const char *name)
{
	struct change certificates[CHANGES_MAX];
	size_t n = certificates_of(d->things->registry, name, certificates, CHANGES_MAX);
	if (n == CHANGES_MAX || registry_table(d->things->registry, KIND_USER)->count ||
	        registry_table(d->things->registry, KIND_KEY)->count) {
		tell(d, NULL);
		return;
	}
	for (size_t i = 0; i < n; i++)
		tell_record(d, KIND_CERTIFICATE, certificates[i].name);
}

void decider_changed(struct decider *d, enum kind kind, const char *name)
{
	if (kind == KIND_CERTIFICATE || kind == KIND_USER || kind == KIND_KEY)
		tell_record(d, kind, edged_str(name));
	else if (kind == KIND_THING)
		tell_thing(d, name);
	else
		tell(d, NULL);
	if (kind == KIND_CERTIFICATE || kind == KINDS)
		set_timer(d);
}

/* --- life ------------------------------------------------------------------------------------------------------------------ */

static const struct edged_decider decider_table = { .struct_size = sizeof(decider_table),
	.login = login,
	.bind = bind_rights,
	.unbind = unbind,
	.allow = allow,
	.signer = signer };

int decider_new(struct things *things, struct decider **ret)
{
	struct decider *d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	const struct edged_metrics_1 *metrics = edged_cap(things->host, EDGED_METRICS_1);
	d->things = things;
	d->auth = edged_cap(things->host, EDGED_AUTH_1);
	d->logins = metrics->figure(things->host, EDGED_COUNTER, "things_logins_total", "result=\"known\"",
	        "Clients that came with a certificate or signature of the registry");
	d->refused = metrics->figure(things->host, EDGED_COUNTER, "things_logins_total", "result=\"refused\"",
	        "Clients that came with a certificate or signature of the registry");
	d->timer = things->loop->timer_new(things->host, ended, d);
	int r = d->timer ? users_new(things, &d->users) : -ENOMEM;
	if (r)
		decider_free(d);
	else
		*ret = d;
	return r;
}

void decider_stop(struct decider *d)
{
	if (!d)
		return;
	d->started = false;
	d->things->loop->timer_free(d->timer);
	d->timer = NULL;
}

void decider_free(struct decider *d)
{
	if (!d)
		return;
	decider_stop(d);
	users_free(d->users);
	free(d);
}

int decider_start(struct decider *d)
{
	int r = d->auth->decide(d->things->host, &decider_table, d);
	if (r)
		return r;
	d->started = true;
	set_timer(d);
	return 0;
}

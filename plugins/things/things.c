/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin things: a registry of devices, their certificates and policies, in which AWS IoT devices are at home. */
#include <errno.h>
#include <stdlib.h>

#include "edged/cap_config.h"
#include "decider.h"
#include "edged/cap_node.h"
#include "offer.h"
#include "pairing.h"
#include "routes.h"

struct plugin {
	struct things things; /* first member: what the routes get */
	struct decider *decider;
	struct offer *offer;
};

static void changed(void *arg, enum kind kind, const char *name)
{
	struct plugin *plugin = arg;
	decider_changed(plugin->decider, kind, name);
	offer_changed(plugin->offer, kind, name);
}

static void made(void *arg, enum kind kind, const char *name)
{
	const struct plugin *plugin = arg;
	offer_changed(plugin->offer, kind, name);
}

static int make_registry(struct plugin *plugin)
{
	struct edged_host *host = plugin->things.host;
	const struct edged_config_1 *config = edged_cap(host, EDGED_CONFIG_1);
	static const char *const limits[KINDS] = { "things", "groups", "policies", "certificates", "users",
		"keys" };
	struct registry_deps deps = { .host = host,
		.store = edged_cap(host, EDGED_STORE_1),
		.log = plugin->things.log,
		.metrics = edged_cap(host, EDGED_METRICS_1),
		.policy_bytes = plugin->things.policy_bytes,
		.changed = changed,
		.made = made,
		.arg = plugin };
	for (int i = 0; i < KINDS; i++)
		deps.most[i] = (size_t)config->integer(host, limits[i]);
	return registry_new(&deps, &plugin->things.registry);
}

static void destroy(void *self)
{
	struct plugin *plugin = self;
	registry_free(plugin->things.registry); /* first: it has last words for the others */
	pairing_free(plugin->things.pairing);
	decider_free(plugin->decider);
	authority_free(plugin->things.authority);
	offer_free(plugin->offer);
	free(plugin);
}

static int create(struct edged_host *host, void **ret_self)
{
	struct plugin *plugin = calloc(1, sizeof(*plugin));
	char why[WHY_MAX] = "";
	if (!plugin)
		return -ENOMEM;
	const struct edged_config_1 *config = edged_cap(host, EDGED_CONFIG_1);
	plugin->things = (struct things){ .host = host,
		.log = edged_cap(host, EDGED_LOG_1),
		.http = edged_cap(host, EDGED_HTTP_1),
		.loop = edged_cap(host, EDGED_LOOP_1),
		.node = edged_cap(host, EDGED_NODE_1),
		.work = edged_cap(host, EDGED_WORK_1),
		.policy_bytes = (size_t)config->integer(host, "policy_size") };
	plugin->things.gate = (struct gate){
		.host = host, .http = plugin->things.http, .auth = edged_cap(host, EDGED_AUTH_1)
	};
	LIST_INIT(&plugin->things.gate.visits);
	int r = authority_open(host->v1->folder(host), &plugin->things.authority, why);
	if (r)
		plugin->things.log->log(host, EDGED_ERROR, "%s", why);
	if (!r)
		r = make_registry(plugin);
	if (!r)
		r = pairing_new(&plugin->things, &plugin->things.pairing);
	if (!r)
		r = decider_new(&plugin->things, &plugin->decider);
	if (!r)
		r = offer_new(plugin->things.registry, &plugin->offer);
	if (r)
		destroy(plugin);
	else
		*ret_self = plugin;
	return r;
}

static void loaded(void *arg, int result)
{
	struct plugin *plugin = arg;
	int r = result ? result : decider_start(plugin->decider);
	plugin->things.host->v1->started(plugin->things.host, r,
	        result         ? "the stored things cannot be read"
	        : r == -EACCES ? "auth.decider names another plugin"
	        : r            ? "another plugin decides already"
	                       : NULL);
}

static int start(void *self)
{
	struct plugin *plugin = self;
	int r = registry_load(plugin->things.registry, loaded);
	return r ? r : EDGED_LATER;
}

static void stop(void *self)
{
	struct plugin *plugin = self;
	gate_stop(&plugin->things.gate);
	decider_stop(plugin->decider);
}

static const void *offer(void *self, const char *name)
{
	(void)name; /* there is one */
	return offer_capability(((struct plugin *)self)->offer);
}

/* --- tables ------------------------------------------------------------------------------------------------------------ */

#define JSON_BODY(description, schema)                                                                       \
	"{\"requestBody\":{\"description\":\"" description                                                   \
	"\",\"content\":{\"application/json\":{\"schema\":" schema "}}}}"
#define QUERY(name, description)                                                                             \
	"{\"name\":\"" name                                                                                  \
	"\",\"in\":\"query\",\"schema\":{\"type\":\"string\"},\"description\":\"" description "\"}"
#define PAGE(filters)                                                                                        \
	"{\"parameters\":[" QUERY("limit", "Most records of a page, 1 to 1000") "," QUERY(                   \
	        "cursor", "That of the page before") filters "]}"
#define OBJECT(properties) "{\"type\":\"object\",\"properties\":{" properties "}}"
#define TEXT(name)         "\"" name "\":{\"type\":\"string\"}"
#define TEXTS(name)        "\"" name "\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"
#define TRUTH(name)        "\"" name "\":{\"type\":\"boolean\"}"
#define NUMBER(name)       "\"" name "\":{\"type\":\"integer\"}"
#define THING_MEMBERS                                                                                        \
	TEXT("type")                                                                                         \
	",\"attributes\":{\"type\":\"object\"}," TEXTS("groups") "," TEXTS("policies") "," TRUTH("enabled")
#define WISH_MEMBERS TEXT("csr") "," NUMBER("days") "," TEXTS("policies")

static const struct edged_route routes[] = {
	{ "GET", "/things/v1/things", list_things, "Things, by name",
	        PAGE("," QUERY("group", "Only members") "," QUERY("type", "Only these")), EDGED_SCOPE_ACCOUNT,
	        0 },
	{ "POST", "/things/v1/things", create_thing, "A new thing, with a certificate if it is wished",
	        JSON_BODY("Without a csr the answer holds a new private key, this once",
	                OBJECT(TEXT("name") "," THING_MEMBERS ",\"certificate\":" OBJECT(WISH_MEMBERS))),
	        EDGED_SCOPE_NODE, 0 },
	{ "GET", "/things/v1/things/{thing}", get_thing, "A thing and its certificates", NULL,
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "PATCH", "/things/v1/things/{thing}", patch_thing, "Changes a thing (JSON merge patch, If-Match)",
	        JSON_BODY("What is to change", OBJECT(THING_MEMBERS)), EDGED_SCOPE_NODE, 0 },
	{ "DELETE", "/things/v1/things/{thing}", delete_thing, "Deletes a thing and its certificates", NULL,
	        EDGED_SCOPE_NODE, 0 },
	{ "POST", "/things/v1/things/{thing}/certificates", issue_certificate,
	        "One more certificate for a thing",
	        JSON_BODY(
	                "Without a csr the answer holds a new private key, this once", OBJECT(WISH_MEMBERS)),
	        EDGED_SCOPE_NODE, 0 },
	{ "POST", "/things/v1/things/{thing}/rotate", rotate_certificate,
	        "A new certificate; the active ones end after the overlap",
	        JSON_BODY("overlapSeconds: 86400 when it is not given",
	                OBJECT(WISH_MEMBERS "," NUMBER("overlapSeconds"))),
	        EDGED_SCOPE_NODE, 0 },
	{ "GET", "/things/v1/groups", list_groups, "Groups of things, by name", PAGE(""), EDGED_SCOPE_ACCOUNT,
	        0 },
	{ "GET", "/things/v1/groups/{group}", get_group, "A group", NULL, EDGED_SCOPE_ACCOUNT, 0 },
	{ "PUT", "/things/v1/groups/{group}", put_group, "Makes or replaces a group",
	        JSON_BODY("May be empty", OBJECT(TEXT("description") "," TEXTS("policies"))),
	        EDGED_SCOPE_NODE, 0 },
	{ "PATCH", "/things/v1/groups/{group}", patch_group, "Changes a group (JSON merge patch, If-Match)",
	        JSON_BODY("What is to change", OBJECT(TEXT("description") "," TEXTS("policies"))),
	        EDGED_SCOPE_NODE, 0 },
	{ "DELETE", "/things/v1/groups/{group}", delete_group, "Deletes a group that has no members", NULL,
	        EDGED_SCOPE_NODE, 0 },
	{ "PUT", "/things/v1/groups/{group}/things/{thing}", join_group, "Puts a thing into a group", NULL,
	        EDGED_SCOPE_NODE, 0 },
	{ "DELETE", "/things/v1/groups/{group}/things/{thing}", leave_group, "Takes a thing out of a group",
	        NULL, EDGED_SCOPE_NODE, 0 },
	{ "GET", "/things/v1/policies", list_policies, "Policies, by name", PAGE(""), EDGED_SCOPE_ACCOUNT,
	        0 },
	{ "GET", "/things/v1/policies/{policy}", get_policy, "A policy with its document", NULL,
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "PUT", "/things/v1/policies/{policy}", put_policy, "Makes or replaces a policy; in force at once",
	        JSON_BODY("An AWS IoT policy document", OBJECT(TEXT("Version") ",\"Statement\":{}")),
	        EDGED_SCOPE_NODE, 0 },
	{ "DELETE", "/things/v1/policies/{policy}", delete_policy,
	        "Deletes a policy that is attached to nothing", NULL, EDGED_SCOPE_NODE, 0 },
	{ "GET", "/things/v1/policies/{policy}/targets", list_targets,
	        "What a policy is attached to (the first 1,000)", NULL, EDGED_SCOPE_ACCOUNT, 0 },
	{ "PUT", "/things/v1/policies/{policy}/targets/{kind}/{name}", attach_policy,
	        "Attaches a policy to one of the things, groups, certificates, users or keys", NULL,
	        EDGED_SCOPE_NODE, 0 },
	{ "DELETE", "/things/v1/policies/{policy}/targets/{kind}/{name}", detach_policy,
	        "Takes a policy away", NULL, EDGED_SCOPE_NODE, 0 },
	{ "GET", "/things/v1/certificates", list_certificates, "Certificates, by fingerprint",
	        PAGE("," QUERY("thing", "Only its") "," QUERY("status", "ACTIVE, INACTIVE or REVOKED")),
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "POST", "/things/v1/certificates", register_certificate,
	        "Registers a certificate that a device has already, from whatever CA",
	        JSON_BODY("certificate: PEM", OBJECT(TEXT("certificate") "," TEXT("thing") "," TEXTS(
	                                              "policies") "," TEXT("status"))),
	        EDGED_SCOPE_NODE, 0 },
	{ "GET", "/things/v1/certificates/{certificate}", get_certificate, "A certificate", NULL,
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "PATCH", "/things/v1/certificates/{certificate}", patch_certificate,
	        "Changes status, thing or policies (JSON merge patch, If-Match); in force at once",
	        JSON_BODY(
	                "What is to change", OBJECT(TEXT("status") "," TEXT("thing") "," TEXTS("policies"))),
	        EDGED_SCOPE_NODE, 0 },
	{ "DELETE", "/things/v1/certificates/{certificate}", delete_certificate, "Deletes a certificate",
	        NULL, EDGED_SCOPE_NODE, 0 },
	{ "GET", "/things/v1/users", list_users, "Users, by name", PAGE("," QUERY("thing", "Only its")),
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "GET", "/things/v1/users/{user}", get_user, "A user", NULL, EDGED_SCOPE_ACCOUNT, 0 },
	{ "PUT", "/things/v1/users/{user}", put_user,
	        "Makes or replaces a user, who comes with a name and a password",
	        JSON_BODY("The password is kept as a hash (Argon2id)",
	                OBJECT(TEXT("password") "," TEXT("thing") "," TEXTS("policies") "," TRUTH(
	                        "enabled"))),
	        EDGED_SCOPE_NODE, 0 },
	{ "PATCH", "/things/v1/users/{user}", patch_user,
	        "Changes a user, but for the password (JSON merge patch, If-Match)",
	        JSON_BODY("What is to change",
	                OBJECT(TEXT("thing") "," TEXTS("policies") "," TRUTH("enabled"))),
	        EDGED_SCOPE_NODE, 0 },
	{ "POST", "/things/v1/users/{user}/password", set_password, "Gives a user another password",
	        JSON_BODY("The new one", OBJECT(TEXT("password"))), EDGED_SCOPE_NODE, 0 },
	{ "DELETE", "/things/v1/users/{user}", delete_user, "Deletes a user", NULL, EDGED_SCOPE_NODE, 0 },
	{ "GET", "/things/v1/keys", list_keys, "Access keys, by id", PAGE("," QUERY("thing", "Only its")),
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "POST", "/things/v1/keys", create_key,
	        "A new access key, with which AWS's tools sign; the answer holds its secret, this once",
	        JSON_BODY("May be empty", OBJECT(TEXT("description") "," TEXT("thing") "," TEXTS(
	                                          "policies") "," TRUTH("enabled"))),
	        EDGED_SCOPE_NODE, 0 },
	{ "GET", "/things/v1/keys/{key}", get_key, "An access key, without its secret", NULL,
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ "PATCH", "/things/v1/keys/{key}", patch_key,
	        "Changes an access key (JSON merge patch, If-Match); in force at once",
	        JSON_BODY("What is to change", OBJECT(TEXT("description") "," TEXT("thing") "," TEXTS(
	                                               "policies") "," TRUTH("enabled"))),
	        EDGED_SCOPE_NODE, 0 },
	{ "DELETE", "/things/v1/keys/{key}", delete_key, "Deletes an access key", NULL, EDGED_SCOPE_NODE, 0 },
	{ "GET", "/things/v1/pairing", pairing_show, "Devices that want to pair", NULL, EDGED_SCOPE_NODE, 0 },
	{ "POST", "/things/v1/pairing", pairing_open, "Lets devices introduce themselves for a while",
	        JSON_BODY("seconds: 60 when it is not given", OBJECT(NUMBER("seconds"))), EDGED_SCOPE_NODE,
	        0 },
	{ "DELETE", "/things/v1/pairing", pairing_close, "Ends that", NULL, EDGED_SCOPE_NODE, 0 },
	{ "POST", "/things/v1/pairing/{id}", pairing_decide, "Accepts or rejects a device",
	        JSON_BODY("name: instead of its own",
	                OBJECT(TRUTH("accept") "," TEXT("name") "," TEXTS("policies"))),
	        EDGED_SCOPE_NODE, 0 },
	{ "POST", "/things/v1/pair", pair_ask,
	        "For new devices, on the secure port without a certificate: wants to pair",
	        JSON_BODY("A certificate request in PEM", OBJECT(TEXT("name") "," TEXT("csr"))),
	        EDGED_SCOPE_NODE, EDGED_ROUTE_OPEN },
	{ "GET", "/things/v1/pair/{id}", pair_poll,
	        "For new devices: 202 while the owner has not decided, then the certificate", NULL,
	        EDGED_SCOPE_NODE, EDGED_ROUTE_OPEN },
	{ "GET", "/greengrass/discover/thing/{thing}", discover,
	        "Greengrass discovery: this node's end-points and CA", NULL, EDGED_SCOPE_ACCOUNT,
	        EDGED_ROUTE_OPEN },
	{ "GET", "/things/v1/authority", get_authority, "The device CA of this node", NULL,
	        EDGED_SCOPE_ACCOUNT, 0 },
	{ 0 },
};

static const struct edged_setting settings[] = {
	{ "things", EDGED_TYPE_INT, "100000", 1, 10000000, "things", NULL, "Most things in the registry" },
	{ "groups", EDGED_TYPE_INT, "1000", 1, 1000000, "groups", NULL, "Most groups of things" },
	{ "policies", EDGED_TYPE_INT, "1000", 1, 1000000, "policies", NULL, "Most policies" },
	{ "certificates", EDGED_TYPE_INT, "200000", 1, 20000000, "certificates", NULL,
	        "Most certificates of things" },
	{ "users", EDGED_TYPE_INT, "10000", 1, 1000000, "users", NULL, "Most users" },
	{ "keys", EDGED_TYPE_INT, "10000", 1, 1000000, "keys", NULL, "Most access keys" },
	{ "policy_size", EDGED_TYPE_SIZE, "2048", 256, 65536, "bytes", NULL,
	        "Largest policy document, white space not counted" },
	{ 0 },
};

static const char *const needs[] = { EDGED_LOG_1, EDGED_CONFIG_1, EDGED_STORE_1, EDGED_HTTP_1, EDGED_LOOP_1,
	EDGED_METRICS_1, EDGED_AUTH_1, EDGED_NODE_1, EDGED_WORK_1, NULL };
static const char *const offers[] = { EDGED_THINGS_1, NULL };

EDGED_PLUGIN(.name = "things", .version = EDGED_VERSION,
        .summary = "Devices, their certificates, and AWS IoT policies", .needs = needs, .offers = offers,
        .settings = settings, .routes = routes, .create = create, .start = start, .stop = stop,
        .destroy = destroy, .offer = offer);

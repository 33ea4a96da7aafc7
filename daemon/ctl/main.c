/* SPDX-License-Identifier: Apache-2.0 */
/* edgectl: the command line of a running edged. */
#include <curl/curl.h>
#include <locale.h>

#include "ctl/act.h"
#include "ctl/job.h"
#include "ctl/key.h"
#include "ctl/listen.h"
#include "ctl/nodes.h"
#include "ctl/policy.h"
#include "ctl/show.h"
#include "ctl/thing.h"
#include "ctl/trace.h"

static const struct verb verbs[] = {
	{ "status", "", 0, 0, "", false, show_status, "is all well? What runs, and what does not" },
	{ "node", "", 0, 0, "", false, show_node, "this node" },
	{ "nodes", "", 0, 0, "", false, show_nodes, "the nodes of this network" },
	{ "cluster", "", 0, 0, "", false, nodes_cluster, "supernode, members, and what is wrong with them" },
	{ "why", "NODE", 1, 1, "", false, nodes_why,
	        "why a node is supernode, or is not, and holds its roles" },
	{ "roles", "", 0, 0, "", false, nodes_roles, "who does what for the cluster, and why" },
	{ "role", "pin|veto|clear ROLE NODE", 3, 3, "", false, nodes_role,
	        "give a role to a node, keep it from one, or neither" },
	{ "services", "", 0, 0, "", false, show_services, "the microservices that run here" },
	{ "plugins", "", 0, 0, "", false, show_plugins,
	        "plugin files, their state, and why one was refused" },
	{ "invite", "[--for TIME]", 0, 0, "F", false, act_invite,
	        "print a token with which another node may join" },
	{ "join", "TOKEN|-", 1, 1, "", false, act_join, "join the account of the node that made the token" },
	{ "pair", "[NODE CODE|-]", 0, 2, "", false, act_pair,
	        "on a new node: show a code; on the account's: take in the node that shows it" },
	{ "signers", "", 0, 0, "", false, nodes_signers,
	        "nodes that can invite, pair and renew without the account's key" },
	{ "signer", "add|remove NODE", 2, 2, "", false, nodes_signer,
	        "let a node do so, or no more; on the node that holds the account's key" },
	{ "remove", "NODE", 1, 1, "", false, nodes_remove,
	        "remove a node from the account: it is out at once, and stays out" },
	{ "pub", "[-q N] [-r] TOPIC MESSAGE|-", 2, 2, "qr", false, act_publish, "publish a message" },
	{ "sub", "[-n N] FILTER...", 1, -1, "n", false, listen_subscribe, "show messages as they come" },
	{ "clients", "", 0, 0, "", false, show_clients, "the MQTT clients that are connected" },
	{ "kick", "CLIENT [--session]", 1, 1, "X", false, act_kick, "end the connection of an MQTT client" },
	{ "trace", "client|topic ID|FILTER [--for TIME]", 2, 2, "F", false, trace_follow,
	        "show the packets of a client, or the messages of topics" },
	{ "shadow", "get|update|delete THING [--name NAME] [JSON|-]", 2, 3, "N", false, act_shadow,
	        "read, change or remove the shadow of a thing" },
	{ "thing", "create|list|show|rotate|disable|enable|delete|pair [THING]", 1, 2, "FOPC", false,
	        thing_verb,
	        "make a device and its folder of key, certificate and how to connect; see and change "
	        "devices" },
	{ "policy", "create|list|show|attach|detach|delete [NAME] [FILE|-|TARGET]", 1, 3, "", false,
	        policy_verb,
	        "AWS IoT policies; TARGET is THING, group:NAME, user:NAME, key:ID or certificate:ID" },
	{ "key", "create|list|enable|disable|delete [NAME|ID]", 1, 2, "PT", false, key_verb,
	        "access keys, with which AWS's command line and SDKs sign their requests" },
	{ "job", "create|list|describe|cancel|delete [ID] [FILE|- TARGET...]", 1, -1, "FdRKE", false,
	        job_verb,
	        "tell devices what to do, and see how far they are; TARGET is THING or group:NAME" },
	{ "api", "METHOD PATH [BODY|-]", 2, 3, "", false, act_api, "any request to the REST interface" },
	{ "help", "", 0, 0, "", true, show_help, "print this" },
	{ "version", "", 0, 0, "", true, show_version, "print the version" },
	{ 0 },
};

static int run(const struct options *options)
{
	struct ctl ctl = { .options = options, .verbs = verbs };
	struct err err = { "" };
	if (options->help)
		return show_help(&ctl);
	if (!options->verb->offline && http_new(options->socket, &ctl.http, &err))
		return ctl_say(EXIT_UNREACHABLE, "%s", err.text);
	int code = options->verb->run(&ctl);
	http_free(ctl.http);
	return code;
}

int main(int argc, char **argv)
{
	struct options options;
	struct err err = { "" };
	setlocale(LC_ALL, "");
	curl_global_init(CURL_GLOBAL_NOTHING);
	if (options_parse(&options, verbs, argc, argv, &err))
		return ctl_say(EXIT_USAGE, "%s", err.text);
	int code = run(&options);
	options_fini(&options);
	curl_global_cleanup();
	return code;
}
